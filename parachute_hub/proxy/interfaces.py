"""What carries out a request, as its client's connection sees it."""

from typing import Protocol


class Handler(Protocol):
    """Carries out one request. `body` and `body_done` may come before `start`, never after the response is finished."""

    def start(self) -> None:
        """The head is read; begin."""

    def body(self, data: bytes) -> None:
        """A piece of the request's body, without framing."""

    def body_done(self) -> None:
        """The request's body is complete. Not called for a request without one."""

    def client_lost(self) -> None:
        """The connection is gone; nothing can be answered any more."""


class TunnelEnd(Protocol):
    """What a connection has instead of a handler once it is a tunnel."""

    def client_lost(self) -> None:
        """The connection is gone."""

    def hub_closes(self) -> None:
        """The hub goes down."""
