"""Hands one request to twisted.web's Site, in the way its HTTP/2 streams do (`_http2.H2Stream`)."""

from collections.abc import Iterable
from io import BytesIO
from typing import Any, cast

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IConsumer, ITransport
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.http_headers import Headers
from twisted.web.iweb import IRequest
from twisted.web.server import Request, Site
from zope.interface import implementer

from parachute_hub.proxy.access_record import CLIENT_GONE, HUB, Recorder, RequestRecord, RequestSummary
from parachute_hub.proxy.client_address import ClientInfo
from parachute_hub.proxy.connection import Connection
from parachute_hub.proxy.head import RequestHead
from parachute_hub.proxy.headers import HOP_BY_HOP, is_claim
from parachute_hub.proxy.routes import ErrorResponse
from parachute_hub.proxy.shares import Share

# `Server` would disclose Twisted and its version.
_NOT_SENT = (HOP_BY_HOP - {b"transfer-encoding"}) | {b"server"}
# Other headers of this family are claims by proxies; these are self-contained.
_SPOKEN_BY_OUR_PAGES = frozenset((b"x-parachute-csrf", b"x-parachute-key", b"x-parachute-proof"))


class SiteRequest(Request):
    """A request for the hub's own pages, with its client.

    `caller` is kept here rather than on the channel: Twisted drops the channel on disconnect, and a page still being
    rendered must not see a different client.
    """

    def __init__(self, channel: "SiteChannel") -> None:
        # Twisted expects its HTTPChannel; SiteChannel implements what Request uses of it.
        super().__init__(cast(HTTPChannel, channel))
        self.caller = channel.caller


def caller_of(request: IRequest) -> ClientInfo:
    """The client of a request for the hub's own pages. Raises TypeError if the request did not pass the front.

    There is no default: a guess would make cookies insecure behind https, or let clients share an address.
    """
    if not isinstance(request, SiteRequest):
        raise TypeError(f"{type(request).__qualname__} did not come through the front, so its client is not known.")
    return request.caller


def readable(value: bytes) -> bytes:
    """A header value that twisted.web can decode: invalid UTF-8 is read as ISO-8859-1 (RFC 9110, 5.5).

    >>> readable(b"Bearer \\xff"), readable("J\u00fcrgen".encode())
    (b'Bearer \\xc3\\xbf', b'J\\xc3\\xbcrgen')
    """
    if value.isascii():
        return value
    try:
        value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1").encode()
    return value


@implementer(ITransport, IConsumer)
class SiteChannel:
    """The handler of a request for the Site, and the channel that `twisted.web.http.Request` expects.

    The body is held in memory up to `limit` bytes; a larger one is answered with 413. Twisted calls the methods in
    camel case.
    """

    _status = 0
    _sent = 0
    _received = 0
    _endless = False

    def __init__(
        self,
        connection: Connection,
        request: RequestHead,
        caller: ClientInfo,
        share: Share,
        site: Site,
        recorder: Recorder,
    ) -> None:
        self.site = self.factory = site
        self.transport = connection.transport
        self._connection = connection
        self._request = request
        self.caller = caller
        self._share = share
        self._recorder = recorder
        self._limit = 0
        self._began = recorder.seconds()
        self._held = b""
        self._body = BytesIO()
        self._started = False
        self._complete = not request.has_body
        self._twisted: Any = SiteRequest(self)

    def allow(self, limit: int) -> "SiteChannel":
        """Set the maximum body size in bytes."""
        self._limit = limit
        return self

    # Handler.

    def start(self) -> None:
        """The head was parsed."""
        self._started = True
        if self._complete:
            self._process()

    def body(self, data: bytes) -> None:
        """A piece of the request body."""
        self._received += len(data)
        if self._received > self._limit:
            self._refuse_large()
            return
        self._body.write(data)
        self._connection.waited_for()

    def body_done(self) -> None:
        """The request body is complete."""
        self._complete = True
        if self._started:
            self._process()

    def client_lost(self) -> None:
        """The client is gone; the resource learns of it through notifyFinish."""
        self._status = CLIENT_GONE
        self._close_account()
        if self._started and self._complete:
            self._twisted.connectionLost(Failure(connectionDone.value))

    def begun(self) -> bool:
        return bool(self._status)

    def endless(self) -> bool:
        return self._endless

    def held(self, *, exactly: bool) -> int:
        return self._body.tell()

    def _refuse_large(self) -> None:
        text = f"Send at most {max(1, self._limit // 1024)} KiB here."
        self._status = 413
        self._close_account()
        self._connection.answer(ErrorResponse(413, "too_large", text, close=True))

    def _close_account(self) -> None:
        self._share.release()
        asked, address = RequestSummary.of(self._request), self.caller.address
        self._recorder.closed(RequestRecord(HUB, asked, address, self._began, self._status, self._sent, self._received))

    def _process(self) -> None:
        head, request = self._request, self._twisted
        request.requestHeaders = self._headers()
        request.parseCookies()
        self._body.seek(0)
        request.content = self._body
        request.requestReceived(head.method, head.target, b"HTTP/1.%d" % head.minor)

    def _headers(self) -> Headers:
        """The client's headers without forwarding claims, plus what the front determined."""
        headers, caller = Headers(), self.caller
        for name, value, line in self._request.fields:
            if name in _SPOKEN_BY_OUR_PAGES or not is_claim(name):
                headers.addRawHeader(line[: len(name)], readable(value.strip(b" \t")))
        headers.addRawHeader(b"X-Forwarded-For", caller.address.encode())
        headers.addRawHeader(b"X-Forwarded-Host", caller.host)
        headers.addRawHeader(b"X-Forwarded-Proto", caller.scheme.encode())
        headers.addRawHeader(b"X-Parachute-Layer", caller.layer.encode())
        headers.addRawHeader(b"X-Parachute-Client-IP", caller.address.encode())
        return headers

    # Channel: called by twisted.web.

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        """The response head. Delayed until the first body bytes if their length is known."""
        self._status = int(code)
        # What `admin.stream_api.unbuffered` sets.
        self._endless = headers.hasHeader(b"x-accel-buffering")
        framed = headers.hasHeader(b"content-length") or headers.hasHeader(b"transfer-encoding")
        if not self._request.minor and not framed:
            self._connection.close = True
        lines = [b"HTTP/1.1 %b %b" % (code, reason)]
        for name, values in headers.getAllRawHeaders():
            if name.lower() not in _NOT_SENT:
                lines += [name + b": " + value for value in values]
        if self._connection.close:
            lines.append(b"Connection: close")
        elif not self._request.minor:
            lines.append(b"Connection: keep-alive")
        head = b"\r\n".join([*lines, b"", b""])
        if headers.hasHeader(b"content-length"):
            self._held = head
        else:
            self._connection.put(head)

    def write(self, data: bytes) -> None:
        self._sent += len(data)
        held, self._held = self._held, b""
        self._connection.put(held + data if held else data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def requestDone(self, request: object) -> None:
        """The response is complete."""
        if self._held:
            self.write(b"")
        self._close_account()
        self._connection.finished(self._sent)

    def getPeer(self) -> IAddress:
        """The client's address, also behind trusted proxies."""
        kind = IPv6Address if ":" in self.caller.address else IPv4Address
        return kind("TCP", self.caller.address, self.transport.getPeer().port)

    def getHost(self) -> IAddress:
        """The address the hub listens on."""
        return self.transport.getHost()

    def isSecure(self) -> bool:
        """True if the client used https, as reported by a trusted proxy."""
        return self.caller.secure

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """A resource that produces its response at the client's pace."""
        self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """The resource has produced everything."""
        self.transport.unregisterProducer()

    def loseConnection(self) -> None:
        """The resource wants the connection closed after this response."""
        self._connection.close = True

    def abortConnection(self) -> None:
        """The resource aborts its response."""
        self._connection.abort()

    def _respondToBadRequestAndDisconnect(self) -> None:
        self._connection.answer(ErrorResponse(400, "bad_request", "The form cannot be read.", close=True))
