"""A connection to a module: an HTTP/1.1 client protocol."""

from collections.abc import Callable
from enum import Enum, auto
from functools import partial
from typing import Protocol, TypeAlias

from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Protocol as BaseProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from parachute_hub.proxy.chunked import Chunked
from parachute_hub.proxy.head import HEAD_END, BadMessage, ResponseHead
from parachute_hub.proxy.interfaces import Attach, BodyKind, Socket
from parachute_hub.proxy.transport import (
    FIRST_READ,
    FRAME_READ,
    PROVEN,
    STREAM_READ,
    not_connected,
    splice,
    unread,
    unsent,
)

# Maximum 1xx responses before the final one; a module that sends more is in a loop.
_MAX_INTERIM = 16
# Held for a request by the hub, the kernel and the module, while nothing waits.
REQUEST_HOLDS = 24 * 1024
# Held by the kernel, here and for the module, of a response that nobody reads, until one is measured.
KERNEL_HOLDS = 320 * 1024
# A connection that has carried more than this has large buffers, and is not used again.
_LARGE = 1024 * 1024

# Bytes in the kernel's buffers of another process's socket, from its port to a port of ours; None if unknown.
Buffered: TypeAlias = Callable[[int, int], int | None]


class ResponseSink(Protocol):
    """Receives the response to a request. After got_end or got_failure, nothing more is called.

    `unframed` requests the decoded data of a chunked body. `sending` is true while the request body is incomplete; such
    a connection is not reused.
    """

    unframed: bool
    sending: bool

    def got_connection(self, upstream: "Upstream") -> None:
        """The requested connection."""

    def got_no_connection(self, busy: bool) -> None:
        """No connection: the pool is at its limit (`busy`), or nothing listens."""

    def got_interim(self, head: ResponseHead) -> None:
        """A 1xx response."""

    def got_head(self, head: ResponseHead, kind: BodyKind, first: bytes, last: bool) -> None:
        """The final response head and the first bytes of its body; `last` if that is all of it."""

    def got_body(self, data: bytes) -> None:
        """More of the body."""

    def got_end(self) -> None:
        """The response is complete."""

    def got_failure(self, why: str, answered: bool) -> None:
        """The response broke off; `answered` if any byte of it had arrived."""

    def got_upgrade(self, head: ResponseHead, rest: bytes) -> None:
        """101: the connection is now a tunnel. `rest` followed the head."""


class Owner(Protocol):
    """The pool, as its connections see it."""

    attach: Attach
    head_bytes: int
    now: float
    heads_begun: dict["Upstream", float]
    # Bytes that a module's kernel is taken to hold for a response that nobody reads.
    expected: int

    def head(self, raw: bytes) -> ResponseHead:
        """Parse a response head. Raises BadMessage."""

    def buffered_for(self, upstream: "Upstream") -> int | None:
        """Bytes in the buffers of the module's end; None if unknown."""

    def put_back(self, upstream: "Upstream") -> None:
        """Return a connection whose request is complete."""

    def lost(self, upstream: "Upstream") -> None:
        """A connection closed."""


class _State(Enum):
    IDLE = auto()
    HEAD = auto()
    LENGTH = auto()
    CHUNKED = auto()
    UNTIL_CLOSE = auto()
    TUNNEL = auto()


_IDLE, _HEAD, _LENGTH, _CHUNKED, _UNTIL_CLOSE, _TUNNEL = _State


def _nothing() -> None:
    pass


class Upstream(BaseProtocol):
    """One connection to a module. Response bytes go to the sink as they arrive."""

    transport: Socket  # type: ignore[assignment]

    def __init__(self, pool: Owner, sink: ResponseSink) -> None:
        self.idle_since = 0.0
        self.used = 0
        self.put: Callable[[bytes], None] = not_connected
        self._pool = pool
        self._sink: ResponseSink | None = sink
        self._state = _IDLE
        self._method = b""
        self._buffer = b""
        self._left = 0
        self._chunks = Chunked()
        self._keep = True
        self._answered = False
        self._interims = 0
        self._paused = False
        self._received = 0
        self._receive: Callable[[bytes], None] = not_connected
        self._lost: Callable[[], None] = _nothing

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.transport.bufferSize = FIRST_READ
        self.transport = self._pool.attach(self.transport, self)
        self.put = self.transport.write
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.got_connection(self)

    def send(self, sink: ResponseSink, method: bytes, data: bytes) -> None:
        """Begin a request: `data` is its head and the available part of its body. The rest follows through `put`."""
        self._sink = sink
        self._method = method
        self._state = _HEAD
        self._answered = False
        self._interims = 0
        self.used += 1
        self.put(data)

    def become_tunnel(self, receive: Callable[[bytes], None], lost: Callable[[], None]) -> None:
        """Pass all further bytes to `receive`; `lost` is called when the module closes."""
        self._sink = None
        self._state = _TUNNEL
        self._receive = receive
        self._lost = lost

    def held(self, *, exactly: bool) -> int:
        """Bytes held for this request: objects, its body on its way to the module, and what the module sent ahead."""
        waiting = REQUEST_HOLDS + unsent(self.transport)
        if not self._paused:
            return waiting
        measured = self._pool.buffered_for(self) if exactly else None
        if measured is None:
            expected = self._pool.expected
            measured = min(self._left, expected) if self._state is _LENGTH else expected
        return waiting + measured + unread(self.transport)

    @property
    def is_new(self) -> bool:
        """It has carried too little to have been given larger buffers."""
        return self._received <= PROVEN

    def pause(self) -> None:
        """Stop reading the response."""
        self._paused = True
        self.transport.pauseProducing()

    def resume(self) -> None:
        """Resume reading, if paused."""
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()

    def splice(self, target: Socket, passed: Callable[[int], None]) -> None:
        """Let what is known to come of the body, all but its last byte, go to this socket without being read here."""
        chunked = self._state is _CHUNKED
        left = self._chunks.left if chunked else self._left
        spliced = splice(self.transport, target, left - 1, partial(self._passed, passed))
        if chunked and left:
            # What follows a long chunk is the size of the next.
            self.transport.bufferSize = FRAME_READ if spliced else STREAM_READ

    def _passed(self, passed: Callable[[int], None], count: int) -> None:
        self._received += count
        if self._state is _CHUNKED:
            self._chunks.skip(count)
        else:
            self._left -= count
        passed(count)

    def end_tunnel(self) -> None:
        """Close once the module has taken what is queued, which it has as long for as for the head of a response."""
        if self._state is _TUNNEL:
            self._pool.heads_begun[self] = self._pool.now
            self.transport.loseConnection()

    def late(self) -> None:
        """The head of a response, or the end of a tunnel, began long ago."""
        if self._state is _HEAD and self._buffer:
            self._fail("the head of its answer did not end")
        elif self._state is _TUNNEL:
            self.transport.abortConnection()

    def drop(self) -> None:
        """The sink is gone: abort the request."""
        self._sink = None
        self._state = _IDLE
        self._keep = False
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        sink, state = self._sink, self._state
        self._received += len(data)
        if state is _TUNNEL:
            self._receive(data)
        elif sink is None:
            # Unsolicited bytes: they must not become the start of the next response.
            self._keep = False
            self.transport.abortConnection()
        elif state is _HEAD:
            self._take_head(sink, data)
        elif state is _LENGTH:
            self._take_length(sink, data)
        elif state is _CHUNKED:
            self._take_chunked(sink, data)
        else:
            sink.got_body(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._pool.lost(self)
        sink, self._sink = self._sink, None
        if self._state is _TUNNEL:
            self._state = _IDLE
            lost, self._lost, self._receive = self._lost, _nothing, not_connected
            lost()
        elif sink is None:
            return
        elif self._state is _UNTIL_CLOSE and reason.check(ConnectionDone):
            sink.got_end()
        else:
            sink.got_failure("it closed the connection before its answer was complete", self._answered)

    def _take_head(self, sink: ResponseSink, data: bytes) -> None:
        self._answered = True
        data = self._buffer + data if self._buffer else data
        end = data.find(HEAD_END)
        if end < 0 or end > self._pool.head_bytes:
            if not self._buffer:
                self._pool.heads_begun[self] = self._pool.now
            self._buffer = data
            if len(data) > self._pool.head_bytes:
                self._fail("the head of its answer is too large")
            return
        self._buffer = b""
        try:
            head = self._pool.head(data[:end])
            if head.status < 200:
                self._take_interim(sink, head, data[end + 4 :])
            else:
                self._begin_body(sink, head, data[end + 4 :])
        except BadMessage as bad:
            self._fail(f"its answer is not valid HTTP: {bad.why}")

    def _take_interim(self, sink: ResponseSink, head: ResponseHead, rest: bytes) -> None:
        if head.status == 101:
            self._keep = False
            sink.got_upgrade(head, rest)
            return
        self._interims += 1
        if self._interims > _MAX_INTERIM:
            self._fail("it sends interim answers without end")
            return
        sink.got_interim(head)
        if rest:
            self.dataReceived(rest)

    def _begin_body(self, sink: ResponseSink, head: ResponseHead, rest: bytes) -> None:
        self._keep = head.keep and self._keep
        if self._method == b"HEAD" or head.status in (204, 304):
            self._keep = self._keep and not rest
            sink.got_head(head, BodyKind.NONE, b"", True)
            self._finish(sink)
        elif head.chunked:
            self._state = _CHUNKED
            payload: list[bytes] | None = [] if sink.unframed else None
            self._chunks = Chunked(payload)
            part, last = self._part_of_chunks(rest)
            sink.got_head(head, BodyKind.CHUNKED, part, last)
            if last:
                self._finish(sink)
        elif head.length is not None:
            left = head.length - len(rest)
            if left > 0:
                self._state, self._left = _LENGTH, left
                sink.got_head(head, BodyKind.LENGTH, rest, False)
                return
            self._keep = self._keep and not left
            sink.got_head(head, BodyKind.LENGTH, rest[: head.length], True)
            self._finish(sink)
        else:
            self._state = _UNTIL_CLOSE
            self._keep = False
            sink.got_head(head, BodyKind.UNTIL_CLOSE, rest, False)

    def _take_length(self, sink: ResponseSink, data: bytes) -> None:
        self._left -= len(data)
        if self._left > 0:
            sink.got_body(data)
            return
        if self._left:
            self._keep = False
            data = data[: self._left]
        sink.got_body(data)
        self._finish(sink)

    def _take_chunked(self, sink: ResponseSink, data: bytes) -> None:
        try:
            part, last = self._part_of_chunks(data)
        except BadMessage as bad:
            self._fail(f"its answer is not valid HTTP: {bad.why}")
            return
        if part:
            sink.got_body(part)
        if last and self._sink is sink:
            if self.transport.bufferSize == FRAME_READ:
                self.transport.bufferSize = STREAM_READ
            self._finish(sink)

    def _part_of_chunks(self, data: bytes) -> tuple[bytes, bool]:
        """(the part of `data` for the sink, whether the body ends in it)."""
        end = self._chunks.feed(data) if data else -1
        if 0 <= end < len(data):
            self._keep = False
            data = data[:end]
        payload = self._chunks.payload
        if payload is not None:
            data = b"".join(payload)
            payload.clear()
        return data, end >= 0

    def _finish(self, sink: ResponseSink) -> None:
        if self._sink is not sink:
            return
        self._sink = None
        self._state = _IDLE
        if self._keep and not sink.sending and self._received < _LARGE:
            # It may be paused for a slow client, and unregistering a producer does not resume it.
            if self._paused:
                self.resume()
            self._pool.put_back(self)
        elif sink.sending:
            # The module answered early and may never read the rest that is queued for it.
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()
        sink.got_end()

    def _fail(self, why: str) -> None:
        sink, self._sink = self._sink, None
        self._state = _IDLE
        self._keep = False
        self.transport.abortConnection()
        if sink is not None:
            sink.got_failure(why, self._answered)
