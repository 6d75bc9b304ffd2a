"""The probe against real servers on loopback: one for each fault."""

import datetime
import os
import ssl
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socket import socket

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.problems import address_probe
from parachute_hub.problems.checks.address import AddressFinding


def certificate(folder: Path, days: int) -> Path:
    """A file with a certificate for localhost that signs itself, valid until `days` from now, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - datetime.timedelta(days=90))
        .not_valid_after(today + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    path = folder / "certificate.pem"
    path.write_bytes(made.public_bytes(pem) + key.private_bytes(pem, form, serialization.NoEncryption()))
    return path


class Quiet(HTTPServer):
    """A client that refuses its certificate is no error."""

    def handle_error(self, request: object, client_address: object) -> None: ...


class AddressProbeTests(SynchronousTestCase):
    def server(self, body: bytes, certificate: Path | None = None) -> str:
        """Serve this at /health; the origin."""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None: ...

        server = Quiet(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        scheme = "https" if certificate else "http"
        return f"{scheme}://localhost:{server.server_address[1]}"

    def probe(self, origin: str) -> AddressFinding:
        return address_probe.probe(origin, "this-hub", datetime.datetime.now(datetime.UTC).timestamp())

    def trusting(self, path: Path) -> None:
        """Trust this certificate as the system's would be."""

        before = os.environ.get("SSL_CERT_FILE")
        os.environ["SSL_CERT_FILE"] = str(path)
        self.addCleanup(
            lambda: os.environ.pop("SSL_CERT_FILE") if before is None else os.environ.update(SSL_CERT_FILE=before)
        )

    def folder(self) -> Path:
        folder = Path(self.mktemp())
        folder.mkdir()
        return folder

    def test_this_hub_answers(self) -> None:
        found = self.probe(self.server(b'{"instance": "this-hub"}'))
        self.assertEqual(found, AddressFinding(ours=True))

    def test_another_server_answers(self) -> None:
        for body in (b'{"instance": "another"}', b"<html>", b"[]", b"\xff"):
            self.assertEqual(self.probe(self.server(body)), AddressFinding(ours=False), body)

    def test_nothing_listens(self) -> None:
        with socket() as held:
            held.bind(("127.0.0.1", 0))
            self.assertEqual(self.probe(f"http://localhost:{held.getsockname()[1]}").fault, "refused")

    def test_nobody_answers(self) -> None:
        self.patch(address_probe, "SECONDS", 0.2)
        with socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen()
            self.assertEqual(self.probe(f"http://127.0.0.1:{deaf.getsockname()[1]}").fault, "silent")

    def test_the_name_does_not_exist(self) -> None:
        self.assertEqual(self.probe("http://nothing.invalid").fault, "name")

    def test_a_certificate_that_nobody_trusts(self) -> None:
        found = self.probe(self.server(b"{}", certificate(self.folder(), 60)))
        self.assertEqual((found.fault, "self" in found.detail), ("certificate", True))

    def test_a_certificate_that_has_expired(self) -> None:
        path = certificate(self.folder(), -1)
        self.trusting(path)
        found = self.probe(self.server(b"{}", path))
        self.assertEqual((found.fault, found.detail), ("certificate", "certificate has expired"))

    def test_the_days_until_a_certificate_expires(self) -> None:
        path = certificate(self.folder(), 10)
        self.trusting(path)
        found = self.probe(self.server(b'{"instance": "this-hub"}', path))
        self.assertEqual((found.fault, found.ours), (None, True))
        self.assertEqual(round(found.days_left or 0, 1), 10)

    def test_the_server_hangs_up(self) -> None:
        with socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()

            def hang_up() -> None:
                server.accept()[0].close()

            thread = threading.Thread(target=hang_up)
            thread.start()
            self.addCleanup(thread.join)
            self.assertEqual(self.probe(f"http://127.0.0.1:{server.getsockname()[1]}").fault, "other")
