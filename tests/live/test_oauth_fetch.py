"""The guarded fetch over real TLS, on loopback."""

import ipaddress
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, KeyPair, PrivateCertificate, optionsForClientTLS
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from parachute_hub.oauth.clients.metadata_fetch import LIMIT, DocumentFetcher, DocumentUnreadable, FetchedDocument
from parachute_hub.system.public_addresses import is_public
from tests.live.harness import ROOT


async def here(host: str) -> Sequence[str]:
    """A name server that resolves every name to this machine."""
    return ["127.0.0.1"]


def certificate(*names: str) -> PrivateCertificate:
    """A self-signed certificate for host names and addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([*map(_general, names)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    public = Certificate.loadPEM(signed.public_bytes(serialization.Encoding.PEM))
    made: PrivateCertificate = PrivateCertificate.fromCertificateAndKeyPair(public, KeyPair.load(pem, 1))
    return made


def listen_tls(reactor: Any, factory: Any, shown: PrivateCertificate) -> Any:
    """Listen on loopback, also where the reactor was imported without TLS."""
    return reactor.listenTCP(0, TLSMemoryBIOFactory(shown.options(), False, factory), interface="127.0.0.1")


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Server(Resource):
    """A third party's web server."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[bytes, bytes]] = []

    def render_GET(self, request: Any) -> Any:
        self.asked.append((request.getHeader(b"host"), request.uri))
        request.setHeader(b"Content-Type", b"application/json")
        match request.path:
            case b"/good":
                request.setHeader(b"Cache-Control", b"max-age=7200")
                return json.dumps({"client_id": "x"}).encode()
            case b"/suffix":
                request.setHeader(b"Content-Type", b"application/client+json; charset=utf-8")
                return b"{}"
            case b"/redirect":
                request.setResponseCode(302)
                request.setHeader(b"Location", b"/good")
                return b"{}"
            case b"/html":
                request.setHeader(b"Content-Type", b"text/html")
                return b"{}"
            case b"/list":
                return b"[]"
            case b"/broken":
                return b"{"
            case b"/missing":
                request.setResponseCode(404)
                return b"{}"
            case b"/endless":
                request.write(b"{" + b" " * LIMIT * 2)
                return NOT_DONE_YET
            case b"/long":
                return b'{"a":"' + b"x" * LIMIT + b'"}'
            case _:
                return NOT_DONE_YET


class WireTests(TestCase):
    def setUp(self) -> None:
        self.reactor = cast(Any, reactor)
        self.server = Server()
        self.certificate = certificate("app.test")
        port = listen_tls(self.reactor, Site(self.server), self.certificate)
        self.port = port.getHost().port
        self.addCleanup(port.stopListening)

    def fetch(self, path: str, host: str = "app.test") -> Deferred[FetchedDocument]:
        root = Certificate.loadPEM(self.certificate.dumpPEM())
        fetcher = DocumentFetcher(
            reactor=self.reactor,
            clock=self.reactor,
            resolve=here,
            admitted=lambda address: ipaddress.ip_address(address).is_loopback or is_public(address),
            port=self.port,
            tls=lambda name: optionsForClientTLS(name, trustRoot=root),
        )
        return Deferred.fromCoroutine(fetcher.fetch(f"https://{host}{path}", host))

    async def test_a_document(self) -> None:
        """JSON by type or suffix; cache lifetime; the name is in the request."""
        self.assertEqual(await self.fetch("/good"), FetchedDocument({"client_id": "x"}, 7200.0))
        self.assertEqual(await self.fetch("/suffix"), FetchedDocument({}, 300.0))
        self.assertEqual(self.server.asked[0], (b"app.test", b"/good"))

    async def test_what_is_not_read(self) -> None:
        """Redirects are not followed; other types, statuses, shapes and lengths are refused with the same message."""
        for path in ("/redirect", "/html", "/list", "/broken", "/missing", "/endless", "/long"):
            with self.assertRaises(DocumentUnreadable, msg=path):
                await self.fetch(path)
        self.assertNotIn((b"app.test", b"/good"), self.server.asked)

    async def test_the_certificate_must_be_the_names(self) -> None:
        """Pinning the address does not weaken TLS."""
        with self.assertRaises(DocumentUnreadable):
            await self.fetch("/good", "other.test")
        self.assertEqual(self.server.asked, [])


class Torrent(Protocol):
    """Sends the same bytes forever once asked, as fast as possible."""

    begin: bytes
    again: bytes
    transport: Any

    def __init__(self) -> None:
        self.sent = 0
        self.lost: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        if not self.sent:
            self.transport.registerProducer(self, False)
            self.transport.write(self.begin)

    def resumeProducing(self) -> None:
        self.sent += len(self.again)
        self.transport.write(self.again)

    def stopProducing(self) -> None:
        """The connection closed."""

    def connectionLost(self, reason: Any = None) -> None:
        self.lost.callback(None)


class EndlessTests(WireTests):
    """A server that never stops costs the hub a bounded number of bytes, in any part of the response."""

    async def endless(self, begin: bytes, again: bytes) -> int:
        """Bytes that the server could send until the hub disconnected."""
        protocols: list[Torrent] = []

        class Served(Factory):
            noisy = False

            def buildProtocol(self, addr: Any) -> Torrent:
                made = Torrent()
                made.begin, made.again = begin, again
                protocols.append(made)
                return made

        port = listen_tls(self.reactor, Served(), self.certificate)
        self.addCleanup(port.stopListening)
        self.port = port.getHost().port
        with self.assertRaises(DocumentUnreadable):
            await self.fetch("/x")
        await protocols[0].lost
        return protocols[0].sent

    async def test_each_part_of_an_answer_is_bounded(self) -> None:
        ok = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
        for name, begin, again in (
            ("headers", ok, b"X-More: " + b"x" * 1000 + b"\r\n"),
            ("one header line", ok + b"X-Long: ", b"x" * 1000),
            ("the status line", b"HTTP/1.1 200 ", b"OK" * 500),
            ("informational answers", b"", b"HTTP/1.1 103 Early Hints\r\nX-More: " + b"x" * 900 + b"\r\n\r\n"),
            ("a body without a length", ok + b"\r\n{", b" " * 1000),
            ("chunk extensions", ok + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 1000),
            ("trailers", ok + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", b"X-T: " + b"x" * 990 + b"\r\n"),
        ):
            with self.subTest(name):
                # What the hub reads, and what both sides' socket buffers hold.
                self.assertLess(await self.endless(begin, again), 16 * 1024 * 1024)


_LATE = """
import sys
from parachute_hub.system.loading import without

with without("OpenSSL"):
    import twisted.web.client
    from twisted.internet import reactor
assert "OpenSSL" not in sys.modules
from twisted.scripts.trial import run
sys.argv = ["trial", f"--temp-directory={sys.argv[1]}", "tests.live.test_oauth_fetch.WireTests"]
run()
"""


class LateTests(SynchronousTestCase):
    def test_the_same_with_a_reactor_that_was_imported_without_tls(self) -> None:
        """As the hub does; certificates and names are verified all the same."""
        done = subprocess.run(
            [sys.executable, "-c", _LATE, str(Path(self.mktemp()).absolute())],
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=120,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("PASSED (successes=3)", done.stdout)
