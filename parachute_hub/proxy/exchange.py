"""One request forwarded to a module over a pooled connection, with its response streamed back."""

from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from parachute_hub.proxy import pages
from parachute_hub.proxy.access_record import CLIENT_GONE, Recorder, RequestRecord
from parachute_hub.proxy.chunked import LAST_CHUNK, chunk
from parachute_hub.proxy.connection import Connection
from parachute_hub.proxy.head import ResponseHead
from parachute_hub.proxy.headers import is_event_stream, response_lines
from parachute_hub.proxy.interfaces import BodyKind
from parachute_hub.proxy.module_cookies import CookieLedger
from parachute_hub.proxy.plan import ModuleRequest
from parachute_hub.proxy.pool import Pool
from parachute_hub.proxy.routes import ErrorResponse
from parachute_hub.proxy.scope_challenge import challenge_lines
from parachute_hub.proxy.shares import Share
from parachute_hub.proxy.transport import (
    FAST,
    FAST_SECONDS,
    PROVEN,
    STREAM_READ,
    trust_fast_reader,
    trust_reader,
    trust_upload,
)
from parachute_hub.proxy.tunnel import Tunnel
from parachute_hub.proxy.upstream import REQUEST_HOLDS, Upstream

_log = Logger()
# Request body bytes buffered while connecting to the module; beyond that the client is paused.
_QUEUE_LIMIT = 64 * 1024
# Looked up on every response; an enum member lookup is slower.
_NONE, _LENGTH, _CHUNKED, _UNTIL_CLOSE = BodyKind
# Methods that are safe to retry (RFC 9110, section 9.2.1).
_REPEATABLE = frozenset((b"GET", b"HEAD", b"OPTIONS"))
# Waits for a module that sleeps. Returns what to tell the client if that fails.
Wait: TypeAlias = Callable[[], Coroutine[Any, Any, ErrorResponse | None]]


@implementer(IPushProducer)
class Exchange:
    """The connection's handler and the upstream's sink; producer of the response for the client's transport."""

    _status = 0
    _sent = 0
    _received = 0
    _upstream: Upstream | None = None
    _queued = 0
    _rechunked = False  # the response ends with its connection and is re-framed as chunks
    _head_sent = False
    _retried = False
    _producing = False
    _produced_for = False
    _over = False
    _endless = False
    _trusted = False
    _timed = False
    _upload_trusted = False
    _held_back = False  # what the client sends of its body waits in the kernel until the module is awake

    def __init__(
        self,
        connection: Connection,
        passage: ModuleRequest,
        pool: Pool,
        share: Share,
        recorder: Recorder,
        cookies: CookieLedger,
        wait: Wait | None = None,
    ) -> None:
        self._request = request = passage.request
        self._began = recorder.seconds()
        self.unframed = not request.minor
        self.sending = request.has_body
        self._connection = connection
        self._passage = passage
        self._pool = pool
        self._share = share
        self._recorder = recorder
        self._cookies = cookies
        self._wait = wait
        self._queue: list[bytes] = []

    # Handler: called by the client's connection.

    def start(self) -> None:
        """Request a connection to the module, once it is awake."""
        if self._wait is None:
            self._pool.get(self)
            return
        if self.sending:
            self._held_back = True
            self._connection.pauseProducing()
        waited = Deferred.fromCoroutine(self._wait())
        waited.addErrback(self._not_woken).addCallback(self._waited)

    def _not_woken(self, failure: Failure) -> ErrorResponse:
        short = self._passage.mount.short
        _log.failure("{short} could not be woken", failure, short=short)
        return pages.down(short, "it was asleep and could not be woken")

    def _waited(self, refusal: ErrorResponse | None) -> None:
        if refusal is None:
            self._pool.get(self)
        elif not self._over:
            self._answer(refusal)

    def body(self, data: bytes) -> None:
        """Forward a piece of the request body, or buffer it until connected."""
        self._received += len(data)
        upstream = self._upstream
        if self._received > PROVEN and upstream is not None:
            if not self._upload_trusted:
                self._upload_trusted = True
                trust_upload(upstream.transport)
            self._connection.splice(upstream.transport, self._received_past)
        self._send(chunk(data) if self._request.chunked else data)

    def _received_past(self, count: int) -> None:
        self._received += count

    def body_done(self) -> None:
        """The request body is complete."""
        self.sending = False
        if self._request.chunked:
            self._send(LAST_CHUNK)
        self._stop_producing_body()

    def client_lost(self) -> None:
        """The client is gone: abort the request to the module."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.drop()
        self._status = self._status or CLIENT_GONE
        self._end()

    def refuse(self, answer: ErrorResponse) -> None:
        """Answer in the module's place. Only before `start`."""
        self._answer(answer)

    def begun(self) -> bool:
        return self._head_sent

    def endless(self) -> bool:
        return self._endless

    def held(self, *, exactly: bool) -> int:
        upstream = self._upstream
        return self._queued + (upstream.held(exactly=exactly) if upstream is not None else REQUEST_HOLDS)

    def _send(self, data: bytes) -> None:
        if self._upstream is not None:
            self._upstream.put(data)
            return
        self._queue.append(data)
        self._queued += len(data)
        if self._queued > _QUEUE_LIMIT:
            self._connection.pauseProducing()

    def _stop_producing_body(self) -> None:
        if self._produced_for and self._upstream is not None:
            self._produced_for = False
            self._upstream.transport.unregisterProducer()
            self._connection.resumeProducing()

    # Sink: called by the module's connection.

    def got_connection(self, upstream: Upstream) -> None:
        """Send what has arrived of the request."""
        if self._over:
            # The client disconnected in the meantime; the connection can serve another request.
            self._pool.put_back(upstream)
            return
        self._upstream = upstream
        remote, head = self._pool.remote, self._passage.head
        if remote is not None:
            head = remote.stamp(head)
        data = b"".join([head, *self._queue]) if self._queue else head
        self._queue.clear()
        upstream.send(self, self._request.method, data)
        if self.sending:
            upstream.transport.bufferSize = STREAM_READ
            upstream.transport.registerProducer(self._connection, True)
            self._produced_for = True
        if self._queued > _QUEUE_LIMIT or self._held_back:
            self._connection.resumeProducing()
        self._queued = 0

    def got_no_connection(self, busy: bool) -> None:
        """Nothing listens: the module is starting or stopping, as its state will soon show."""
        if not self._over:
            short = self._passage.mount.short
            if self._pool.remote is not None and not busy:
                self._pool.remote.failed()
                self._answer(pages.elsewhere(short))
            else:
                self._answer(pages.busy(short) if busy else pages.starting(short))

    def got_interim(self, head: ResponseHead) -> None:
        """Forward early hints. 100 was sent by the hub, and HTTP/1.0 has no interim responses."""
        if head.status == 103 and self._request.minor:
            lines = self._lines(head)
            self._connection.put(b"\r\n".join([b"HTTP/1.1 103 Early Hints", *lines, b"", b""]))

    def got_head(self, head: ResponseHead, kind: BodyKind, first: bytes, last: bool) -> None:
        """Send the response head and the first bytes of its body."""
        connection = self._connection
        if self.sending:
            # The response came before the request was complete; the rest of the body is not awaited.
            connection.close = True
        raw = self._head(head, kind, first if last and kind is _LENGTH else None)
        self._status = head.status
        self._sent += len(first)
        self._head_sent = True
        if not last and self._upstream is not None:
            connection.transport.registerProducer(self, True)
            self._producing = True
            self._endless = self._request.method == b"GET" and is_event_stream(head.fields)
        connection.put(raw + (chunk(first) if first and self._rechunked else first))

    def got_body(self, data: bytes) -> None:
        """Send more of the response body."""
        self._sent += len(data)
        connection, upstream = self._connection, self._upstream
        if self._sent > PROVEN and upstream is not None:
            if not self._trusted:
                self._trusted = True
                trust_reader(connection.transport, upstream.transport)
            upstream.splice(connection.transport, self._sent_past)
        connection.put(chunk(data) if self._rechunked else data)

    def _sent_past(self, count: int) -> None:
        self._sent += count
        if self._sent >= FAST and not self._timed and self._upstream is not None:
            self._timed = True
            if self._recorder.seconds() - self._began <= FAST_SECONDS:
                trust_fast_reader(self._upstream.transport)

    def got_end(self) -> None:
        """The response is complete."""
        if self._produced_for:
            self._stop_producing_body()
        self._upstream = None
        if self._rechunked:
            self._connection.put(LAST_CHUNK)
        self._end()
        self._connection.finished(self._sent)

    def got_failure(self, why: str, answered: bool) -> None:
        """The response broke off: retry if that is safe, else tell the client."""
        upstream, self._upstream = self._upstream, None
        if self._head_sent:
            # A partial response must not look complete.
            self._end()
            self._connection.abort()
            return
        stale = upstream is not None and upstream.used > 1 and not answered
        if stale and not self._retried and not self._request.has_body and self._request.method in _REPEATABLE:
            self._retried = True
            self._pool.get(self, fresh=True)
            return
        if self._pool.remote is not None:
            self._pool.remote.failed()
        self._answer(pages.down(self._passage.mount.short, why))

    def got_upgrade(self, head: ResponseHead, rest: bytes) -> None:
        """The module accepted the WebSocket; switch to a tunnel."""
        upstream, connection = self._upstream, self._connection
        self._upstream = None
        if upstream is None:
            return
        if not self._request.upgrade:
            upstream.drop()
            self._answer(pages.down(self._passage.mount.short, "it changed the protocol without being asked"))
            return
        lines = self._lines(head)
        lines = [b"HTTP/1.1 101 Switching Protocols", *lines, b"Connection: Upgrade\r\nUpgrade: websocket", b"", b""]
        self._status = head.status
        self._over = True
        self._close_account()
        connection.put(b"\r\n".join(lines))
        Tunnel(connection, upstream, self._share).open(rest)

    # Producer of the response, for the client's transport.

    def pauseProducing(self) -> None:
        """The client reads too slowly: stop reading from the module."""
        if self._upstream is not None:
            self._upstream.pause()
            self._connection.stalled()

    def resumeProducing(self) -> None:
        """The client caught up."""
        if self._upstream is not None:
            self._upstream.resume()
            self._connection.reading_again()

    def stopProducing(self) -> None:
        """The client's transport is gone; client_lost is called as well."""

    def _lines(self, head: ResponseHead) -> list[bytes]:
        """The module's header lines that the client may see."""
        passage = self._passage
        return response_lines(head.fields, head.named, passage.place, self._cookies, passage.own_hosts)

    def _head(self, head: ResponseHead, kind: BodyKind, body: bytes | None) -> bytes:
        """The response head for the client. A usual one is remembered in `head`, since a busy module repeats it."""
        passage, connection = self._passage, self._connection
        usual = (kind is _LENGTH or kind is _CHUNKED) and not connection.close and self._request.minor
        if usual and (shown := head.shown) is not None and shown[0] is passage.place and shown[1] == passage.own_hosts:
            return shown[2]
        lines = [head.line, *self._lines(head)]
        if head.status == 403:
            lines += challenge_lines(passage, head, body)
        framing = self._framing(head, kind)
        if connection.close:
            lines.append(b"Connection: close")
        elif not self._request.minor:
            lines.append(b"Connection: keep-alive")
        raw = b"\r\n".join([*lines, framing, b""])
        if usual and head.status != 403 and not any(name == b"set-cookie" for name, _, _ in head.fields):
            head.shown = passage.place, passage.own_hosts, raw
        return raw

    def _framing(self, head: ResponseHead, kind: BodyKind) -> bytes:
        """The framing header line for the client, or empty. Sets how the body is re-framed."""
        if kind is _LENGTH or (kind is _NONE and head.length is not None and head.status != 204):
            return b"Content-Length: %d\r\n" % (head.length or 0)
        if kind is _NONE:
            return b""
        if not self._request.minor:
            # HTTP/1.0 has no chunked coding: the connection's end is the body's end.
            self._connection.close = True
            return b""
        if kind is _UNTIL_CLOSE:
            self._rechunked = True
        return b"Transfer-Encoding: chunked\r\n"

    def _answer(self, answer: ErrorResponse) -> None:
        self._status = answer.status
        self._end()
        self._connection.answer(answer)

    def _end(self) -> None:
        """Release everything, once."""
        if self._over:
            return
        self._over = True
        if self._producing:
            self._producing = False
            self._connection.transport.unregisterProducer()
        self._share.release()
        self._close_account()

    def _close_account(self) -> None:
        passage = self._passage
        account = RequestRecord(
            passage.mount.short,
            passage.asked,
            passage.caller.address,
            self._began,
            self._status,
            self._sent,
            self._received,
        )
        self._recorder.closed(account)
