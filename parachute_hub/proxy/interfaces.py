"""The interfaces between a connection, its socket, and what handles its requests."""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Protocol, TypeAlias

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IProtocol


class ReadState(Enum):
    """What the client's bytes belong to."""

    HEAD = auto()
    BODY = auto()
    RESPONSE = auto()  # the request is complete, the response is not; further bytes are the next request
    TUNNEL = auto()
    LINGER = auto()  # closing; further bytes are discarded
    DEAD = auto()


class BodyKind(Enum):
    """How the end of a response body is determined (RFC 9112, section 6.3)."""

    NONE = auto()
    LENGTH = auto()
    CHUNKED = auto()
    UNTIL_CLOSE = auto()


class Handler(Protocol):
    """Handles one request. `body` and `body_done` may come before `start`, but never after the response is finished."""

    def start(self) -> None:
        """The head was parsed; begin."""

    def body(self, data: bytes) -> None:
        """A piece of the decoded request body."""

    def body_done(self) -> None:
        """The request body is complete. Not called for a request without one."""

    def begun(self) -> bool:
        """Whether anything of the response was sent."""

    def endless(self) -> bool:
        """Whether the response ends only when somebody leaves, as an event stream does."""

    def client_lost(self) -> None:
        """The connection is gone; no response is possible."""

    def held(self, *, exactly: bool) -> int:
        """Bytes held for this request, apart from the client's connection; estimated unless `exactly`."""


class TunnelEnd(Protocol):
    """Replaces the handler once a connection is a tunnel."""

    def client_lost(self) -> None:
        """The connection is gone."""

    def held(self, *, exactly: bool) -> int:
        """Bytes held for the tunnel, apart from the client's connection; estimated unless `exactly`."""

    def hub_closes(self) -> None:
        """The hub is shutting down."""

    def hub_restarts(self) -> None:
        """A newer hub takes over."""


class Socket(Protocol):
    """The part of a TCP transport that the proxy uses. `bufferSize` is the read size and the write buffer limit."""

    bufferSize: int

    def write(self, data: bytes) -> None:
        """Send, or queue for sending."""

    def loseConnection(self) -> None:
        """Close once everything is sent."""

    def loseWriteConnection(self) -> None:
        """Close our direction once everything is sent."""

    def abortConnection(self) -> None:
        """Reset the connection."""

    def pauseProducing(self) -> None:
        """Stop reading."""

    def resumeProducing(self) -> None:
        """Resume reading."""

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Let the transport pause this producer."""

    def unregisterProducer(self) -> None: ...

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Send small segments immediately."""

    def getPeer(self) -> IPv4Address | IPv6Address:
        """The remote address."""

    def getHost(self) -> IPv4Address | IPv6Address:
        """The local address."""


# Gives a protocol that was just connected the transport that it should use.
Attach: TypeAlias = Callable[[Socket, IProtocol], Socket]


def unattached(transport: Socket, protocol: IProtocol) -> Socket:
    """Every transport is used as it is."""
    return transport
