"""What is kept of a request for the counters and the access log."""

from typing import NamedTuple, Protocol

from parachute_hub.proxy.head import RequestHead

# The hub's own answers count under this name.
HUB = "hub"
# The status of a request whose client went away, as nginx has it.
CLIENT_GONE = 499


class Account(NamedTuple):
    """How a request went.

    `module` is a short name, `began` a time in seconds; sizes are in bytes, of bodies only. `request` is None when the
    bytes were none.
    """

    module: str
    request: RequestHead | None
    address: str
    began: float
    status: int
    sent: int = 0
    received: int = 0


class Book(Protocol):
    """Keeps account of requests."""

    def closed(self, account: Account) -> None:
        """A request is over."""

    def seconds(self) -> float:
        """The time, for durations."""
