"""Clients that asked for something small and do not take it, on real sockets: what waits for them counts, too."""

import select
import socket
import struct
from collections.abc import Callable
from functools import partial
from ssl import CERT_NONE, SSLWantReadError, SSLWantWriteError, create_default_context
from typing import Any, ClassVar

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import KeyPair, PrivateCertificate
from twisted.internet.task import deferLater
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import Site

from bench.proxy.ours import AlwaysReady
from parachute_hub.proxy.front import Backend, Front
from parachute_hub.proxy.limits import Limits
from parachute_hub.proxy.poller import poller
from parachute_hub.proxy.routes import Mount, Table
from tests.live.test_proxy_streams import HANDSHAKE

REAL: Any = reactor
MB = 1024 * 1024
# More than a kernel takes for a client that does not read, and less than a module's response that is paused.
PAGE = b"x" * 30_000


class Deaf(Protocol):
    """A module that accepts a WebSocket or an upload, and reads no more of it."""

    transport: Any
    living: "ClassVar[set[Deaf]]" = set()

    def connectionMade(self) -> None:
        self.living.add(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.living.discard(self)

    def dataReceived(self, data: bytes) -> None:
        self.transport.pauseProducing()
        if b"websocket" in data:
            self.transport.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
            )


class Page(Resource):
    """The same for every request."""

    isLeaf = True

    def __init__(self, content: bytes = PAGE) -> None:
        super().__init__()
        self._content = content

    def render_GET(self, request: IRequest) -> bytes:
        return self._content

    render_POST = render_GET


async def until(holds: Callable[[], object]) -> None:
    """Let the reactor run until it does; the test's own limit ends a wait in vain."""
    while not holds():
        await deferLater(REAL, 0.005)


class LastResponseTests(TestCase):
    timeout = 60
    addresses = 0

    def front(
        self, limits: Limits, module: Any = None, page: bytes = PAGE, certificate: PrivateCertificate | None = None
    ) -> Front:
        module = REAL.listenTCP(0, module or Site(Page()), interface="127.0.0.1")
        self.addCleanup(module.stopListening)
        self.module_port = module_port = module.getHost().port
        table = Table.build(
            (Mount("notes", b"/notes", module_port, strip=True, websocket=True),), ("hub.test",), "https://hub.test"
        )
        front = Front(
            site=Site(Page(page)),
            backend=Backend(table=lambda: table, modules=AlwaysReady(module_port)),
            clock=REAL,
            connector=REAL,
            limits=limits,
            attach=poller(REAL),
        )
        served = front if certificate is None else TLSMemoryBIOFactory(certificate.options(), False, front)
        port = REAL.listenTCP(0, served, interface="127.0.0.1")
        front.listening(port)
        self.port = port.getHost().port
        self.addCleanup(lambda: front.drain(0.0))
        self.addCleanup(port.stopListening)
        return front

    async def client(self, path: str = "", *lines: str, method: str = "GET") -> socket.socket:
        """One from an address of its own, with room for little. It sends a request, if it has a path."""
        client = socket.socket()
        self.addCleanup(client.close)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.addresses += 1
        client.bind((f"127.0.{self.addresses // 250 + 1}.{self.addresses % 250 + 1}", 0))
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", self.port))
        await until(lambda: select.select([], [client], [], 0)[1])
        if path:
            head = [f"{method} {path} HTTP/1.1", "Host: hub.test", *lines, "", ""]
            client.sendall("\r\n".join(head).encode())
        return client

    async def taken(self, client: socket.socket) -> bytes:
        """Everything until the end, or until a whole page has come."""
        found = b""
        while not found.endswith(PAGE):
            try:
                data = client.recv(MB)
            except BlockingIOError:
                await deferLater(REAL, 0.005)
                continue
            if not data:
                break
            found += data
        return found

    async def test_what_is_not_taken_counts(self) -> None:
        """Of the hub's own pages and of modules' responses, whether the connection goes on or ends."""
        for path, lines in (("/api/page", ()), ("/api/page", ("Connection: close",)), ("/notes/page", ())):
            await self.crowd(path, *lines)

    async def crowd(self, path: str, *lines: str) -> None:
        front = self.front(Limits(stalled_bytes=MB))
        crowd = [await self.client(path, *lines) for _ in range(100)]
        await until(partial(self.have_come, front, 100))
        self.assertLessEqual(front._stalls.held, MB, (path, lines))
        await until(lambda: front.connections < 60)
        self.assertGreater(front.connections, 3, (path, lines))
        for client in crowd:
            client.close()
        await until(lambda: not front.connections)

    async def test_what_is_not_taken_counts_over_tls(self) -> None:
        """As from devices at home, which the hub itself answers over TLS."""
        large = 10 * PAGE
        front = self.front(
            Limits(stalled_bytes=MB), page=large, certificate=KeyPair.generate().selfSignedCert(1, CN="hub.test")
        )
        trusting = create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, CERT_NONE
        crowd = []
        for _ in range(12):
            plain = await self.client()
            client = trusting.wrap_socket(plain, do_handshake_on_connect=False)
            self.addCleanup(client.close)
            while True:
                try:
                    client.do_handshake()
                    break
                except (SSLWantReadError, SSLWantWriteError):
                    await deferLater(REAL, 0.001)
            client.sendall(b"GET /api/page HTTP/1.1\r\nHost: hub.test\r\n\r\n")
            crowd.append(client)
        await until(partial(self.have_come, front, 12))
        # What waits in the kernel alone would leave room for twice as many.
        await until(lambda: front.connections <= 4)
        self.assertGreater(front.connections, 1)
        for client in crowd:
            client.close()
        await until(lambda: not front.connections)

    def have_come(self, front: Front, requests: int) -> bool:
        """Whether so many requests were answered, cut off, or are under way."""
        over = sum(counters.requests for _, counters in front.metrics.all())
        return over + front.under_way(self.module_port) >= requests

    async def test_who_takes_it_is_not_waited_for_any_more(self) -> None:
        front = self.front(Limits())
        client = await self.client("/api/page")
        await until(lambda: len(front._stalls) == 1)
        self.assertTrue((await self.taken(client)).endswith(PAGE))
        await until(lambda: not len(front._stalls))
        client.sendall(b"GET /api/page HTTP/1.1\r\nHost: hub.test\r\n\r\n")
        self.assertTrue((await self.taken(client)).endswith(PAGE))

    async def test_a_slow_client_gets_all_after_a_form(self) -> None:
        """The seconds after which a closing connection is cut begin once it has taken its response."""
        for path in ("/api/page", "/notes/page"):
            await self.slow(path)

    async def slow(self, path: str) -> None:
        front = self.front(Limits(linger_seconds=0.0))
        client = await self.client(path, "Connection: close", "Content-Length: 4", method="POST")
        client.sendall(b"form")
        await until(partial(self.have_come, front, 1))
        began = front.now
        await until(lambda: front.now > began + 1)
        self.assertTrue((await self.taken(client)).endswith(PAGE), path)

    async def test_at_the_limit_it_keeps_nobody_out(self) -> None:
        """A client that does not take its response is not idle, and closing it makes no room."""
        front = self.front(Limits(connections=100))
        stalled = await self.client("/api/page")
        await until(partial(self.have_come, front, 1))
        crowd = [await self.client() for _ in range(150)]
        self.assertTrue((await self.taken(await self.client("/api/page"))).endswith(PAGE))
        self.assertGreater(len(crowd), front.connections - 64)
        stalled.close()

    async def test_one_that_vanishes_while_its_module_does_not_read(self) -> None:
        """Nothing is read from it then, so that nothing tells but its socket."""
        for path, lines in (("/notes/up", ("Content-Length: 9000000",)), ("/notes/ws", HANDSHAKE)):
            await self.vanishes(path, *lines)

    async def vanishes(self, path: str, *lines: str) -> None:
        front = self.front(Limits(), Factory.forProtocol(Deaf))
        client = await self.client(path, *lines, method="POST" if path == "/notes/up" else "GET")
        await until(lambda: front.under_way(self.module_port) and (path == "/notes/up" or self.arrived(client)))
        rounds = 0
        while rounds < 20:
            await deferLater(REAL, 0.005)
            rounds = 0 if self.sends(client) or not any(one._paused for one in front._limiter) else rounds + 1
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        await until(lambda: not front.connections)
        self.assertEqual(front.websockets, 0)
        for module in tuple(Deaf.living):
            module.transport.abortConnection()
        await until(lambda: not Deaf.living and not front.under_way(self.module_port))

    def arrived(self, client: socket.socket) -> bool:
        """Whether something can be read."""
        return bool(select.select([client], [], [], 0)[0])

    def sends(self, client: socket.socket) -> bool:
        """Whether the front, or the kernel for it, takes more from this client."""
        try:
            return client.send(bytes(MB)) > 0
        except BlockingIOError:
            return False
