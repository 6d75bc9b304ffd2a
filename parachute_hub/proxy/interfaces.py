"""How a client's connection and those who carry out its requests talk to each other."""

from typing import TYPE_CHECKING, Protocol

from parachute_hub.proxy.model import Limits
from parachute_hub.proxy.plan import Plan
from parachute_hub.proxy.routes import Answer

if TYPE_CHECKING:
    from parachute_hub.proxy.connection import Connection


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

    def plan(self, peer: str, raw: bytes) -> Plan:
        """What becomes of a request with this head. Raises BadMessage."""

    def dispatch(self, connection: "Connection", plan: Plan) -> Handler | Answer:
        """Who carries the request out, or what to answer at once."""

    def answered(self, connection: "Connection", plan: Plan | None, status: int) -> None:
        """A request, or what was none, has been answered without a handler."""

    def gone(self, connection: "Connection") -> None:
        """The connection is closed."""
