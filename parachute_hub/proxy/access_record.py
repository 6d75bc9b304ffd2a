"""The record of a request, for metrics and the access log."""

from typing import NamedTuple, Protocol

from parachute_hub.proxy.head import RequestHead

# The name under which the hub's own responses are counted.
HUB = "hub"
# The status of a request whose client disconnected, as in nginx.
CLIENT_GONE = 499


class RequestSummary(NamedTuple):
    """The fields of a request head that the access log uses. The head itself is larger and not kept."""

    method: bytes = b"-"
    target: bytes = b"-"
    minor: int = 1
    referer: bytes = b"-"
    agent: bytes = b"-"

    @classmethod
    def of(cls, request: RequestHead) -> "RequestSummary":
        """The fields of this head."""
        noted = request.noted
        referer, agent = noted.get(b"referer", b"-"), noted.get(b"user-agent", b"-")
        return cls(request.method, request.target, request.minor, referer, agent)


NOTHING_ASKED = RequestSummary()


class RequestRecord(NamedTuple):
    """One completed request.

    `module` is a short name, `began` a time in seconds; sizes are body bytes.
    """

    module: str
    asked: RequestSummary
    address: str
    began: float
    status: int
    sent: int = 0
    received: int = 0


class Recorder(Protocol):
    """Records requests."""

    def closed(self, account: RequestRecord) -> None:
        """A request is complete."""

    def seconds(self) -> float:
        """The current time in seconds, to measure durations."""
