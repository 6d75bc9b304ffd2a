"""The event bus. Events report what happened; commands are method calls.

Each event is a frozen class. Subscribers are called synchronously and in order; a failing one is logged once and
skipped. A ring of numbered recent events lets a reconnecting browser catch up (`since`).
"""

from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Literal, TypeAlias

from attrs import frozen

from parachute_hub.system.timers import FailureLog

RING = 1000


@frozen
class ModuleChanged:
    """A module's state changed. `status` is its API representation."""

    short: str
    status: Mapping[str, Any]


@frozen
class JobChanged:
    """A job progressed. `job` is its API representation."""

    job: Mapping[str, Any]


@frozen
class LogHead:
    """The newest line of a module's log. Only the newest per module is kept."""

    short: str
    text: str


@frozen
class RegistryChanged:
    """services.json changed, so routes and pages must be rebuilt."""


@frozen
class Notice:
    """A message for the operator: a kind, a sentence, and its subject."""

    kind: str
    text: str
    short: str | None = None


@frozen
class ProblemChanged:
    """A problem appeared, changed, was dismissed or is over. `problem` is its API representation."""

    change: Literal["appeared", "changed", "dismissed", "cleared"]
    problem: Mapping[str, Any]


Event: TypeAlias = ModuleChanged | JobChanged | LogHead | RegistryChanged | Notice | ProblemChanged


@frozen
class NumberedEvent:
    """An event and its sequence number, from 1."""

    number: int
    event: Event


class Bus:
    """Delivers events and keeps the latest thousand."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[NumberedEvent], None]] = []
        self._ring: deque[NumberedEvent] = deque(maxlen=RING)
        self._number = 0
        self._failures = FailureLog()
        self._heads: dict[str, NumberedEvent] = {}

    def emit(self, event: Event) -> None:
        self._number += 1
        numbered = NumberedEvent(self._number, event)
        if isinstance(event, LogHead):
            self._forget_head(event.short)
            self._heads[event.short] = numbered
        self._ring.append(numbered)
        task = f"Telling of {type(event).__name__}"
        self._failures.each(task, lambda listener: listener(numbered), tuple(self._listeners))

    def _forget_head(self, short: str) -> None:
        """Keep a talkative module from pushing other events out of the ring."""
        with suppress(KeyError, ValueError):
            self._ring.remove(self._heads.pop(short))

    def subscribe(self, listener: Callable[[NumberedEvent], None]) -> Callable[[], None]:
        """Call `listener` for each new event; call the result to unsubscribe."""
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def since(self, number: int) -> list[NumberedEvent]:
        """The events after `number`, as far as they are still kept."""
        return [numbered for numbered in self._ring if numbered.number > number]

    @property
    def latest(self) -> int:
        """The number of the newest event, 0 before the first."""
        return self._number
