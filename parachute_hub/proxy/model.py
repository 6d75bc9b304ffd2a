"""Data and protocols of the front: its limits, and what it asks of the rest of the hub."""

from collections.abc import Callable
from functools import cached_property
from typing import Literal, Protocol, TypeAlias

from attrs import frozen

from parachute_hub.proxy.routes import Mount

State: TypeAlias = Literal["stopped", "starting", "ready", "degraded", "backoff", "parked", "stopping", "held"]


@frozen
class ModuleView:
    """What the front knows of a module when a request comes.

    `reason` is a sentence for a person, empty when there is none. `retry_at` is the clock's time of the next start, in
    seconds. `port` is the one on which the module's own processes were seen to listen, None while that is not known:
    nothing is sent anywhere else.
    """

    state: State
    reason: str = ""
    retry_at: float | None = None
    port: int | None = None

    @cached_property
    def open_port(self) -> int | None:
        """Where requests may be sent, None if nowhere."""
        return self.port if self.state in ("ready", "degraded") else None


class ModuleStates(Protocol):
    """Knows the life of every module; asked once for each request, so it should hand out a kept object."""

    def view(self, short: str) -> ModuleView | None:
        """The module's state; None for one that is not supervised here."""


@frozen
class Refusal:
    """A token that must not reach the module. Field for field an answer; `headers` hold the challenge."""

    status: int
    error: str
    text: str
    headers: tuple[tuple[str, str], ...] = ()


class TokenGuard(Protocol):
    """Checks our own tokens on their way to a module. Asked for each request: it keeps its verdicts."""

    def refusal(self, mount: Mount, path: bytes, token: str) -> Refusal | None:
        """Why this bearer must not pass; None when it may, or when it is not one of ours."""


class NoGuard:
    """Lets every token through; the module judges it."""

    def refusal(self, mount: Mount, path: bytes, token: str) -> Refusal | None:
        """Always None."""
        return None


# Whether a Cookie header carries a session; on https (the second argument) only a `__Host-` cookie counts.
HasSession: TypeAlias = Callable[[bytes, bool], bool]


@frozen(kw_only=True)
class Limits:
    """Every bound of the front. Times are in seconds, sizes in bytes, rates in bytes a second."""

    head_bytes: int = 32 * 1024
    target_bytes: int = 8 * 1024
    head_seconds: float = 10.0
    idle_seconds: float = 255.0
    # A body that comes slower than this over a whole window is a slow-loris attack, not a slow network.
    body_rate: int = 128
    body_window: float = 20.0
    # A client that reads nothing at all for so long is gone.
    stall_seconds: float = 300.0
    pipelined_bytes: int = 64 * 1024
    linger_seconds: float = 2.0
    connections: int = 12_000
    connections_per_address: int = 11_000
    # File descriptors for connections of both kinds; crowd.descriptor_budget() finds how many there are.
    descriptors: int = 60_000
    websockets: int = 512
    websockets_per_address: int = 32
    upstream_connections: int = 1024
    connect_seconds: float = 5.0
    # Below the idle time-out of bun (10 s), so that a module seldom closes a connection as we use it.
    reuse_seconds: float = 4.0
    response_head_bytes: int = 64 * 1024
    # The hub's own paths: the largest body, by the longest prefix that fits.
    site_body: tuple[tuple[bytes, int], ...] = ((b"/", 256 * 1024), (b"/login", 16 * 1024), (b"/oauth", 64 * 1024))

    def site_body_limit(self, path: bytes) -> int:
        """How large a body may be that is sent to this path of the hub's own."""
        fitting = [(len(prefix), limit) for prefix, limit in self.site_body if path.startswith(prefix)]
        return max(fitting)[1] if fitting else 0
