"""How a client's connection and those who carry out its requests talk to each other."""

from typing import TYPE_CHECKING, NamedTuple, Protocol

from parachute_hub.proxy.head import RequestHead
from parachute_hub.proxy.model import Limits
from parachute_hub.proxy.peers import Caller
from parachute_hub.proxy.routes import Answer, Table

if TYPE_CHECKING:
    from parachute_hub.proxy.connection import Connection


class Known(NamedTuple):
    """What is known of the client, kept from one request to the next.

    `stamps` are the header lines that tell modules about it. All of it holds while `host` and `table` are the same and
    `plain` is true: no header speaks for an earlier hop.
    """

    caller: Caller
    stamps: bytes
    host: bytes
    plain: bool
    table: Table


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


class Dispatcher(Protocol):
    """What a connection needs of the front: limits, the time, and somewhere to send requests."""

    limits: Limits
    now: float
    draining: bool

    def dispatch(self, connection: "Connection", request: RequestHead) -> Handler | Answer:
        """Who carries the request out, or what to answer at once."""

    def answered(self, connection: "Connection", request: RequestHead | None, status: int) -> None:
        """A request, or what was none, has been answered without a handler."""

    def gone(self, connection: "Connection") -> None:
        """The connection is closed."""
