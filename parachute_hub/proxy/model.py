"""Data and protocols that the front shares with the rest of the hub."""

from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import Literal, Protocol, TypeAlias

from attrs import frozen

from parachute_hub.proxy.routes import ErrorResponse, Mount

State: TypeAlias = Literal[
    "stopped", "starting", "ready", "degraded", "backoff", "parked", "stopping", "held", "asleep"
]


@frozen
class ModuleView:
    """A module's state, as far as requests to it depend on it.

    `reason` is a sentence for the user, or empty. `retry_at` is the next start by the front's clock, in seconds. `port`
    is where the module's own processes were verified to listen, None until then; nothing is sent anywhere else. A
    module that `wakes` sleeps, or is being woken: requests wait for it.
    """

    state: State
    reason: str = ""
    retry_at: float | None = None
    port: int | None = None
    wakes: bool = False

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
