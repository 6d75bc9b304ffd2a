"""The interfaces between a connection and what handles its requests."""

from enum import Enum, auto
from typing import Protocol


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
