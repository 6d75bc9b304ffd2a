"""Sockets that an epoll of our own watches. The reactor watches that epoll as one reader.

For each event of each socket the reactor sets up a logging context, and for each `write` it tells the kernel twice what
to watch. Here it does the former for many events at once, and a write is one call as long as nothing is queued.
"""

import select
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocol, IReactorFDSet, IReadDescriptor
from twisted.internet.tcp import Connection
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from parachute_hub.proxy.interfaces import Attach, Socket, unattached
from parachute_hub.proxy.splice import Pipes, Run

# How often, and for how many sockets at once, the kernel is asked before the reactor has its turn again.
_ROUNDS, _BATCH = 4, 32
# How often in one turn a socket hands over what has arrived of a long body.
_TURNS = 8
# Numbers of Linux. Elsewhere there is no Poller.
_IN, _OUT = 0x1, 0x4
_BOTH = _IN | _OUT


def poller(reactor: IReactorFDSet) -> Attach:
    """The fastest way for this system to serve sockets."""
    return Poller(reactor).attach if hasattr(select, "epoll") else unattached


def _nobody(data: bytes) -> None:
    """The connection is over, or Twisted reads from it."""


@implementer(IReadDescriptor)
class Poller:
    """Watches sockets for a reactor, which it asks for turns only while there are any."""

    _log = Logger()

    def __init__(self, reactor: IReactorFDSet) -> None:
        self._reactor = reactor
        self._epoll = select.epoll()
        self._sockets: dict[int, PolledSocket] = {}
        self.pipes = Pipes()

    def attach(self, transport: Socket, protocol: IProtocol) -> Socket:
        """A faster transport in place of a plain TCP one; all others, such as TLS, stay."""
        if isinstance(transport, Connection) and not transport.TLS:
            return PolledSocket(self, transport, protocol)
        return transport

    def watch(self, number: int, one: "PolledSocket", before: int, wanted: int) -> None:
        """Change which events of a descriptor are reported."""
        if not before:
            if not self._sockets:
                self._reactor.addReader(self)
            self._epoll.register(number, wanted)
            self._sockets[number] = one
        elif wanted:
            self._epoll.modify(number, wanted)
        else:
            self._epoll.unregister(number)
            del self._sockets[number]
            if not self._sockets:
                self._reactor.removeReader(self)

    # For the reactor.

    def fileno(self) -> int:
        return self._epoll.fileno()

    def logPrefix(self) -> str:
        return "proxy"

    def doRead(self) -> None:
        """Serve the sockets that are ready, and those that become ready meanwhile; then others have their turn."""
        for _ in range(_ROUNDS):
            events = self._epoll.poll(0, _BATCH)
            for number, event in events:
                one = self._sockets.get(number)
                if one is None:
                    continue
                try:
                    one.ready(event)
                except Exception:
                    self._log.failure("A connection was aborted because of an error")
                    one.abortConnection()
            if len(events) < 2:
                # Little to do: another question would cost more than it saves.
                return

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has stopped: every connection ends, as those do that the reactor watches itself."""
        for one in tuple(self._sockets.values()):
            one.lost(reason)


class PolledSocket:
    """A TCP connection that is read and written here. Twisted's `shell` makes and ends it.

    What Twisted does better is left to it: as soon as the connection fails or the other side has closed, the shell
    reads or writes, finds the same, and tells the protocol.
    """

    __slots__ = (
        *("bufferSize", "socket", "_poller", "_shell", "_receive", "_half_closes", "_number", "_watched", "_reading"),
        *("_queue", "_producer", "_pulls", "_paused", "_direct", "_released", "_closing", "_half_closed", "_read_over"),
        *("_incoming", "_outgoing"),
    )

    def __init__(self, poller: Poller, shell: Connection, protocol: IProtocol) -> None:
        self.bufferSize = shell.bufferSize
        self.socket = shell.getHandle()
        self._poller = poller
        self._shell = shell
        self._receive: Callable[[bytes], None] = protocol.dataReceived
        self._half_closes = IHalfCloseableProtocol.providedBy(protocol)
        self._number: int = self.socket.fileno()
        self._watched = 0
        self._reading = True
        self._read_over = False
        self._queue = bytearray()
        self._producer: Any = None
        self._pulls = False
        self._paused = False
        self._direct = True
        self._released = False
        self._closing = False
        self._half_closed = False
        self._incoming: Run | None = None
        self._outgoing: Run | None = None
        shell.pauseProducing()
        self._watch()

    @property
    def queued(self) -> int:
        """Bytes that the kernel has not taken yet, or that wait in a pipe."""
        return len(self._queue) + (self._incoming.size if self._incoming is not None else 0)

    def ready(self, event: int) -> None:
        """Read or write, as the kernel says."""
        if event & ~_BOTH:
            self._fail(b"")
            return
        turns = 0
        while event & _IN and self._reading:
            if (run := self._outgoing) is not None:
                turns += 1
                if turns < _TURNS and run.pull(self._number):
                    continue
                if run.left:
                    if turns == 1:
                        run.stop()  # Nothing came, though the kernel said so: reading tells why.
                    break
                self._outgoing = None
                continue  # It may have been paused or aborted meanwhile.
            try:
                data = self.socket.recv(self.bufferSize)
            except BlockingIOError:
                break
            except OSError:
                self._fail(b"")
                return
            if not data:
                self._read_end()
                break
            self._receive(data)
            if self._outgoing is None:
                break
        if event & self._watched & _OUT:
            self._flush()

    def write(self, data: bytes) -> None:
        """Send at once, unless something is queued."""
        if self._direct:
            try:
                # What comes through a pipe follows at once.
                sent = self.socket.send(data) if self._incoming is None else self.socket.send(data, socket.MSG_MORE)
            except BlockingIOError:
                sent = 0
            except OSError:
                self._fail(data)
                return
            if sent == len(data):
                return
            data = data[sent:]
        elif self._released:
            self._shell.write(data)
            return
        elif self._half_closed:
            return
        self._direct = False
        self._queue += data
        if len(self._queue) > self.bufferSize:
            self._pause_producer()
        self._watch()

    def splice(self, target: Socket, count: int, passed: Callable[[int], None]) -> bool:
        """Let the next `count` bytes go straight to another socket, whose producer reads from this one. False if that
        is not possible now. `passed` is told how many have gone: fewer, if the rest has to be read after all.
        """
        if self._outgoing is not None or not self._reading or not isinstance(target, PolledSocket):
            return False
        self._outgoing = target.open_pipe(count, passed)
        return self._outgoing is not None

    def open_pipe(self, count: int, passed: Callable[[int], None]) -> Run | None:
        """A pipe whose content is the head of the queue. None while there is a queue, or no producer to pause."""
        if not self._direct or self._incoming is not None or self._producer is None or self._pulls:
            return None
        pipes = self._poller.pipes
        pipe = pipes.take()
        if pipe is not None:
            self._incoming = Run(self, pipes, pipe, count, passed)
        return self._incoming

    @property
    def takes_pipe(self) -> bool:
        """Whether what comes through the pipe now would be sent in its order, and the source be paused in time."""
        return self._producer is not None and not (self._queue or self._closing or self._half_closed)

    def feed(self, run: Run, full: bool = False) -> None:
        """Send what has come through the pipe. Its end is given back when the run is over."""
        if self._direct and self._push(run) or self._released:
            return
        self._direct = False
        if full or run.size > self.bufferSize:
            self._pause_producer()
        self._watch()

    def loseConnection(self) -> None:
        self._closing = True
        self._reading = self._direct = False
        if self.queued or self._pulls:
            self._watch()
        else:
            self._release()
            self._shell.loseConnection()

    def loseWriteConnection(self) -> None:
        if self._released:
            self._shell.loseWriteConnection()
            return
        self._half_closed = True
        self._direct = False
        if not self.queued:
            self._shell.loseWriteConnection()

    def abortConnection(self) -> None:
        self._release()
        self._shell.abortConnection()

    def lost(self, reason: Failure) -> None:
        """Nobody watches any more."""
        self._release()
        self._shell.connectionLost(reason)

    def pauseProducing(self) -> None:
        if self._released:
            self._shell.pauseProducing()
        else:
            self._reading = False
            self._watch()

    def resumeProducing(self) -> None:
        if self._released:
            self._shell.resumeProducing()
        elif not self._closing and not self._read_over:
            self._reading = True
            self._watch()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        # The shell tells it when the connection ends, and refuses a second one.
        self._shell.registerProducer(producer, True)
        if self._shell.disconnected:
            return
        self._producer = producer
        self._pulls = not streaming
        if self._pulls:
            self._watch()

    def unregisterProducer(self) -> None:
        self._producer = None
        self._pulls = self._paused = False
        self._shell.unregisterProducer()
        if self._closing and not self.queued:
            self.loseConnection()
        elif not self._released:
            self._watch()

    def setTcpNoDelay(self, enabled: bool) -> None:
        self._shell.setTcpNoDelay(enabled)

    def getPeer(self) -> IPv4Address | IPv6Address:
        address: IPv4Address | IPv6Address = self._shell.getPeer()
        return address

    def getHost(self) -> IPv4Address | IPv6Address:
        address: IPv4Address | IPv6Address = self._shell.getHost()
        return address

    def _watch(self) -> None:
        wanted = (_IN if self._reading else 0) | (_OUT if self.queued or self._pulls else 0)
        if wanted != self._watched:
            before, self._watched = self._watched, wanted
            self._poller.watch(self._number, self, before, wanted)

    def _flush(self) -> None:
        """The kernel has room."""
        if self._incoming is not None and not self._push(self._incoming):
            return
        if self._queue:
            try:
                sent = self.socket.send(self._queue)
            except BlockingIOError:
                return
            except OSError:
                self._fail(b"")
                return
            del self._queue[:sent]
            if self._queue:
                return
        if self._producer is not None and (self._pulls or self._paused):
            self._paused = False
            self._direct = not (self._closing or self._half_closed)
            self._producer.resumeProducing()
            if not self._released:
                self._watch()
        elif self._closing:
            self._release()
            self._shell.loseConnection()
        elif self._half_closed:
            self._watch()
            self._shell.loseWriteConnection()
        else:
            self._direct = True
            self._watch()

    def _read_end(self) -> None:
        """The other side sends no more."""
        self._read_over = True
        self._reading = False
        if self._half_closes:
            self._receive = _nobody
            self._watch()
        else:
            self._release()
        self._shell.resumeProducing()

    def _fail(self, data: bytes) -> None:
        """The connection is broken: the shell finds out how when it goes on. `data` is what could not be sent."""
        reading = self._reading
        piped = self._incoming.rest() if self._incoming is not None else b""
        rest = piped + self._queue + data
        self._release()
        if rest:
            self._shell.write(rest)
        if reading:
            self._shell.resumeProducing()
        if self._closing:
            self._shell.loseConnection()

    def _release(self) -> None:
        """From now on the shell does everything."""
        self._released = True
        self._reading = self._direct = self._pulls = False
        self._receive = _nobody
        self._queue.clear()
        if self._outgoing is not None:
            self._outgoing.stop()
            self._outgoing = None
        if self._incoming is not None:
            self._incoming.end()
            self._incoming = None
        self._watch()

    def _pause_producer(self) -> None:
        if self._producer is not None and not self._pulls:
            self._paused = True
            self._producer.pauseProducing()

    def _push(self, run: Run) -> bool:
        """Hand what is in the pipe to the kernel; true once that is all."""
        try:
            run.push(self._number)
        except OSError:
            self._fail(b"")
            return False
        if run.size:
            return False
        if not run.left:
            self._incoming = None
            run.end()
        return True
