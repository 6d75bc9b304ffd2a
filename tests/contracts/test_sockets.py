"""In-memory sockets behave like the kernel's: same steps, same events."""

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import ClientFactory, Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from parachute_hub.proxy.poller import Poller
from tests.live.ports import free_port
from tests.support.processes import FakeReactor
from tests.support.sockets import FakeModules, FakeSocket

REAL: Any = reactor


class Recorder(Protocol):
    """Our end of a connection: records events of its transport."""

    transport: Any

    def __init__(self) -> None:
        self.events: list[str] = []
        self.received = b""

    def dataReceived(self, data: bytes) -> None:
        self.received += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.events.append(type(reason.value).__name__)


class Producer:
    """Records what a transport asks of it."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


@implementer(IHalfCloseableProtocol)
class Far(Protocol):
    """The far end of a real connection. It continues when we have closed our half."""

    transport: Any

    def __init__(self) -> None:
        self.written = b""
        self.made: Deferred[None] = Deferred()

    def connectionMade(self) -> None:
        self.made.callback(None)

    def dataReceived(self, data: bytes) -> None:
        self.written += data

    def readConnectionLost(self) -> None:
        """We are done; the other side is not."""

    def writeConnectionLost(self) -> None:
        """It never half-closes on its own."""


async def settle(turns: int = 25) -> None:
    """Let the reactor look at its connections many times, also where one turn takes longer than all of these should."""
    for _ in range(turns):
        await deferLater(REAL, 0.002)


class Kernel:
    """A connection over loopback."""

    def __init__(self) -> None:
        self.near, self.far = Recorder(), Far()

    async def open(self) -> None:
        factory = Factory.forProtocol(lambda: self.near)
        self.port = REAL.listenTCP(0, factory, interface="127.0.0.1")
        here: Any = ClientFactory.forProtocol(lambda: self.far)
        self.connector = REAL.connectTCP("127.0.0.1", self.port.getHost().port, here)
        await self.far.made
        await self.settle()

    async def close(self) -> None:
        self.connector.disconnect()
        if self.near.transport is not None:
            self.near.transport.abortConnection()
        await self.port.stopListening()
        await self.settle()

    async def settle(self) -> None:
        """Until everything has arrived."""
        await settle()

    def deliver(self, data: bytes) -> None:
        self.far.transport.write(data)

    def hang_up(self) -> None:
        self.far.transport.loseConnection()

    def reset(self) -> None:
        self.far.transport.abortConnection()

    def written(self) -> bytes:
        return self.far.written


class Polled(Kernel):
    """The same, read and written by the proxy's poller."""

    async def open(self) -> None:
        await super().open()
        self.near.transport = Poller(REAL).attach(self.near.transport, self.near)


class Memory:
    """The same without a kernel."""

    def __init__(self) -> None:
        self.near = Recorder()

    async def open(self) -> None:
        self.socket = FakeSocket(self.near)
        self.deliver, self.hang_up, self.reset = self.socket.deliver, self.socket.hang_up, self.socket.reset

    async def close(self) -> None:
        self.socket.hang_up()

    async def settle(self) -> None:
        """The next turn."""
        self.socket.take_turn()

    def written(self) -> bytes:
        return self.socket.written


Side = Any
Script = Callable[[Side], list[Callable[[], object]]]


def twice(side: Side) -> None:
    """Register two producers."""
    side.near.transport.registerProducer(Producer(), True)
    try:
        side.near.transport.registerProducer(Producer(), True)
    except RuntimeError:
        side.near.events.append("refused")
    side.near.transport.unregisterProducer()


def late_producer(side: Side) -> None:
    """Register a producer after the connection has closed."""
    producer = Producer()
    side.near.transport.registerProducer(producer, True)
    side.near.events += producer.told


# Steps in order; the events and both directions' bytes must be the same afterwards.
SCRIPTS: dict[str, Script] = {
    "they speak": lambda it: [lambda: it.deliver(b"hello"), lambda: it.near.transport.write(b"world")],
    "they hang up": lambda it: [it.hang_up],
    "they reset": lambda it: [it.reset],
    "we close after the last bytes": lambda it: [
        lambda: (it.near.transport.write(b"last"), it.near.transport.loseConnection())
    ],
    "we abort": lambda it: [lambda: it.near.transport.abortConnection()],
    "we close, then abort": lambda it: [
        lambda: (it.near.transport.loseConnection(), it.near.transport.abortConnection()),
    ],
    "we close twice": lambda it: [
        lambda: it.near.transport.loseConnection(),
        lambda: it.near.transport.loseConnection(),
    ],
    "we abort when it is over": lambda it: [it.hang_up, lambda: it.near.transport.abortConnection()],
    "we write when it is over": lambda it: [it.hang_up, lambda: it.near.transport.write(b"lost")],
    "we close our half and they go on": lambda it: [
        lambda: it.near.transport.loseWriteConnection(),
        lambda: it.deliver(b"still here"),
        lambda: it.near.transport.write(b"lost"),
        it.hang_up,
    ],
    "a paused reader gets nothing": lambda it: [
        lambda: it.near.transport.pauseProducing(),
        lambda: it.deliver(b"waits"),
    ],
    "a paused reader reads on": lambda it: [
        lambda: it.near.transport.pauseProducing(),
        lambda: it.deliver(b"waits"),
        lambda: it.near.transport.resumeProducing(),
    ],
    "two producers": lambda it: [lambda: twice(it)],
    "a producer that comes late": lambda it: [it.hang_up, lambda: late_producer(it)],
}


class SocketTests(TestCase):
    timeout = 30

    async def play(self, side: Side, script: Script) -> tuple[list[str], bytes, bytes]:
        await side.open()
        try:
            for step in script(side):
                step()
                await side.settle()
            return list(side.near.events), side.near.received, side.written()
        finally:
            await side.close()

    async def test_the_same_steps_have_the_same_outcome(self) -> None:
        for name, script in SCRIPTS.items():
            real = await self.play(Kernel(), script)
            self.assertEqual(await self.play(Memory(), script), real, name)
            self.assertEqual(await self.play(Polled(), script), real, f"{name}, polled")

    async def test_addresses_are_of_one_kind(self) -> None:
        for side in (Memory(), Kernel(), Polled()):
            await side.open()
            transport = side.near.transport
            self.assertEqual([type(transport.getPeer()), type(transport.getHost())], [IPv4Address, IPv4Address])
            await side.close()


class Dialler(ClientFactory):
    """Records the outcome of one connection attempt."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def buildProtocol(self, addr: IAddress | None) -> Recorder:
        self.told += ["built", type(addr)]
        return Recorder()

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:
        self.told += ["failed", type(reason.value).__name__, callable(connector.disconnect)]


class ConnectTests(TestCase):
    """`connectTCP` of the fake reactors and the real one."""

    timeout = 30

    async def real(self, listens: bool, give_up: bool = False) -> list[object]:
        port = REAL.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")
        number = port.getHost().port if listens else free_port()
        dialler = Dialler()
        connector = REAL.connectTCP("127.0.0.1", number, dialler)
        if give_up:
            connector.disconnect()
        await settle()
        if not give_up:
            connector.disconnect()
        await port.stopListening()
        await settle()
        return dialler.told

    def supervised(self, listens: bool, give_up: bool = False) -> list[object]:
        pretended, dialler = FakeReactor(), Dialler()
        if listens:
            pretended.listening[80] = None
        connector = pretended.connectTCP("127.0.0.1", 80, dialler)
        if give_up:
            connector.disconnect()
        pretended.advance(0)
        return dialler.told

    def proxied(self, listens: bool) -> list[object]:
        modules, dialler = FakeModules({}), Dialler()
        modules.refuse = not listens
        modules.connectTCP("127.0.0.1", 80, dialler)
        return dialler.told

    async def test_connected_or_refused(self) -> None:
        for listens in (True, False):
            real = await self.real(listens)
            self.assertEqual(self.supervised(listens), real, listens)
            self.assertEqual(self.proxied(listens), real, listens)

    async def test_given_up_before_it_is_made(self) -> None:
        self.assertEqual(self.supervised(True, give_up=True), await self.real(True, give_up=True))
