"""Self-made certificates for a link, and TLS that accepts one key alone, whatever else a certificate says."""

import datetime
import hashlib
from collections.abc import Callable
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

_YEARS: Final = 100
_BEGIN: Final = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)

Admits = Callable[[bytes], bool]
"""Whether a peer with this key (`key_of`) may connect. Asked in the handshake."""


def make(name: str) -> tuple[bytes, bytes]:
    """A new private key and its certificate, both as PEM. Nobody checks names or dates: the key is what is pinned."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # A machine's clock may be wrong by years.
        .not_valid_before(_BEGIN)
        .not_valid_after(_BEGIN + datetime.timedelta(days=365 * _YEARS))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private, certificate.public_bytes(serialization.Encoding.PEM)


def key_of(certificate: crypto.X509) -> bytes:
    """SHA-256 of the certificate's DER SubjectPublicKeyInfo."""
    return _key(certificate.to_cryptography())


def key_of_pem(pem: bytes) -> bytes:
    """The same, of a certificate as PEM. Raises ValueError if it is none."""
    return _key(x509.load_pem_x509_certificate(pem))


def _key(certificate: x509.Certificate) -> bytes:
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).digest()


def peer_key(connection: SSL.Connection) -> bytes | None:
    """The key of the other side; None before the handshake is complete, or without a certificate."""
    certificate = connection.get_peer_certificate()
    return None if certificate is None else key_of(certificate)


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class PinnedTLS:
    """TLS 1.3 with this key and certificate, to whoever `admits` accepts by key: for a client and for a server.

    No session is resumed, so that every connection shows its certificate anew.
    """

    def __init__(self, private: bytes, certificate: bytes, admits: Admits) -> None:
        self._admits = admits
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_min_proto_version(SSL.TLS1_3_VERSION)
        context.use_privatekey(crypto.load_privatekey(crypto.FILETYPE_PEM, private))
        context.use_certificate(crypto.load_certificate(crypto.FILETYPE_PEM, certificate))
        context.check_privatekey()
        context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, self._verify)
        self._context = context

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return SSL.Connection(self._context, None)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        return SSL.Connection(self._context, None)

    def _verify(
        self, connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, trusted: int
    ) -> bool:
        """Only the key of the peer's own certificate counts; others that it sends mean nothing."""
        return depth > 0 or self._admits(key_of(certificate))
