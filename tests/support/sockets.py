"""The front between clients and modules without a network: in-memory sockets, driven by the test."""

from collections.abc import Iterable, Mapping
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost, ConnectionRefusedError
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import Site

from parachute_hub.proxy.audience import NoVisitors, Visitors
from parachute_hub.proxy.front import Backend, Front
from parachute_hub.proxy.limits import Limits
from parachute_hub.proxy.model import HasSession, ModuleView, NoTokenChecker, TokenChecker
from parachute_hub.proxy.routes import Mount, Table
from parachute_hub.proxy.upstream import Buffered
from parachute_hub.proxy.vault_writes import NoQuotas, VaultRoom
from tests.support.processes import FakeConnector

HOST = "hub.test"


class FakeSocket:
    """A TCP transport that keeps what is written. The other side acts through `deliver`, `hang_up` and `reset`. As
    with a real one, closing our side leads to connectionLost in the next turn of `clock`; the other side sees it a
    turn later.
    """

    bufferSize = 64 * 1024

    def __init__(self, protocol: Protocol, peer: str = "127.0.0.1", clock: Clock | None = None) -> None:
        self.protocol = protocol
        self.peer = peer
        self.written = b""
        self.paused = False
        self.aborted = False
        self.half_closed = False
        self.producer: Any = None
        self._open = True
        self._ending: Exception | None = None
        self._clock = clock or Clock()
        self._held: list[bytes] = []
        protocol.makeConnection(self)

    # The other side.

    @property
    def connected(self) -> bool:
        """Whether the connection is open."""
        self.take_turn()
        return self._open

    def take_turn(self) -> None:
        """Run what was scheduled for the next turn of the loop."""
        self._clock.advance(0)

    def deliver(self, data: bytes) -> None:
        """The other side sends; bytes for a paused reader wait, as in a kernel."""
        if not self.connected:
            return
        if self.paused:
            self._held.append(data)
        else:
            self.protocol.dataReceived(data)

    def hang_up(self) -> None:
        """The other side closes normally."""
        self.take_turn()
        self._lost(ConnectionDone())

    def send_no_more(self) -> None:
        """The other side closes its direction, and may still read."""
        self.take_turn()
        half = IHalfCloseableProtocol(self.protocol, None)
        if half is None:
            self._lost(ConnectionDone())
        else:
            half.readConnectionLost()

    def reset(self) -> None:
        """The other side resets the connection."""
        self.take_turn()
        self._lost(ConnectionLost())

    def take(self) -> bytes:
        """What was written since the last call."""
        self.take_turn()
        written, self.written = self.written, b""
        return written

    # The transport.

    def write(self, data: bytes) -> None:
        if self._open and not self.half_closed:
            self.written += data

    def loseConnection(self) -> None:
        """Everything is sent immediately, so this closes in the next turn."""
        self._end(ConnectionDone())

    def loseWriteConnection(self) -> None:
        """No more writes; the other side may still send."""
        self.half_closed = True

    def abortConnection(self) -> None:
        """Closes with a reset."""
        self.aborted = self.aborted or self._open
        self._end(ConnectionAborted())

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        """Deliver what was held too."""
        self.paused = False
        while self._held and self._open and not self.paused:
            self.protocol.dataReceived(self._held.pop(0))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """A second producer is refused, as by a real transport."""
        if self.producer is not None:
            raise RuntimeError("There is a producer already.")
        if self._open:
            self.producer = producer
        else:
            producer.stopProducing()

    def unregisterProducer(self) -> None:
        self.producer = None

    def setTcpNoDelay(self, enabled: bool) -> None: ...

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", self.peer, 50000)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 1939)

    def _end(self, reason: Exception) -> None:
        if self._ending is None:
            self._clock.callLater(0, self._ended)
        if not isinstance(self._ending, ConnectionAborted):
            self._ending = reason

    def _ended(self) -> None:
        assert self._ending is not None
        self._lost(self._ending)

    def _lost(self, reason: Exception) -> None:
        if self._open:
            self._open = False
            self.protocol.connectionLost(Failure(reason))


class FakeModules:
    """The modules' side: connections made by the front, newest last, and the modules' states. `ports` is where each
    listens. With `refuse` set, connections fail; with `slow`, they are made only by `accept`.
    """

    def __init__(self, ports: Mapping[str, int], clock: Clock | None = None) -> None:
        self.ports = ports
        self._clock = clock or Clock()
        self.sockets: list[FakeSocket] = []
        self.views: dict[str, ModuleView] = {}
        self.refuse = False
        self.slow = False
        self.waking: list[Deferred[bool]] = []
        self._pending: list[Any] = []

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: object = None
    ) -> FakeConnector:
        """As the reactor does, but immediately."""
        connector = FakeConnector(factory)
        if self.refuse:
            connector.over = True
            factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))
            return connector
        self._pending.append((factory, IPv4Address("TCP", host, port)))
        if not self.slow:
            self.accept()
        return connector

    def accept(self) -> None:
        """Make the oldest waiting connection."""
        factory, address = self._pending.pop(0)
        self.sockets.append(FakeSocket(factory.buildProtocol(address), clock=self._clock))

    def view(self, short: str) -> ModuleView | None:
        """Ready, unless the test says something else."""
        return self.views.get(short, ModuleView("ready", port=self.ports.get(short)))

    async def wake(self, short: str) -> bool:
        """Resolves when the test says so."""
        waiter: Deferred[bool] = Deferred()
        self.waking.append(waiter)
        return await waiter

    @property
    def newest(self) -> FakeSocket:
        """The newest connection."""
        return self.sockets[-1]


class Rig:
    """A front with its surroundings. `client()` connects; `modules.newest` is the module's end."""

    def __init__(
        self,
        mounts: Iterable[Mount] = (Mount("notes", b"/notes", 2001),),
        *,
        resource: IResource | None = None,
        hosts: Iterable[str] = (HOST,),
        issuer: str = f"https://{HOST}",
        limits: Limits | None = None,
        hops: int = 0,
        gated: bool = False,
        tokens: TokenChecker | None = None,
        has_session: HasSession = lambda cookie, secure: False,
        visitors: Visitors | None = None,
        room: VaultRoom | None = None,
        access_log: Any = None,
        buffered: Buffered = lambda local, remote: None,
    ) -> None:
        self.clock = Clock()
        mounts = tuple(mounts)
        self.modules = FakeModules({mount.short: mount.port for mount in mounts}, self.clock)
        self.table = Table.build(mounts, hosts, issuer, gated)
        self.front = Front(
            site=Site(resource or Resource(), reactor=self.clock),
            backend=Backend(
                table=lambda: self.table,
                modules=self.modules,
                tokens=tokens or NoTokenChecker(),
                has_session=has_session,
                visitors=visitors or NoVisitors(),
                room=room or NoQuotas(),
            ),
            clock=self.clock,
            connector=self.modules,  # type: ignore[arg-type]
            hops=hops,
            limits=limits,
            access_log=access_log,
            buffered=buffered,
        )
        self.front.doStart()

    def stop(self) -> None:
        self.front.doStop()

    def client(self, peer: str = "127.0.0.1") -> FakeSocket:
        """A client connects."""
        protocol = self.front.buildProtocol(IPv4Address("TCP", peer, 50000))
        if protocol is None:
            raise ConnectionRefusedError
        return FakeSocket(protocol, peer, self.clock)

    def ask(self, request: bytes, peer: str = "127.0.0.1") -> FakeSocket:
        """A client connects and sends."""
        client = self.client(peer)
        client.deliver(request)
        return client

    def pass_time(self, seconds: float) -> None:
        """Second by second, as the front's timer expects."""
        self.clock.pump([1.0] * int(seconds))


def get(path: str, *lines: str, method: str = "GET") -> bytes:
    """A request's bytes, with a Host header."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: {HOST}", *lines, "", ""]).encode("latin-1")


def ok(body: bytes = b"hello", *lines: str) -> bytes:
    """A plain response of a module."""
    head = ["HTTP/1.1 200 OK", *lines, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(head).encode("latin-1") + body
