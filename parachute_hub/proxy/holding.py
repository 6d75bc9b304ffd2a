"""A client connection that waits: for its client to take its response, or, held between two requests, for a newer hub
that is about to take over.
"""

from collections.abc import Callable, Iterable
from itertools import accumulate
from typing import Any

from parachute_hub.proxy import transport as sockets
from parachute_hub.proxy.dispatcher import Dispatcher
from parachute_hub.proxy.interfaces import Handler, ReadState, Socket, TunnelEnd
from parachute_hub.proxy.routes import ErrorResponse
from parachute_hub.system.records import frozen

_MOST_BYTES = 8 << 20
"""Of requests that have arrived in part."""
_TOO_MANY = ErrorResponse(
    503,
    "starting",
    "The hub is starting, and too many wait for it already. Try again in a moment.",
    headers=(("Retry-After", "2"),),
    close=True,
)


@frozen
class KeptClient:
    """A client between two requests: its descriptor, the address family of its socket, and what it sent so far of the
    next request.
    """

    descriptor: int
    family: int
    sent: bytes


def fitting(clients: Iterable[KeptClient]) -> list[KeptClient]:
    """All of them, but those that have sent the most of a request, if all together sent too much."""
    found = sorted(clients, key=lambda one: len(one.sent))
    sizes = accumulate(len(one.sent) for one in found)
    return [one for one, size in zip(found, sizes, strict=True) if size <= _MOST_BYTES]


def for_health(raw: bytes) -> bool:
    """Whether a request's head asks for `/health`, which is answered while others wait for the hub to start.

    >>> for_health(b"GET /health HTTP/1.1"), for_health(b"GET /healthy HTTP/1.1"), for_health(b"GET")
    (True, False, False)
    """
    return raw.partition(b" ")[2].startswith((b"/health ", b"/health?"))


class Held:
    """The part of a Connection that waits for its client, holds it, lets it go on, and ends it with the hub."""

    state: ReadState
    close: bool
    transport: Socket
    deadline: float | None
    _dispatcher: Dispatcher[Any]
    _handler: Handler | None
    _tunnel: TunnelEnd | None
    _buffer: bytes | bytearray
    address: str
    _let_go: Callable[[], None] | None
    _paused: bool
    _read_all: bool
    _served: bool
    _complete: bool
    _late: bool
    _unsettled: int
    held_back: bool

    def hold(self) -> None:
        """Read nothing more once this request is answered; what the client sends waits in the kernel."""
        if self.state is ReadState.HEAD:
            self.transport.pauseProducing()

    def keep(self, raw: bytes) -> bool:
        """Whether the request with this head waits for the hub, which starts, or is refused because too many do. What
        follows it waits in the kernel.
        """
        if for_health(raw):
            return False
        if self._let_go is None:
            self._let_go = self._dispatcher.waiting.take(self.address, len(self._buffer))
        if self._let_go is None:
            self._refuse(_TOO_MANY)
        else:
            self.deadline = self._dispatcher.now + self._dispatcher.limits.idle_seconds
            self.transport.pauseProducing()
            self.waited_for()
        return True

    def leave(self) -> None:
        """It does not wait for the hub any more."""
        if self._let_go is not None:
            self._let_go()
            self._let_go = None

    def go_on(self) -> None:
        """Read again, and take the request that has arrived."""
        if self.state is not ReadState.HEAD:
            return
        self._paused = False
        self.leave()
        if not self._read_all:
            self.transport.resumeProducing()
        try:
            self._advance()
        except Exception:
            self.transport.abortConnection()
            raise

    def idle(self) -> bool:
        """Whether it waits for another request, and the client has taken all before."""
        return self.state is ReadState.HEAD and self._served and not self._buffer and not self.held_back

    def silent(self) -> bool:
        """Whether no request has come yet."""
        return self.state is ReadState.HEAD and not self._served

    def busy(self) -> bool:
        """Whether a request is under way that will end by itself."""
        if self.state is ReadState.HEAD:
            return sockets.queued(self.transport) > 0
        if self.state in (ReadState.BODY, ReadState.RESPONSE):
            return self._handler is None or not self._handler.endless()
        return self.state is ReadState.LINGER

    def end_soon(self) -> None:
        """Shutting down: close once no request is in progress."""
        self.close = True
        if self.state is ReadState.HEAD and not self._buffer:
            self.transport.loseConnection()
        elif self._tunnel is not None:
            self._tunnel.hub_closes()

    def end_stream(self) -> None:
        """End a WebSocket or an event stream: its client connects again."""
        if self._tunnel is not None:
            self._tunnel.hub_restarts()
        elif self._handler is not None and self._handler.endless():
            self.transport.abortConnection()

    def kept(self) -> KeptClient | None:
        """What a newer hub needs to go on with this client; None if the connection ends with this hub."""
        if self.state is not ReadState.HEAD or self._read_all or self.busy():
            return None
        socket = sockets.socket_of(self.transport)
        return None if socket is None else KeptClient(socket.fileno(), socket.family, bytes(self._buffer))

    def taken_over(self, sent: bytes) -> None:
        """Go on with a client that an older hub had; `sent` is what that one had read of the next request."""
        self._served = True
        self.deadline = self._dispatcher.now + self._dispatcher.limits.idle_seconds
        if sent:
            self.dataReceived(sent)

    def stalled(self) -> None:
        """The client stopped reading; start the timeout."""
        self.deadline = self._dispatcher.now + self._dispatcher.limits.stall_seconds
        self.waited_for()

    def reading_again(self) -> None:
        """The client resumed reading."""
        self._moves()
        if self.state is not ReadState.BODY:
            self.deadline = None

    def took_some(self, now: float) -> None:
        """The client took or sent something. If it was to take its response, the timeout starts anew."""
        between = self.state is ReadState.HEAD and not self._buffer
        if self.deadline is not None and (between or self.state in (ReadState.RESPONSE, ReadState.TUNNEL)):
            self.deadline = now + self._dispatcher.limits.stall_seconds

    def took_all(self, now: float) -> bool:
        """Whether the hub waited for it to take a response, which it has by now, and waits no more."""
        if self.state is not ReadState.HEAD or self._buffer or sockets.unsent(self.transport):
            return False
        self.deadline = now + self._dispatcher.limits.idle_seconds
        self._moves()
        return True

    def _settle(self) -> None:
        """A response was complete within the last second: wait for a client that has not taken all of it.

        What only the kernel still has may be on its way, until the next second.
        """
        unsent = sockets.unsent(self.transport) > 0
        late, self._late = self._late, unsent
        if not unsent:
            if late and self.state is ReadState.LINGER and self.deadline is not None:
                self.deadline = self._dispatcher.now + self._dispatcher.limits.linger_seconds
            return
        self._unsettled = 1
        if self._complete and self.deadline is not None:
            self._complete = False
            self.deadline = self._dispatcher.now + self._dispatcher.limits.stall_seconds
        if not late and not sockets.queued(self.transport):
            return
        if self.state is ReadState.HEAD and not self._buffer and not self.held_back:
            self.stalled()
        elif self.state is ReadState.LINGER:
            self.waited_for()

    def waited_for(self) -> None:
        """The hub waits for the client, or holds more for it than before."""
        self.held_back = True
        self._dispatcher.stalled(self)

    def _moves(self) -> None:
        """It is not waited for, unless it uploads, has a tunnel, or has not taken its last response."""
        if self.held_back and self.state is not ReadState.BODY and self.state is not ReadState.TUNNEL:
            if sockets.queued(self.transport):
                return
            self.held_back = False
            self._dispatcher.moving(self)

    def dataReceived(self, data: bytes) -> None:
        """The client sent something."""
        raise NotImplementedError

    def _refuse(self, answer: ErrorResponse) -> None:
        """Answer and close."""
        raise NotImplementedError

    def _advance(self) -> None:
        """Take the requests that have arrived."""
        raise NotImplementedError
