"""A polled socket does what Twisted's own transport does: same steps, same events, every byte."""

import socket
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from parachute_hub.proxy.interfaces import Attach, unattached
from parachute_hub.proxy.poller import PolledSocket, Poller
from parachute_hub.proxy.transport import unread, unsent

REAL: Any = reactor
MB = 1024 * 1024
LONG = bytes(range(256)) * (MB // 256)


class Near(Protocol):
    """Our end, with Twisted's transport or a polled one. `react` is called with each piece."""

    transport: Any

    def __init__(self, attach: Attach) -> None:
        self.events: list[str] = []
        self.received = bytearray()
        self.react: Callable[[bytes], object] = lambda data: None
        self.made: Deferred[None] = Deferred()
        self._attach = attach

    def connectionMade(self) -> None:
        # So that the kernel takes little of what is written.
        self.transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32 * 1024)
        self.transport = self._attach(self.transport, self)
        self.made.callback(None)

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.react(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.events.append(type(reason.value).__name__)


@implementer(IHalfCloseableProtocol)
class HalfNear(Near):
    """One that goes on when the other side sends no more."""

    def readConnectionLost(self) -> None:
        self.events.append("no more")

    def writeConnectionLost(self) -> None:
        self.events.append("closed half")


class Producer:
    """Records what the transport asks for, and writes `parts` when it is told to resume."""

    def __init__(self, near: Near, parts: list[bytes]) -> None:
        self.told: list[str] = []
        self._near, self._parts = near, parts

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")
        if self._parts:
            self._near.transport.write(self._parts.pop(0))
        else:
            self._near.transport.unregisterProducer()
            self._near.transport.loseConnection()

    def stopProducing(self) -> None:
        self.told.append("stop")


class Far:
    """The other side: a plain socket whose buffers are small."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.taken = bytearray()

    def take(self) -> bool:
        """Read what is there; false at the end."""
        try:
            while data := self.socket.recv(256 * 1024):
                self.taken += data
        except BlockingIOError:
            return True
        except ConnectionResetError:
            self.taken += b"RESET"
        return False

    def reset(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()


async def turn(turns: int = 10) -> None:
    """Let the reactor run, also where each turn takes long."""
    for _ in range(turns):
        await deferLater(REAL, 0.002)


async def all_of(far: Far) -> bytes:
    """Everything until the end."""
    while far.take():
        await deferLater(REAL, 0)
    return bytes(far.taken)


Outcome = list[Any]
Story = Callable[[Near, Far], Awaitable[Outcome]]


async def close_behind_much(near: Near, far: Far) -> Outcome:
    near.transport.write(LONG)
    near.transport.write(b"the end")
    near.transport.loseConnection()
    return [await all_of(far) == LONG + b"the end"]


async def half_close_behind_much(near: Near, far: Far) -> Outcome:
    near.transport.write(LONG)
    near.transport.loseWriteConnection()
    taken = await all_of(far)
    near.transport.write(b"lost")
    far.socket.send(b"still here")
    await turn()
    far.socket.close()
    await turn()
    return [taken == LONG, bytes(near.received)]


async def they_send_no_more(near: Near, far: Far) -> Outcome:
    far.socket.send(b"a request")
    far.socket.shutdown(socket.SHUT_WR)
    await turn()
    near.transport.write(LONG)
    near.transport.loseConnection()
    taken = await all_of(far)
    return [bytes(near.received), len(taken) if near.events[:1] == ["no more"] else "lost"]


async def reset_with_bytes_queued(near: Near, far: Far) -> Outcome:
    near.transport.write(LONG)
    await turn()
    far.reset()
    await turn()
    near.transport.write(b"lost")
    return []


async def reset_behind_a_request(near: Near, far: Far) -> Outcome:
    far.socket.send(b"a request")
    await turn()
    far.reset()
    return [bytes(near.received)]


async def reset_while_paused(near: Near, far: Far) -> Outcome:
    near.transport.pauseProducing()
    far.reset()
    await turn()
    before = list(near.events)
    near.transport.resumeProducing()
    return [before]


async def bytes_and_the_end_while_paused(near: Near, far: Far) -> Outcome:
    near.transport.pauseProducing()
    far.socket.send(b"last words")
    far.socket.close()
    await turn()
    before = bytes(near.received), list(near.events)
    near.transport.resumeProducing()
    await turn()
    return [before, bytes(near.received)]


async def pauses_itself(near: Near, far: Far) -> Outcome:
    near.react = lambda data: near.transport.pauseProducing()
    far.socket.send(b"one")
    await turn()
    far.socket.send(b"two")
    await turn()
    before = bytes(near.received)
    near.transport.resumeProducing()
    await turn()
    return [before, bytes(near.received)]


async def aborts_itself(near: Near, far: Far) -> Outcome:
    near.react = lambda data: near.transport.abortConnection()
    far.socket.send(b"one")
    await turn()
    near.transport.write(b"lost")
    return [await all_of(far)]


async def closes_itself(near: Near, far: Far) -> Outcome:
    near.react = lambda data: (near.transport.write(b"bye"), near.transport.loseConnection())
    far.socket.send(b"one")
    await turn()
    far.socket.send(b"nobody reads this")
    return [(await all_of(far))[:3]]


async def closes_with_much_queued_then_aborts(near: Near, far: Far) -> Outcome:
    near.transport.write(LONG)
    near.transport.loseConnection()
    near.transport.abortConnection()
    return [(await all_of(far))[-5:]]


async def a_producer_is_paused(near: Near, far: Far) -> Outcome:
    producer = Producer(near, [])
    near.transport.registerProducer(producer, True)
    near.transport.write(LONG)
    await turn()
    first = list(producer.told)
    return [first, len(await all_of(far)), producer.told]


async def a_producer_is_pulled(near: Near, far: Far) -> Outcome:
    producer = Producer(near, [b"one", LONG, b"two"])
    near.transport.registerProducer(producer, False)
    return [await all_of(far) == b"one" + LONG + b"two", producer.told]


async def a_producer_hears_of_the_end(near: Near, far: Far) -> Outcome:
    producer = Producer(near, [])
    near.transport.registerProducer(producer, True)
    far.reset()
    await turn()
    return [producer.told]


async def a_closing_one_waits_for_its_producer(near: Near, far: Far) -> Outcome:
    producer = Producer(near, [b"one", b"two"])
    near.transport.registerProducer(producer, False)
    near.transport.loseConnection()
    return [await all_of(far), producer.told]


async def they_talk_in_turns(near: Near, far: Far) -> Outcome:
    near.react = near.transport.write
    for number in range(20):
        far.socket.send(b"%d," % number)
        await turn(2)
        far.take()
    await turn()
    far.take()
    return [bytes(far.taken)]


STORIES: tuple[Story, ...] = (
    *(close_behind_much, half_close_behind_much, they_send_no_more, reset_with_bytes_queued, reset_behind_a_request),
    *(reset_while_paused, bytes_and_the_end_while_paused, pauses_itself, aborts_itself, closes_itself),
    *(closes_with_much_queued_then_aborts, a_producer_is_paused, a_producer_is_pulled, a_producer_hears_of_the_end),
    *(a_closing_one_waits_for_its_producer, they_talk_in_turns),
)


class PollerTests(TestCase):
    timeout = 60

    async def play(self, story: Story, kind: type[Near], attach: Attach) -> Outcome:
        near = kind(attach)
        port = REAL.listenTCP(0, Factory.forProtocol(lambda: near), interface="127.0.0.1")
        far = Far(port.getHost().port)
        await near.made
        told = await story(near, far)
        await turn()
        told += [list(near.events)]
        near.transport.abortConnection()
        far.socket.close()
        await port.stopListening()
        await turn(1)
        return told

    async def test_every_story_ends_as_with_twisteds_transport(self) -> None:
        for story in STORIES:
            for kind in (Near, HalfNear):
                usual = await self.play(story, kind, unattached)
                polled = await self.play(story, kind, Poller(REAL).attach)
                self.assertEqual(polled, usual, f"{story.__name__}, {kind.__name__}")

    async def attached(self) -> tuple[Near, Far, Any, Poller]:
        poller = Poller(REAL)
        near = HalfNear(poller.attach)
        port = REAL.listenTCP(0, Factory.forProtocol(lambda: near), interface="127.0.0.1")
        far = Far(port.getHost().port)
        await near.made
        return near, far, port, poller

    async def test_an_error_ends_only_its_own_connection(self) -> None:
        near, far, port, _ = await self.attached()
        near.react = lambda data: 1 // 0
        far.socket.send(b"one")
        await turn()
        self.assertEqual(near.events, ["ConnectionAborted"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        await port.stopListening()

    async def test_what_nobody_takes_is_counted(self) -> None:
        near, far, port, _ = await self.attached()
        near.transport.write(LONG)
        self.assertIsInstance(near.transport, PolledSocket)
        self.assertLessEqual(len(LONG) - 128 * 1024, unsent(near.transport))
        self.assertLessEqual(unsent(near.transport), len(LONG))
        near.transport.abortConnection()
        self.assertEqual(near.transport.queued, 0, "it is not kept for a connection that is over")
        await turn()
        await port.stopListening()

    async def test_without_sockets_the_reactor_has_nothing_to_do(self) -> None:
        near, far, port, poller = await self.attached()
        self.assertIn(poller, REAL.getReaders())
        far.socket.close()
        await turn()
        self.assertEqual(near.events, ["no more"])
        self.assertNotIn(poller, REAL.getReaders())
        near.transport.loseConnection()
        await turn()
        await port.stopListening()

    async def test_connections_end_with_the_reactor(self) -> None:
        near, far, port, poller = await self.attached()
        near.transport.write(LONG)
        poller.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(near.events, ["ConnectionLost"])
        self.assertNotIn(poller, REAL.getReaders())
        await port.stopListening()

    async def test_other_transports_stay(self) -> None:
        """TLS encrypts what is written; its socket must not be written to."""
        near, far, port, poller = await self.attached()
        others: tuple[Any, ...] = (object(), near.transport)
        for other in others:
            self.assertIs(poller.attach(other, near), other)
        near.transport.abortConnection()
        await turn()
        await port.stopListening()

    async def test_what_nobody_reads_is_counted(self) -> None:
        near, far, port, _ = await self.attached()
        near.transport.pauseProducing()
        far.socket.send(b"a few words")
        await turn()
        self.assertEqual((unread(near.transport), bytes(near.received)), (11, b""))
        near.transport.resumeProducing()
        await turn()
        self.assertEqual((unread(near.transport), bytes(near.received)), (0, b"a few words"))
        near.transport.abortConnection()
        await turn()
        self.assertEqual(unread(near.transport), 0, "nothing waits for a connection that is over")
        await port.stopListening()
