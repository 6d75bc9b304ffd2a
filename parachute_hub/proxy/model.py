"""The front's limits, and the data and protocols it shares with the rest of the hub."""

from collections.abc import Callable
from functools import cached_property
from typing import Literal, Protocol, TypeAlias

from attrs import frozen

from parachute_hub.proxy.routes import Mount

State: TypeAlias = Literal["stopped", "starting", "ready", "degraded", "backoff", "parked", "stopping", "held"]


@frozen
class ModuleView:
    """A module's state, as far as requests to it depend on it.

    `reason` is a sentence for the user, or empty. `retry_at` is the next start by the front's clock, in seconds. `port`
    is where the module's own processes were verified to listen, None until then; nothing is sent anywhere else.
    """

    state: State
    reason: str = ""
    retry_at: float | None = None
    port: int | None = None

    @cached_property
    def open_port(self) -> int | None:
        """The port for requests, or None."""
        return self.port if self.state in ("ready", "degraded") else None


class ModuleStates(Protocol):
    """Returns the state of modules. Called on every request, so implementations should cache."""

    def view(self, short: str) -> ModuleView | None:
        """The module's state; None for a module that is not supervised here."""


@frozen
class Refusal:
    """Rejects a token. The fields match those of a response; `headers` hold the challenge."""

    status: int
    error: str
    text: str
    headers: tuple[tuple[str, str], ...] = ()


class TokenChecker(Protocol):
    """Checks the hub's own tokens on their way to a module. Called on every request; implementations cache."""

    def refusal(self, mount: Mount, path: bytes, token: str) -> Refusal | None:
        """Why this bearer token is rejected; None if it may pass or was not issued by this hub."""


class NoTokenChecker:
    """Lets every token through; the module checks it."""

    def refusal(self, mount: Mount, path: bytes, token: str) -> Refusal | None:
        return None


# True if a Cookie header carries a session. On https (the second argument) only a `__Host-` cookie counts.
HasSession: TypeAlias = Callable[[bytes, bool], bool]


@frozen(kw_only=True)
class Limits:
    """All limits of the front: times in seconds, sizes in bytes, rates in bytes per second."""

    head_bytes: int = 32 * 1024
    target_bytes: int = 8 * 1024
    head_seconds: float = 10.0
    idle_seconds: float = 255.0
    # A body slower than this over a whole window is a slow-loris attack rather than a slow network.
    body_rate: int = 128
    body_window: float = 20.0
    # A client that reads nothing for this long is disconnected.
    stall_seconds: float = 300.0
    pipelined_bytes: int = 64 * 1024
    linger_seconds: float = 2.0
    connections: int = 12_000
    connections_per_address: int = 11_000
    # File descriptors for all connections; connection_limits.descriptor_budget() finds the actual number.
    descriptors: int = 60_000
    websockets: int = 512
    websockets_per_address: int = 32
    upstream_connections: int = 1024
    connect_seconds: float = 5.0
    # Below bun's idle timeout of 10 s, so that modules rarely close a connection that is about to be used.
    reuse_seconds: float = 4.0
    response_head_bytes: int = 64 * 1024
    # Maximum body sizes for the hub's own paths; the longest matching prefix applies.
    site_body: tuple[tuple[bytes, int], ...] = ((b"/", 256 * 1024), (b"/login", 16 * 1024), (b"/oauth", 64 * 1024))

    def site_body_limit(self, path: bytes) -> int:
        """The maximum body size for this path of the hub."""
        fitting = [(len(prefix), limit) for prefix, limit in self.site_body if path.startswith(prefix)]
        return max(fitting)[1] if fitting else 0
