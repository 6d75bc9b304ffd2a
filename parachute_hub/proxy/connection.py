"""One client connection: parses requests strictly and one at a time, tracks bodies, and enforces deadlines."""

from collections.abc import Callable
from functools import partial

from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol as BaseProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from parachute_hub.proxy import pages
from parachute_hub.proxy import transport as sockets
from parachute_hub.proxy.chunked import RequestBody
from parachute_hub.proxy.dispatcher import Dispatcher
from parachute_hub.proxy.head import HEAD_END, LINE_END, BadMessage, RequestHead, refuse_begun
from parachute_hub.proxy.holding import Held
from parachute_hub.proxy.interfaces import Handler, ReadState, Socket, TunnelEnd
from parachute_hub.proxy.plan import Plan
from parachute_hub.proxy.routes import ErrorResponse, bad_request
from parachute_hub.proxy.transport import not_connected

_log = Logger()
_FAULT = ErrorResponse(500, "internal_error", "Something went wrong in the hub. Its log has the details.", close=True)
# A head that is longer than this before its end came counts as held.
_LONG_HEAD = 4 * 1024
# What the head of a response takes, about.
_USUAL_HEAD = 512
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_NO_BODY = RequestBody(0)
_HEAD, _BODY, _RESPONSE, _TUNNEL, _LINGER, _DEAD = ReadState


@implementer(IPushProducer, IHalfCloseableProtocol)
class Connection(Held, BaseProtocol):
    """The server side of a client connection. It is the producer of the request body for the module's transport."""

    transport: Socket  # type: ignore[assignment]

    def __init__(self, dispatcher: "Dispatcher[Connection]", peer: str) -> None:
        self.peer = self.address = peer
        self.held_back = False
        self._let_go: Callable[[], None] | None = None
        self._read_all = False
        self._served = False
        self.state = _HEAD
        self.close = False
        self.deadline: float | None = dispatcher.now + dispatcher.limits.head_seconds
        self.put: Callable[[bytes], None] = not_connected
        self._dispatcher = dispatcher
        self._handler: Handler | None = None
        self._tunnel: TunnelEnd | None = None
        self._receive: Callable[[bytes], None] = not_connected
        self._request: RequestHead | None = None
        self._buffer: bytes | bytearray = b""
        self._scanned = 0
        self._body = _NO_BODY
        self._window_bytes = 0
        self._paused = False
        self._advancing = self._tls = self._complete = self._late = False
        self._unsettled = 0

    def connectionMade(self) -> None:
        self._tls = sockets.is_tls(self.transport)
        sockets.prepare(self.transport)
        self.transport = self._dispatcher.attach(self.transport, self)
        self.put = self.transport.write

    def dataReceived(self, data: bytes) -> None:
        state = self.state
        if state is _TUNNEL:
            self._receive(data)
        elif state is _HEAD:
            if self._buffer:
                self._append(data)
            else:
                self._buffer = data
            self._advance()
        elif state is _BODY:
            self._take_body(data)
        elif state is _RESPONSE:
            self._append(data)
            if len(self._buffer) > self._dispatcher.limits.pipelined_bytes:
                self.pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.state = _DEAD
        self.deadline = None
        self._buffer = b""
        self.leave()
        self._moves()
        tunnel, self._tunnel, self._receive = self._tunnel, None, not_connected
        if tunnel is not None:
            tunnel.client_lost()
        self._drop_handler()
        self._dispatcher.gone(self)

    def readConnectionLost(self) -> None:
        """The client sends no more: it may have closed, or wait for its response (RFC 9112, section 9.6)."""
        self._read_all = True
        if self.state is _RESPONSE and self._handler is not None:
            if self._request is not None and self._request.minor and not self._handler.begun():
                # Any client must be able to take it (RFC 9110, section 15.2), and one that has closed resets.
                self.put(_CONTINUE)
        elif self.state is _TUNNEL and self._tunnel is not None:
            tunnel, self._tunnel = self._tunnel, None
            tunnel.client_lost()
            self.transport.loseConnection()
        elif self.state is _BODY:
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None: ...

    def finished(self, sent: int = 0) -> None:
        """The response is complete, with a body of so many bytes: continue with the next request, or close."""
        self._handler = None
        dispatcher = self._dispatcher
        self._unsettled += _USUAL_HEAD + sent
        if self.state is _BODY or self.close or dispatcher.draining or (self._read_all and not self._buffer):
            self._close()
            return
        self.state = _HEAD
        self._request, self._served = None, True
        self.deadline = dispatcher.now + dispatcher.limits.idle_seconds
        if self._unsettled > sockets.PLAIN_READ and sockets.queued(self.transport):
            self.stalled()
        elif self.held_back and sockets.unsent(self.transport) <= sockets.UNSENT:
            self._moves()
        if dispatcher.holding:
            self.hold()
            return
        if self._paused:
            self.resumeProducing()
        if self._buffer and not self._advancing:
            self._advance()

    def answer(self, answer: ErrorResponse) -> None:
        """Answer the current request with one of the hub's own responses."""
        close = self.close or answer.close or self.state is not _RESPONSE or self._dispatcher.draining
        self.put(pages.respond(answer, self._request, close=close))
        self.close = close
        self.finished()

    def abort(self) -> None:
        """Reset the connection, so that the client cannot mistake a partial response for a complete one."""
        self.state = _DEAD
        self._handler = None
        self.transport.abortConnection()

    def become_tunnel(self, tunnel: TunnelEnd, receive: Callable[[bytes], None]) -> None:
        """Pass all further bytes to `receive`, starting with those already buffered."""
        self.state = _TUNNEL
        self.deadline = None
        self._handler = None
        self._tunnel = tunnel
        self._receive = receive
        early, self._buffer = bytes(self._buffer), b""
        if self._paused:  # the client had sent more ahead than is buffered
            self.resumeProducing()
        self.waited_for()
        if early:
            receive(early)
        if self._read_all:
            self.readConnectionLost()

    def end_tunnel(self) -> None:
        """The module's side is closed: close this one once queued bytes are sent, or after a timeout."""
        self.state = _LINGER
        self._tunnel = None
        self._moves()
        self.deadline = self._dispatcher.now + self._dispatcher.limits.linger_seconds
        self.transport.loseConnection()

    # Producer of the request body, also used to hold back a client that pipelines endlessly.

    def pauseProducing(self) -> None:
        """Stop reading from the client."""
        self._paused = True
        self.transport.pauseProducing()
        self.waited_for()

    def resumeProducing(self) -> None:
        """Resume reading."""
        self._paused = False
        self._moves()
        if self.state is not _DEAD and not self._read_all:
            self.transport.resumeProducing()

    def stopProducing(self) -> None: ...

    def check(self, now: float) -> None:
        """Once a second, cheaper than a timer each: enforce a deadline, and notice clients that close too early."""
        if (self._read_all or self._paused) and sockets.is_dead(self.transport):
            self.transport.abortConnection()
            return
        if self._unsettled:
            self._unsettled = 0
            self._settle()
        if self.deadline is None or now < self.deadline:
            return
        if self.state is _BODY:
            self._check_rate(now)
        elif self.state is _HEAD and self._buffer:
            self._refuse(bad_request(408, "The request's head did not arrive in time."))
        elif self.state is _HEAD and not self.held_back:
            self.transport.loseConnection()
        else:
            self.transport.abortConnection()

    def held(self, *, exactly: bool) -> int:
        """Bytes held for the client, apart from its transport; estimated unless `exactly`."""
        user = self._handler or self._tunnel
        return len(self._buffer) + (user.held(exactly=exactly) if user is not None else 0)

    def _check_rate(self, now: float) -> None:
        limits = self._dispatcher.limits
        if self._paused or self._window_bytes >= limits.body_rate * limits.body_window:
            self._window_bytes = 0
            self.deadline = now + limits.body_window
            return
        self._refuse(bad_request(408, "The request's body arrives too slowly."))

    def _drop_handler(self) -> None:
        if (handler := self._handler) is not None:
            self._handler = None
            handler.client_lost()

    # Parsing requests.

    def _append(self, data: bytes) -> None:
        if not isinstance(self._buffer, bytearray):
            self._buffer = bytearray(self._buffer)
        self._buffer += data

    def _advance(self) -> None:
        """Consume buffered requests until one has to wait. A loop, because pipelined requests must not recurse."""
        self._advancing = True
        self._dispatcher.attend()
        while self.state is _HEAD and self._buffer and not self._dispatcher.holding and self._take_head():
            pass
        self._advancing = False

    def _take_head(self) -> bool:
        """Begin one request; false if its head is incomplete."""
        buffer = self._buffer
        if buffer[:2] == LINE_END:
            # RFC 9112, section 2.2: ignore an empty line before a request.
            self._buffer, self._scanned = buffer[2:], 0
            if self._read_all and not self._buffer:
                self.transport.loseConnection()
            return True
        end = buffer.find(HEAD_END, self._scanned)
        if end < 0 and self._read_all:
            self.transport.loseConnection()
            return False
        if end < 0:
            self._wait_for_head(buffer)
            return False
        self._scanned = 0
        if self.held_back:
            self._moves()
        if end > self._dispatcher.limits.head_bytes:
            self._refuse(bad_request(431, "The request's head is too large."))
            return False
        raw = bytes(buffer[:end])
        if self._dispatcher.keeping and self.keep(raw):
            return False
        self._buffer = buffer[end + 4 :]
        try:
            plan = self._dispatcher.plan(self.peer, raw, self._tls)
        except BadMessage as bad:
            self._refuse(bad_request(bad.status, bad.why))
            return False
        except Exception:
            _log.failure("A request from {peer} could not be planned", peer=self.peer)
            self._refuse(_FAULT)
            return False
        self._begin(plan)
        return True

    def _wait_for_head(self, buffer: bytes | bytearray) -> None:
        limits = self._dispatcher.limits
        bad = refuse_begun(buffer, self._scanned, limits.head_bytes)
        if bad is not None:
            self._refuse(bad_request(bad.status, bad.why))
            return
        if not self._scanned:
            self.deadline = self._dispatcher.now + limits.head_seconds
        if len(buffer) > _LONG_HEAD:
            self.waited_for()
        # The data may be split anywhere; a CR before the LF must still be found.
        self._scanned = max(1, len(buffer) - len(HEAD_END) + 1)

    def _refuse(self, answer: ErrorResponse) -> None:
        """Answer invalid or unacceptable bytes with an error and close; abort a response that has begun."""
        begun = self._handler is not None and self._handler.begun()
        if self._handler is None:
            self._dispatcher.answered(self, None, answer.status)
        self._drop_handler()
        if begun:
            self.abort()
            return
        self._request = None
        self._buffer = b""
        self.state = _LINGER
        self.answer(answer)

    def _begin(self, plan: Plan) -> None:
        self._request = request = plan.request
        self.address = plan.caller.address
        self.close = request.close
        self.deadline = None
        self.state = _BODY if request.has_body else _RESPONSE
        try:
            handler = self._dispatcher.dispatch(self, plan)
        except Exception:
            _log.failure("No way was found for {method} {target}", method=request.method, target=request.target)
            handler = _FAULT
        if isinstance(handler, ErrorResponse):
            self._dispatcher.answered(self, plan, handler.status)
            self.answer(handler)
            return
        self._handler = handler
        if request.has_body:
            self._begin_body(request)
            if self._handler is not handler:
                return
        handler.start()
        if self.state is _BODY:
            self.waited_for()

    def _begin_body(self, request: RequestHead) -> None:
        self._body = RequestBody(None if request.chunked else request.length or 0)
        self._window_bytes = 0
        self.transport.bufferSize = sockets.STREAM_READ
        self.deadline = self._dispatcher.now + self._dispatcher.limits.body_window
        early, self._buffer = bytes(self._buffer), b""
        if early:
            self._take_body(early)
        elif request.expects_continue:
            self.put(_CONTINUE)

    def _take_body(self, data: bytes) -> None:
        handler = self._handler
        if handler is None:
            return
        self._window_bytes += len(data)
        try:
            data, rest, complete = self._body.take(data)
        except BadMessage as bad:
            self._refuse(bad_request(bad.status, bad.why))
            return
        if complete:
            self.state = _RESPONSE
            self.deadline = None
            self._buffer = rest
            self.transport.bufferSize = sockets.PLAIN_READ
            self._moves()
        if data:
            handler.body(data)
        if complete and self._handler is handler:
            handler.body_done()

    def splice(self, target: Socket, passed: Callable[[int], None]) -> None:
        """Let the rest of the request's body, all but its last byte, go to this socket without being read here."""
        sockets.splice(self.transport, target, self._body.left - 1, partial(self._passed, passed))

    def _passed(self, passed: Callable[[int], None], count: int) -> None:
        self._window_bytes += count
        self._body.skip(count)
        passed(count)

    def _close(self) -> None:
        """Close our side and keep reading briefly: closing with unread bytes would discard the response in transit."""
        self._complete, self.state = self.state is _RESPONSE, _LINGER
        self._buffer = b""
        self.deadline = None
        self._moves()
        if self._paused:
            self.resumeProducing()
        queued = sockets.queued(self.transport)
        if self._request is not None and not self._request.has_body:
            self.transport.loseConnection()
        else:
            self.deadline = self._dispatcher.now + self._dispatcher.limits.linger_seconds
            sockets.close_write(self.transport)
        if queued:
            self.waited_for()
