"""The authority of a local name, and its certificate, in a real TLS handshake."""

import ssl
import time
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.reach import certificates
from parachute_hub.reach.certificates import Certificates, ServerCertificate

NOW = 1_800_000_000.0
DAY = 86_400.0
HOST = "parachute.local"


class CertificateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()) / "lan"
        self.now = NOW

    def made(self, host: str = HOST) -> ServerCertificate:
        return Certificates(folder=self.folder, now=lambda: self.now).of(host)

    def test_it_is_kept_until_a_month_before_its_end(self) -> None:
        first = self.made()
        self.now += 300 * DAY
        self.assertEqual(self.made(), first)
        self.now += 90 * DAY
        renewed = self.made()
        self.assertNotEqual(renewed.pem, first.pem)
        self.assertEqual(renewed.authority, first.authority)

    def test_another_name_gets_another_authority(self) -> None:
        first, other = self.made(), self.made("notes.local")
        self.assertNotEqual(first.fingerprint, other.fingerprint)

    def test_damaged_files_are_replaced(self) -> None:
        first = self.made()
        for name in ("server.pem", "authority.pem"):
            (self.folder / name).write_bytes(b"-----BEGIN nothing")
            self.assertNotEqual(self.made().pem, first.pem, name)

    def test_keys_are_for_the_owner_alone(self) -> None:
        self.made()
        for name in ("server.pem", "authority.pem"):
            self.assertEqual((self.folder / name).stat().st_mode & 0o777, 0o600)
        self.assertEqual(self.folder.stat().st_mode & 0o777, 0o700)

    def test_the_authority_vouches_for_one_name_alone(self) -> None:
        authority = x509.load_pem_x509_certificate(self.made().authority)
        limits = authority.extensions.get_extension_for_class(x509.NameConstraints)
        self.assertTrue(limits.critical)
        self.assertEqual(limits.value.permitted_subtrees, [x509.DNSName(HOST)])

    def test_a_device_that_trusts_it_connects_by_that_name_alone(self) -> None:
        self.now = time.time()
        made = self.made()
        file = self.folder / "served.pem"
        file.write_bytes(made.pem)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(file)
        trust = ssl.create_default_context(cadata=made.authority.decode())
        trust.verify_flags |= ssl.VERIFY_X509_STRICT
        _handshake(server, trust, HOST)
        for context, name in ((trust, "bank.local"), (ssl.create_default_context(), HOST)):
            with self.assertRaises(ssl.SSLCertVerificationError):
                _handshake(server, context, name)

    def test_a_stolen_key_vouches_for_no_address(self) -> None:
        self.now = time.time()
        made = Certificates(folder=self.folder, now=lambda: self.now)
        trust = ssl.create_default_context(cadata=made.of(HOST).authority.decode())
        stolen = (self.folder / "authority.pem").read_bytes()
        for address in ("192.168.1.1", "2001:db8::1"):
            name = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address))])
            self.patch(certificates, "_own_name", lambda host, name=name: name)
            file = self.folder / "forged.pem"
            file.write_bytes(made._new_server(stolen, HOST))
            server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            server.load_cert_chain(file)
            with self.assertRaises(ssl.SSLCertVerificationError, msg=address) as refused:
                _handshake(server, trust, address)
            self.assertIn("subtree", refused.exception.verify_message)


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """In memory."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname=name)
    there = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (here, there) * 3:
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
