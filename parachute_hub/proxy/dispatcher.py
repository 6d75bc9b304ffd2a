"""What a client's connection needs of the front."""

from typing import Protocol, TypeVar

from parachute_hub.proxy.interfaces import Attach, Handler
from parachute_hub.proxy.limits import Limits
from parachute_hub.proxy.plan import Plan
from parachute_hub.proxy.routes import ErrorResponse
from parachute_hub.proxy.shares import Room

C = TypeVar("C", contravariant=True)


class Dispatcher(Protocol[C]):
    """The front, as connections see it: limits, the time, and a destination for requests."""

    limits: Limits
    now: float
    draining: bool
    holding: bool
    keeping: bool
    attach: Attach
    waiting: Room

    def attend(self) -> None:
        """A client sends a request, or a part of one. Keeps `now` up to date."""

    def plan(self, peer: str, raw: bytes, tls: bool) -> Plan:
        """The routing decision for a request head. Raises BadMessage."""

    def dispatch(self, connection: C, plan: Plan) -> Handler | ErrorResponse:
        """The handler for the request, or an immediate response."""

    def stalled(self, connection: C) -> None:
        """The connection holds memory and does not move on."""

    def moving(self, connection: C) -> None:
        """It moves on, or is closed."""

    def answered(self, connection: C, plan: Plan | None, status: int) -> None:
        """A request, or something unparsable, was answered without a handler."""

    def gone(self, connection: C) -> None:
        """The connection is closed."""
