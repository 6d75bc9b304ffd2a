"""What is kept of a request for the counters and the access log."""

from typing import NamedTuple, Protocol

from parachute_hub.proxy.head import RequestHead

# The hub's own answers count under this name.
HUB = "hub"
# The status of a request whose client went away, as nginx has it.
CLIENT_GONE = 499


class Asked(NamedTuple):
    """What a line of the access log says of a request's head; not the head itself, which is larger."""

    method: bytes = b"-"
    target: bytes = b"-"
    minor: int = 1
    referer: bytes = b"-"
    agent: bytes = b"-"

    @classmethod
    def of(cls, request: RequestHead) -> "Asked":
        """What is kept of this head."""
        noted = request.noted
        referer, agent = noted.get(b"referer", b"-"), noted.get(b"user-agent", b"-")
        return cls(request.method, request.target, request.minor, referer, agent)


NOTHING_ASKED = Asked()


class Account(NamedTuple):
    """How a request went.

    `module` is a short name, `began` a time in seconds; sizes are in bytes, of bodies only.
    """

    module: str
    asked: Asked
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
