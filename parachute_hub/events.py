"""The event bus. Events report what happened; commands are method calls.

Each event is a frozen class. Subscribers are called synchronously and in order; a failing one is logged once and
skipped. Recent events are kept with their numbers, so that a reconnecting browser can catch up (`since`). Of events
that tell a state (of a module, a job or a log) only the newest for each subject is kept.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

from parachute_hub.system.records import frozen
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
    """The newest line of a module's log."""

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


def _subject(event: Event) -> tuple[type, object] | None:
    """What a later event of the same kind replaces; None for news that stay."""
    match event:
        case ModuleChanged(short=key) | LogHead(short=key):
            return type(event), key
        case JobChanged(job=job):
            return JobChanged, job["id"]
    return None


class Bus:
    """Delivers events and keeps the latest thousand."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[NumberedEvent], None]] = []
        self._kept: dict[int, NumberedEvent] = {}
        self._newest: dict[tuple[type, object], int] = {}
        self._number = 0
        self._failures = FailureLog()

    def emit(self, event: Event) -> None:
        self._number += 1
        numbered = NumberedEvent(self._number, event)
        self._keep(numbered)
        task = f"Telling of {type(event).__name__}"
        self._failures.each(task, lambda listener: listener(numbered), tuple(self._listeners))

    def _keep(self, numbered: NumberedEvent) -> None:
        """Keep it instead of what it replaces. An install tells hundreds of states, each with its whole log."""
        self._kept[numbered.number] = numbered
        subject = _subject(numbered.event)
        if subject is not None:
            self._kept.pop(self._newest.get(subject, 0), None)
            self._newest[subject] = numbered.number
        if len(self._kept) > RING:
            oldest = self._kept.pop(next(iter(self._kept)))
            gone = _subject(oldest.event)
            if gone is not None and self._newest.get(gone) == oldest.number:
                del self._newest[gone]

    def subscribe(self, listener: Callable[[NumberedEvent], None], *, since: int | None = None) -> Callable[[], None]:
        """Call `listener` for each new event, and first for those after the number `since`, as far as they are kept.
        Call the result to unsubscribe.
        """
        self._listeners.append(listener)
        if since is not None:
            for numbered in self.since(since):
                listener(numbered)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    def since(self, number: int) -> list[NumberedEvent]:
        """The events after `number`, as far as they are still kept."""
        return [numbered for numbered in self._kept.values() if numbered.number > number]

    @property
    def latest(self) -> int:
        """The number of the newest event, 0 before the first."""
        return self._number
