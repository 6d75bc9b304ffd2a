"""The certificate of a hub in a local network, signed by an authority of its own that can vouch for that one name.

A device that trusts the authority trusts it for `<name>.local` and nothing else (RFC 5280, 4.2.1.10), so its key is
worth little to a thief. Certificates last 397 days, as browsers demand, and are renewed a month before their end.
"""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from parachute_hub.system.atomic_files import atomic_write, private_folder
from parachute_hub.system.records import frozen

_AUTHORITY: Final = timedelta(days=3650)
_SERVER: Final = timedelta(days=397)
_RENEWED: Final = timedelta(days=30)
# Clocks of phones differ from ours.
_EARLIER: Final = timedelta(hours=24)


@frozen(kw_only=True)
class ServerCertificate:
    """`pem` is the server's key and certificate; `authority` the certificate that devices have to trust, as PEM."""

    pem: bytes
    authority: bytes

    @property
    def authority_der(self) -> bytes:
        """The form that phones open."""
        return x509.load_pem_x509_certificate(self.authority).public_bytes(serialization.Encoding.DER)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the authority's certificate, as devices show it."""
        digest = hashlib.sha256(self.authority_der).hexdigest().upper()
        return " ".join(digest[at : at + 2] for at in range(0, len(digest), 2))


@frozen(kw_only=True)
class Certificates:
    """Keeps them in `folder`. `now` is in epoch seconds. All methods block."""

    folder: Path
    now: Callable[[], float]

    def of(self, host: str) -> ServerCertificate:
        """The certificate of this host; made or renewed where necessary. Raises OSError."""
        private_folder(self.folder)
        authority = self._read("authority.pem")
        if authority is None or not _is_for(authority, host) or self._ends_soon(authority, _SERVER):
            authority = self._new_authority(host)
        server = self._read("server.pem")
        if server is None or not self._is_signed(server, authority, host) or self._ends_soon(server, _RENEWED):
            server = self._new_server(authority, host)
        return ServerCertificate(pem=server, authority=_certificate(authority).public_bytes(_PEM))

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.now(), UTC)

    def _ends_soon(self, pem: bytes, margin: timedelta) -> bool:
        return _certificate(pem).not_valid_after_utc - margin < self._now()

    def _read(self, name: str) -> bytes | None:
        try:
            content = (self.folder / name).read_bytes()
            serialization.load_pem_private_key(content, None)
            _certificate(content)
        except (OSError, ValueError):
            return None
        return content

    def _write(self, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> bytes:
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        content = private + certificate.public_bytes(_PEM)
        atomic_write(self.folder / name, content)
        return content

    def _new_authority(self, host: str) -> bytes:
        key = ec.generate_private_key(ec.SECP256R1())
        name = _name(f"Parachute Hub {host}")
        certificate = (
            self._builder(name, name, key.public_key(), _AUTHORITY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .add_extension(_limits(host), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return self._write("authority.pem", key, certificate)

    def _new_server(self, authority: bytes, host: str) -> bytes:
        key, issuer = ec.generate_private_key(ec.SECP256R1()), _certificate(authority)
        signer = serialization.load_pem_private_key(authority, None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)  # noqa: S101
        certificate = (
            self._builder(_name(host), issuer.subject, key.public_key(), _SERVER)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_own_name(host), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
            .sign(signer, hashes.SHA256())
        )
        return self._write("server.pem", key, certificate)

    def _builder(
        self, name: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, lasts: timedelta
    ) -> x509.CertificateBuilder:
        begins = self._now() - _EARLIER
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(begins + lasts)
        )

    def _is_signed(self, server: bytes, authority: bytes, host: str) -> bool:
        certificate = _certificate(server)
        try:
            certificate.verify_directly_issued_by(_certificate(authority))
        except Exception:
            return False
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return names.get_values_for_type(x509.DNSName) == [host]


_PEM: Final = serialization.Encoding.PEM


def _certificate(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def _is_for(authority: bytes, host: str) -> bool:
    return _certificate(authority).extensions.get_extension_for_class(x509.NameConstraints).value == _limits(host)


def _limits(host: str) -> x509.NameConstraints:
    """The one name, and no IP address: a list of names alone says nothing about those."""
    every = [x509.IPAddress(ip_network(network)) for network in ("0.0.0.0/0", "::/0")]
    return x509.NameConstraints([x509.DNSName(host)], every)


def _own_name(host: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(host)])


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:64])])


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )
