"""WebSocket tunnels: after the handshake, bytes pass both ways until one side closes (RFC 6455)."""

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from parachute_hub.proxy.connection import Connection
from parachute_hub.proxy.shares import Share
from parachute_hub.proxy.upstream import Upstream

GOING_AWAY = 1001
SERVICE_RESTART = 1012
TRY_AGAIN_LATER = 1013
_CLOSE = 0x8


class Frames:
    """Tracks a server's frames, to know frame boundaries and whether a close frame was sent."""

    def __init__(self) -> None:
        self.closed = False
        self._header = b""
        self._left = 0

    @property
    def between(self) -> bool:
        """True at a frame boundary."""
        return not self._left and not self._header

    def feed(self, data: bytes) -> None:
        """Track the next bytes."""
        at, size = 0, len(data)
        if not self._left and not self._header and 2 <= size == 2 + data[1] < 128:
            # One short frame, which is what most messages are.
            self.closed = self.closed or data[0] & 0x0F == _CLOSE
            return
        while at < size:
            if self._left:
                taken = min(self._left, size - at)
                self._left -= taken
                at += taken
                continue
            self._header += data[at : at + 1]
            at += 1
            length = _payload_length(self._header)
            if length is not None:
                self.closed = self.closed or self._header[0] & 0x0F == _CLOSE
                self._left, self._header = length, b""


def _payload_length(header: bytes) -> int | None:
    """The number of bytes after this frame header, including the mask; None if the header is incomplete."""
    if len(header) < 2:
        return None
    short = header[1] & 0x7F
    mask = 4 if header[1] & 0x80 else 0
    extended = {126: 2, 127: 8}.get(short, 0)
    if len(header) < 2 + extended:
        return None
    return (int.from_bytes(header[2:], "big") if extended else short) + mask


def close_frame(code: int) -> bytes:
    """A server's close frame without a reason."""
    return bytes((0x80 | _CLOSE, 2)) + code.to_bytes(2, "big")


@implementer(IPushProducer)
class Tunnel:
    """Two joined connections. It is the producer of the module's bytes for the client's transport."""

    def __init__(self, connection: Connection, upstream: Upstream, share: Share) -> None:
        self._connection = connection
        self._upstream = upstream
        self._share = share
        self._frames = Frames()
        self._open = True

    def open(self, rest: bytes) -> None:
        """Start forwarding; `rest` arrived from the module together with the handshake."""
        self._upstream.become_tunnel(self.from_module, self.module_lost)
        self._connection.transport.registerProducer(self, True)
        self._upstream.transport.registerProducer(self._connection, True)
        if rest:
            self.from_module(rest)
        self._connection.become_tunnel(self, self._upstream.put)
        self._share.end = lambda: self.end(TRY_AGAIN_LATER)

    def from_module(self, data: bytes) -> None:
        self._frames.feed(data)
        self._connection.put(data)

    def module_lost(self) -> None:
        """The module is gone: send the client a close frame that invites a reconnect, at a frame boundary."""
        self.end(SERVICE_RESTART)

    def end(self, code: int) -> None:
        """Close both sides, with a close frame to the client unless the module sent one."""
        if not self._open:
            return
        if self._frames.between and not self._frames.closed:
            self._connection.put(close_frame(code))
        self._release()
        self._upstream.end_tunnel()
        self._connection.end_tunnel()

    def client_lost(self) -> None:
        """The client is gone: deliver what it sent to the module, then close."""
        if self._open:
            self._release()
            self._upstream.end_tunnel()

    def held(self, *, exactly: bool) -> int:
        return self._upstream.held(exactly=exactly)

    def hub_closes(self) -> None:
        """The hub is shutting down."""
        self.end(GOING_AWAY)

    def hub_restarts(self) -> None:
        """A newer hub takes over: the client may connect again at once."""
        self.end(SERVICE_RESTART)

    def _release(self) -> None:
        self._open = False
        self._share.release()
        self._connection.transport.unregisterProducer()
        self._upstream.transport.unregisterProducer()

    # Producer of the module's bytes.

    def pauseProducing(self) -> None:
        """The client reads too slowly."""
        self._upstream.pause()
        self._connection.stalled()

    def resumeProducing(self) -> None:
        """The client caught up."""
        self._upstream.resume()
        self._connection.reading_again()

    def stopProducing(self) -> None:
        """The client's transport is gone; client_lost is called as well."""
