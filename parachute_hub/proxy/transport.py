"""Options of sockets, and what the kernel says about them."""

import array
import contextlib
import fcntl
import socket
import struct
import termios
from collections.abc import Callable
from typing import Any, cast

from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.tcp import Connector

from parachute_hub.proxy.interfaces import Socket
from parachute_hub.proxy.poller import PolledSocket
from parachute_hub.proxy.shares import EVERYBODY

# Read size in bytes. A transport buffers as much for a slow reader before it pauses the producer, so a client's
# transport has little until it has taken PROVEN bytes of a response. Large reads save a
# fifth of the CPU time of a stream.
PLAIN_READ = 8 * 1024
FIRST_READ = 16 * 1024
STREAM_READ = 128 * 1024
PROVEN = 48 * 1024
# What the kernel may hold, before and after that.
_FIRST_UNSENT, UNSENT = 8 * 1024, 64 * 1024
_FIRST_UNREAD, _UNREAD = 8 * 1024, 128 * 1024
# For a client that took FAST bytes of a response within FAST_SECONDS, more may be on its way from the module.
FAST, FAST_SECONDS = 4 * 1024 * 1024, 1.0
_FAST_UNREAD = 512 * 1024
# What the kernel may hold of an upload for its module.
_UPLOAD = 256 * 1024
# A body of which so much is to come is worth a pipe. A frame around its parts is read in small pieces.
_LONG = 64 * 1024
FRAME_READ = 64
# What a module's kernel side holds depends on it: the buffer for sending has room for a multiple of the segments that
# were acknowledged, each rounded up to a power of two after 900 bytes of overhead.
_SEGMENT = 1400
# For connections within this machine, where nothing is congested: BBR, the default of some systems, would send in a
# pace of its own. Any process may choose this one on Linux, see tcp(7).
_NO_PACE = (socket.IPPROTO_TCP, 13, b"reno")
# Numbers of Linux; elsewhere they mean nothing and are refused.
_KEEPIDLE, _KEEPINTVL, _WINDOW_CLAMP, _INFO, _USER_TIMEOUT, _NOTSENT_LOWAT = 4, 5, 10, 11, 18, 25
# In struct tcp_info: bytes acknowledged and bytes received, each of 64 bits; the state CLOSE.
_BYTES_AT, _INFO_SIZE, _CLOSED = 120, 136, 7


def prepare(transport: Socket) -> None:
    """Set the options of a client's socket, as far as the system has them.

    No delay of small segments. A client that is gone without a word is noticed after three minutes, also while nothing
    is sent. The kernel holds little for which the client has no room (TCP_NOTSENT_LOWAT) instead of up to 4 MB; what is
    in flight has no limit.
    """
    transport.setTcpNoDelay(True)
    transport.bufferSize = PLAIN_READ
    if hasattr(transport, "socket"):
        _set(
            transport.socket,
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, _KEEPIDLE, 60),
            (socket.IPPROTO_TCP, _KEEPINTVL, 30),
            (socket.IPPROTO_TCP, _USER_TIMEOUT, 180_000),
            (socket.IPPROTO_TCP, _NOTSENT_LOWAT, _FIRST_UNSENT),
        )


def keep_little_unread(connector: object) -> None:
    """Bound what the kernel holds for a module's response that nobody reads. Call it before the connection is made.

    Unbounded it is 2 MB here and 4 MB in the module for each client that stopped reading: the receive buffer grows with
    the sender, and the sender's buffer with what was acknowledged.
    """
    if isinstance(connector, Connector) and connector.transport is not None:
        _set(
            connector.transport.getHandle(),
            (socket.SOL_SOCKET, socket.SO_RCVBUF, _FIRST_UNREAD),
            (socket.IPPROTO_TCP, socket.TCP_MAXSEG, _SEGMENT),
            (socket.IPPROTO_TCP, _NOTSENT_LOWAT, UNSENT),
            _NO_PACE,
        )


def prepare_far(connector: object) -> None:
    """As `keep_little_unread`, for another machine, which is farther away. Call it before the connection is made.

    One that is gone without a word is noticed within a minute, also in the middle of a response.
    """
    if isinstance(connector, Connector) and connector.transport is not None:
        _set(
            connector.transport.getHandle(),
            (socket.SOL_SOCKET, socket.SO_RCVBUF, _UNREAD),
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
            (socket.IPPROTO_TCP, _KEEPIDLE, 20),
            (socket.IPPROTO_TCP, _KEEPINTVL, 10),
            (socket.IPPROTO_TCP, _USER_TIMEOUT, 40_000),
            (socket.IPPROTO_TCP, _NOTSENT_LOWAT, UNSENT),
        )


def trust_reader(client: Socket, module: Socket) -> None:
    """The client takes what it is sent: larger buffers make a long response cheaper."""
    client.bufferSize = UNSENT
    module.bufferSize = STREAM_READ
    if hasattr(client, "socket"):
        _set(client.socket, (socket.IPPROTO_TCP, _NOTSENT_LOWAT, UNSENT))
        if client.getPeer().host in EVERYBODY:
            _set(client.socket, _NO_PACE)
    _let_unread(module, _UNREAD)


def trust_fast_reader(module: Socket) -> None:
    """The client takes a long response as fast as it comes. The hub waits less often for a module that is ahead."""
    _let_unread(module, _FAST_UNREAD)


def _let_unread(module: Socket, most: int) -> None:
    if hasattr(module, "socket"):
        window = (socket.IPPROTO_TCP, _WINDOW_CLAMP, most)
        _set(module.socket, (socket.SOL_SOCKET, socket.SO_RCVBUF, most), window)


def trust_upload(module: Socket) -> None:
    """The module takes what it is sent: a larger buffer makes a long upload cheaper."""
    if hasattr(module, "socket"):
        _set(module.socket, (socket.IPPROTO_TCP, _NOTSENT_LOWAT, _UPLOAD))


def splice(source: Socket, target: Socket, count: int, passed: Callable[[int], None]) -> bool:
    """Let the next `count` bytes from `source` go to `target` without being read, if they are many and both can.

    `passed` is told whenever some have gone. If something comes between, the rest is read as before.
    """
    return count >= _LONG and isinstance(source, PolledSocket) and source.splice(target, count, passed)


def _set(handle: socket.socket, *options: tuple[int, int, int | bytes]) -> None:
    for level, option, value in options:
        with contextlib.suppress(OSError):
            handle.setsockopt(level, option, value)


def progress(transport: Socket, otherwise: int) -> int:
    """A number that changes whenever the other side has taken or sent anything. `otherwise` is used where the system
    does not count that.
    """
    info = _info(transport)
    return sum(struct.unpack_from("=QQ", info, _BYTES_AT)) if len(info) == _INFO_SIZE else otherwise


def is_dead(transport: Socket) -> bool:
    """True if the connection was reset while nothing was read from it."""
    return _info(transport)[:1] == bytes((_CLOSED,))


def _info(transport: Socket) -> bytes:
    if hasattr(transport, "socket"):
        with contextlib.suppress(OSError):
            return bytes(transport.socket.getsockopt(socket.IPPROTO_TCP, _INFO, _INFO_SIZE))
    return b""


def socket_of(transport: Socket) -> socket.socket | None:
    """The socket of a plain TCP transport; None for any other."""
    return transport.socket if hasattr(transport, "socket") and not is_tls(transport) else None


def queued(transport: Socket) -> int:
    """Bytes that wait in the transport's buffer until the kernel takes them."""
    if isinstance(transport, PolledSocket):
        return transport.queued
    below = cast(Any, transport).transport if is_tls(transport) else transport
    # Without what was written in this turn of the loop.
    return len(below.dataBuffer) - below.offset if isinstance(below, FileDescriptor) else 0


def unsent(transport: Socket) -> int:
    """Bytes that wait for the client: in the transport's buffer, and in the kernel's until the client has them."""
    return queued(transport) + _asked(transport, termios.TIOCOUTQ)


def unread(transport: Socket) -> int:
    """Bytes that the kernel has and nobody has read."""
    return _asked(transport, termios.FIONREAD)


def _asked(transport: Socket, question: int) -> int:
    count = array.array("i", [0])
    if hasattr(transport, "socket"):
        with contextlib.suppress(OSError, ValueError):
            fcntl.ioctl(transport.socket.fileno(), question, count)
    return count[0]


def is_tls(transport: Socket) -> bool:
    """True if the hub itself speaks TLS on it. Such a transport has the attributes of the plain one below it."""
    return bool(ISSLTransport.providedBy(transport))


def close_write(transport: Socket) -> None:
    """Close our direction once everything is sent. TLS has no such half, so it closes."""
    if is_tls(transport):
        transport.loseConnection()
    else:
        transport.loseWriteConnection()


def not_connected(data: bytes) -> None:
    """Instead of a writer, until there is one. Not a method, which would tie its owner to itself."""
    raise RuntimeError("This connection is not made yet.")
