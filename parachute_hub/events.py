"""News inside the hub: something happened. Commands are method calls; events only tell.

Each event is a frozen class; subscribers are called at once, in order, and a failure is logged once and passed over.
A ring of the latest events, numbered in their order, lets a browser that was away catch up (`since`).
"""

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

from attrs import frozen

from parachute_hub.system.timers import Failures

RING = 1000


@frozen
class ModuleChanged:
    """A module's state is another one now. `status` is the JSON form that the API gives."""

    short: str
    status: Mapping[str, Any]


@frozen
class JobChanged:
    """A job moved on. `job` is the JSON form that the API gives."""

    job: Mapping[str, Any]


@frozen
class LogHead:
    """The newest line of a module's log. Only the newest one of each module is remembered."""

    short: str
    text: str


@frozen
class RegistryChanged:
    """services.json says something new: routes and pages must be built again."""


@frozen
class Notice:
    """Something an operator should read: a word for the kind, a sentence, and what it is about."""

    kind: str
    text: str
    short: str | None = None


Event: TypeAlias = ModuleChanged | JobChanged | LogHead | RegistryChanged | Notice


@frozen
class Numbered:
    """An event with its place in the sequence, from 1."""

    number: int
    event: Event


class Bus:
    """Passes events on and remembers the latest thousand."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Numbered], None]] = []
        self._ring: deque[Numbered] = deque(maxlen=RING)
        self._number = 0
        self._failures = Failures()
        self._heads: dict[str, Numbered] = {}

    def emit(self, event: Event) -> None:
        """Tell everyone who listens."""
        self._number += 1
        numbered = Numbered(self._number, event)
        if isinstance(event, LogHead):
            self._forget_head(event.short)
            self._heads[event.short] = numbered
        self._ring.append(numbered)
        task = f"Telling of {type(event).__name__}"
        self._failures.each(task, lambda listener: listener(numbered), tuple(self._listeners))

    def _forget_head(self, short: str) -> None:
        """A talkative module must not push what happened out of the ring."""
        with suppress(KeyError, ValueError):
            self._ring.remove(self._heads.pop(short))

    def subscribe(self, listener: Callable[[Numbered], None]) -> Callable[[], None]:
        """Call `listener` for each event from now on; the answer ends it."""
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def since(self, number: int) -> list[Numbered]:
        """What came after `number`; everything still remembered when it lies further back."""
        return [numbered for numbered in self._ring if numbered.number > number]

    @property
    def latest(self) -> int:
        """The number of the newest event, 0 before the first."""
        return self._number
