"""A body that passes from one polled socket to another through a pipe, step by step, on real sockets."""

import contextlib
import errno
import fcntl
import os
import socket
from collections.abc import Callable
from typing import Any
from unittest import skipUnless

from twisted.internet import reactor
from twisted.internet.protocol import ClientFactory, Factory
from twisted.trial.unittest import TestCase

from parachute_hub.proxy import transport
from parachute_hub.proxy.poller import Poller
from parachute_hub.proxy.splice import CAPACITY, Pipes
from parachute_hub.proxy.transport import keep_little_unread, trust_reader
from tests.contracts.test_poller import LONG, Far, HalfNear, Near, all_of, turn

REAL: Any = reactor
ALL = 10**6
# Of Linux.
TCP_CONGESTION = 13


def refusing(number: int) -> Callable[..., Any]:
    """A call that the system refuses."""

    def refused(*arguments: Any, **how: Any) -> Any:
        raise OSError(number, os.strerror(number))

    return refused


def congestion_control(handle: socket.socket) -> bytes:
    return handle.getsockopt(socket.IPPROTO_TCP, TCP_CONGESTION, 16).rstrip(b"\0")


class _Attempt(ClientFactory):
    noisy = False


class Gate:
    """Pauses and resumes the source, as an exchange does for the client's transport."""

    def __init__(self, source: Near) -> None:
        self.told: list[str] = []
        self._source = source

    def pauseProducing(self) -> None:
        self.told.append("pause")
        self._source.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self.told.append("resume")
        self._source.transport.resumeProducing()

    def stopProducing(self) -> None:
        self.told.append("stop")


@skipUnless(hasattr(os, "splice"), "the system has no splice")
class SpliceTests(TestCase):
    timeout = 60

    async def setUp(self) -> None:  # type: ignore[override]
        self.poller = Poller(REAL)
        self.source, self.module = await self.near(Near)
        self.target, self.client = await self.near(HalfNear)
        self.gate = Gate(self.source)
        self.target.transport.registerProducer(self.gate, True)
        self.source.react = self.read
        self.was_read = bytearray()
        self.passed = 0

    async def near(self, kind: type[Near]) -> tuple[Near, Far]:
        near = kind(self.poller.attach)
        port = REAL.listenTCP(0, Factory.forProtocol(lambda: near), interface="127.0.0.1")
        far = Far(port.getHost().port)
        await near.made
        await port.stopListening()
        return near, far

    async def tearDown(self) -> None:  # type: ignore[override]
        for near, far in ((self.source, self.module), (self.target, self.client)):
            near.transport.abortConnection()
            far.socket.close()
        await turn()
        for pipe in (pipes := self.poller.pipes)._spare:
            pipes.close(pipe)
        self.assertEqual(pipes.open, 0, "a pipe was lost")

    def read(self, data: bytes) -> None:
        self.was_read += data
        self.target.transport.write(data)

    def told(self, count: int) -> None:
        self.passed += count

    def splice(self, count: int) -> bool:
        done: bool = self.source.transport.splice(self.target.transport, count, self.told)
        return done

    async def send(self, data: bytes) -> None:
        """The module sends all of this, and the client takes what comes."""
        while data:
            try:
                data = data[self.module.socket.send(data) :]
            except BlockingIOError:
                await turn(1)
            self.client.take()

    async def arrives(self, data: bytes) -> None:
        for _ in range(200):
            self.client.take()
            if len(self.client.taken) >= len(data):
                break
            await turn(1)
        self.assertEqual(bytes(self.client.taken), data)

    async def test_nothing_within_this_machine_is_paced(self) -> None:
        """Where BBR is the default, a download takes a third longer. A client elsewhere keeps the system's choice."""
        module, client = self.source.transport, self.target.transport
        self.patch(transport, "EVERYBODY", frozenset())
        usual = congestion_control(client.socket)
        trust_reader(client, module)
        self.assertEqual(congestion_control(client.socket), usual)
        self.patch(transport, "EVERYBODY", frozenset({client.getPeer().host}))
        trust_reader(client, module)
        self.assertEqual(congestion_control(client.socket), b"reno")
        connector = REAL.connectTCP("127.0.0.1", 9, _Attempt())
        keep_little_unread(connector)
        self.assertEqual(congestion_control(connector.transport.getHandle()), b"reno")
        connector.stopConnecting()
        await turn()

    async def test_a_run_passes_unread_and_what_follows_is_read(self) -> None:
        self.assertTrue(self.splice(len(LONG)))
        await self.send(LONG + b"tail")
        await self.arrives(LONG + b"tail")
        self.assertEqual((self.passed, bytes(self.was_read)), (len(LONG), b"tail"))
        self.assertTrue(self.splice(10), "the next run can begin")

    async def test_a_client_that_does_not_read_makes_it_wait_and_gets_all_in_order(self) -> None:
        self.splice(len(LONG))
        sent = 0
        self.module.socket.setblocking(False)
        for _ in range(50):
            await turn(1)
            try:
                sent += self.module.socket.send(LONG[sent:])
            except BlockingIOError:
                continue
        waiting = self.target.transport.queued
        self.assertEqual(self.gate.told, ["pause"])
        self.assertTrue(0 < waiting <= CAPACITY, waiting)
        self.target.transport.write(b"")
        await self.send(LONG[sent:] + b"tail")
        await self.arrives(LONG + b"tail")
        self.assertEqual(self.gate.told[:2], ["pause", "resume"])
        self.assertEqual(self.target.transport.queued, 0)

    async def test_bytes_in_the_pipe_are_sent_before_the_connection_closes(self) -> None:
        self.splice(len(LONG))
        self.module.socket.setblocking(False)
        sent = self.module.socket.send(LONG)
        await turn()
        self.target.transport.unregisterProducer()
        self.target.transport.loseConnection()
        self.source.transport.abortConnection()
        self.assertEqual(await all_of(self.client), LONG[: self.passed])
        self.assertLessEqual(self.passed, sent)

    async def test_a_source_that_ends_is_read_to_its_end(self) -> None:
        self.splice(len(LONG))
        await self.send(LONG[:1000])
        self.module.socket.close()
        await turn()
        self.assertEqual((self.passed, self.source.events), (1000, ["ConnectionDone"]))
        await self.arrives(LONG[:1000])

    async def test_a_source_that_is_reset_fails(self) -> None:
        self.splice(len(LONG))
        await self.send(LONG[:1000])
        await turn()
        self.module.reset()
        await turn()
        self.assertEqual(self.source.events, ["ConnectionLost"])

    async def test_a_target_that_is_reset_fails_and_the_source_is_read(self) -> None:
        self.splice(len(LONG))
        self.module.socket.send(LONG[:1000])
        await turn()
        self.client.reset()
        await turn()
        self.assertEqual(self.target.events, ["ConnectionLost"])
        self.module.socket.send(b"more")
        await turn()
        self.assertEqual(bytes(self.was_read), b"more")

    async def test_a_target_that_is_reset_with_a_full_pipe_fails(self) -> None:
        self.splice(len(LONG))
        self.module.socket.send(LONG)
        await turn()
        self.assertLess(0, self.target.transport.queued)
        self.client.reset()
        await turn()
        self.assertEqual(self.target.events, ["ConnectionLost"])

    async def test_a_source_may_be_aborted_because_the_pipe_is_full(self) -> None:
        """As one of the clients is that the hub waits for, once they hold too much."""
        self.patch(self.gate, "pauseProducing", self.source.transport.abortConnection)
        self.target.transport.bufferSize = 10 * CAPACITY
        self.splice(len(LONG))
        self.module.socket.setblocking(False)
        for at in range(0, len(LONG) // 2, 4000):
            with contextlib.suppress(BlockingIOError, ConnectionError):
                self.module.socket.send(LONG[at : at + 4000])
            await turn(1)
        self.assertEqual(self.source.events, ["ConnectionAborted"])
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_where_splice_is_refused_everything_is_read(self) -> None:
        for number in (errno.EINVAL, errno.ENOSYS, errno.EPERM):
            self.poller.pipes.usable = True
            self.assertTrue(self.splice(len(LONG)))
            already = bytes(self.client.taken)
            patched = self.patch(os, "splice", refusing(number))
            await self.send(LONG)
            await self.arrives(already + LONG)
            patched.restore()
            self.assertFalse(self.splice(len(LONG)), "it is not tried again")
        self.assertEqual((self.passed, len(self.was_read)), (0, 3 * len(LONG)))

    async def test_where_only_sending_is_refused_nothing_is_lost(self) -> None:
        real = os.splice

        def into_pipes_only(src: int, dst: int, count: int, **how: Any) -> int:
            if src == self.source.transport.socket.fileno():
                return real(src, dst, count, **how)
            raise OSError(errno.EINVAL, "refused")

        self.splice(len(LONG))
        self.patch(os, "splice", into_pipes_only)
        await self.send(LONG)
        await self.arrives(LONG)
        self.assertLess(0, self.passed)

    async def test_no_run_begins_where_it_could_change_the_order(self) -> None:
        self.target.transport.unregisterProducer()
        self.assertFalse(self.splice(ALL), "nobody could be paused")
        self.target.transport.registerProducer(self.gate, True)
        self.assertFalse(self.source.transport.splice(object(), ALL, self.told), "TLS, or a socket of a test")
        self.assertTrue(self.splice(ALL))
        self.assertFalse(self.splice(ALL), "there is one")
        self.target.transport.abortConnection()
        self.assertFalse(self.splice(ALL), "the connection is over")

    async def test_what_is_written_meanwhile_keeps_its_place(self) -> None:
        self.splice(len(LONG))
        self.module.socket.setblocking(False)
        sent = self.module.socket.send(LONG)
        await turn()
        passed = self.passed
        self.target.transport.write(b"between")
        await self.send(LONG[sent:])
        await self.arrives(LONG[:passed] + b"between" + LONG[passed:])

    async def test_pipes_are_few(self) -> None:
        pipes = Pipes(2)
        first, second = pipes.take(), pipes.take()
        self.assertIsNone(pipes.take())
        assert first and second
        pipes.give_back(first)
        self.assertEqual(pipes.take(), first)
        for pipe in (first, second):
            pipes.close(pipe)
        self.assertEqual(pipes.open, 0)
        patched = self.patch(os, "pipe2", refusing(errno.EMFILE))
        self.assertIsNone(pipes.take())
        patched.restore()
        self.patch(fcntl, "fcntl", refusing(errno.EPERM))
        self.assertIsNone(pipes.take(), "a small pipe saves nothing")
        self.assertEqual(pipes.open, 0)
