"""Data and protocols that the front shares with the rest of the hub."""

from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Any, Literal, Protocol, TypeAlias

from parachute_hub.proxy.routes import ErrorResponse, Mount
from parachute_hub.system.records import frozen

State: TypeAlias = Literal[
    "stopped", "starting", "ready", "degraded", "backoff", "parked", "stopping", "held", "asleep"
]


class Remote(Protocol):
    """The other machine of a module that does not run on this one."""

    @property
    def key(self) -> str:
        """Unique, and another one once connections to the former must not be used any more."""

    def connect(self, factory: Any, seconds: float) -> None:
        """Connect once, within this time. The (client) factory gets a transport whose other side was verified."""

    def stamp(self, head: bytes) -> bytes:
        """A request head, with what authenticates the hub to the other machine."""

    def failed(self) -> None:
        """A request did not reach it: look at it soon."""


@frozen
class ModuleView:
    """A module's state, as far as requests to it depend on it.

    `reason` is a sentence for the user, or empty. `retry_at` is the next start by the front's clock, in seconds. `port`
    is where the module's own processes were verified to listen, None until then; nothing is sent anywhere else. A
    module that `wakes` sleeps, or is being woken or reached: requests wait for it. One on another machine has a
    `remote` and no port.
    """

    state: State
    reason: str = ""
    retry_at: float | None = None
    port: int | None = None
    wakes: bool = False
    remote: Remote | None = None

    def answers(self, port: int) -> bool:
        """True if it takes requests: on another machine, or at this port, which is its own."""
        return self.state in ("ready", "degraded") if self.remote is not None else self.open_port == port

    @cached_property
    def open_port(self) -> int | None:
        """The port for requests, or None."""
        return self.port if self.state in ("ready", "degraded") else None


class ModuleStates(Protocol):
    """Returns the state of modules. Called on every request, so implementations should cache."""

    def view(self, short: str) -> ModuleView | None:
        """The module's state; None for a module that is not supervised here."""

    def wake(self, short: str) -> Awaitable[bool]:
        """Wake a module that sleeps; resolves when it answers or cannot be started. False if no memory is left."""


class TokenChecker(Protocol):
    """Checks the hub's own tokens on their way to a module. Called on every request; implementations cache."""

    def refusal(self, mount: Mount, path: bytes, token: str) -> ErrorResponse | None:
        """Why this bearer token is rejected; None if it may pass or was not issued by this hub."""


class NoTokenChecker:
    """Lets every token through; the module checks it."""

    def refusal(self, mount: Mount, path: bytes, token: str) -> ErrorResponse | None:
        return None


# True if a Cookie header carries a session. On https (the second argument) only a `__Host-` cookie counts.
HasSession: TypeAlias = Callable[[bytes, bool], bool]
