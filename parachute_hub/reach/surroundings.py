"""What the engine needs of the rest of the hub, and what it tells of its work."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime

from parachute_hub.reach.ways import Situation
from parachute_hub.system.records import frozen


class Address(Protocol):
    """The hub's public address (`accounts.setup.public_origin.HubOrigin`)."""

    def stored(self) -> str | None:
        """The owner's choice."""

    async def choose(self, text: str | None, now: float, *, forgets: bool = False) -> str:
        """Change it. `forgets`: the one before is never used again."""


class Failed(Exception):
    """A way could not be opened or closed. The text is for people, `remedy` what they can do: a sentence or a link."""

    def __init__(self, text: str, remedy: str = "") -> None:
        super().__init__(text)
        self.remedy = remedy


@frozen(kw_only=True)
class Progress:
    """What is happening now, or how it ended. `reachable` is None while nobody has asked there yet."""

    doing: str = ""
    error: str = ""
    remedy: str = ""
    reachable: bool | None = None
    finding: str = ""


@frozen(kw_only=True)
class Surroundings:
    """What the engine needs of the rest of the hub.

    `trust` makes the hub believe what programs on this machine say of their clients. `probe` asks for this hub at its
    address, and returns what is wrong, or None. `done` and `failed` record acts.
    """

    address: Address
    situation: Callable[[], Situation]
    trust: Callable[[bool], None]
    probe: Callable[[str], Awaitable[str | None]]
    done: Callable[[str, str], Awaitable[None]]
    failed: Callable[[str, str, str], Awaitable[None]]
    in_thread: Callable[..., Awaitable[Any]]
    end_left_over: Callable[[], int]
    now: Callable[[], float]
    clock: IReactorTime
