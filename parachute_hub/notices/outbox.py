"""Decides when which notice is sent: one for a cause in an hour, none in quiet hours, and "resolved" after each."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, TypeAlias

from attrs import asdict, evolve, field
from attrs.validators import in_, instance_of

from parachute_hub.notices.model import SEVERITIES, Severity
from parachute_hub.system.records import define, frozen

HOUR: Final = 3600.0
MOST: Final = 500
"""How many causes are remembered."""

_MINUTES = 24 * 60
Change: TypeAlias = Literal["problem", "resolved"]


@frozen(kw_only=True)
class Cause:
    """A problem: whether it is `here` now, and what the owner was sent of it.

    `news` is true while there is something to send. `heard`: the owner was sent it, and not yet that it is over.
    `told_at` is when it was last sent in epoch seconds, None if never.
    """

    headline: str = field(validator=instance_of(str))
    severity: Severity = field(validator=in_(SEVERITIES))
    here: bool = field(default=True, validator=instance_of(bool))
    news: bool = field(default=True, validator=instance_of(bool))
    heard: bool = field(default=False, validator=instance_of(bool))
    told_at: float | None = field(default=None)


@frozen(kw_only=True)
class Due:
    """Something to send now."""

    key: str
    headline: str
    severity: Severity
    change: Change


@define
class Outbox:
    """All causes by key. Pure: the time is an argument."""

    causes: dict[str, Cause] = field(factory=dict)

    def appeared(self, key: str, headline: str, severity: Severity) -> None:
        """A problem is there, or has changed."""
        before = self.causes.get(key)
        if before is None:
            self.causes[key] = Cause(headline=headline, severity=severity)
            return
        # One that went and came back in quiet hours is still what the owner knows.
        news = before.here or not before.heard or (before.headline, before.severity) != (headline, severity)
        self.causes[key] = evolve(before, headline=headline, severity=severity, here=True, news=news)

    def gone(self, key: str) -> None:
        """It is over, or the owner does not want to hear of it."""
        before = self.causes.get(key)
        if before is not None:
            self.causes[key] = evolve(before, here=False, news=False)

    def due(self, now: float, *, quiet: bool, least: Severity) -> list[Due]:
        """What to send now, noted as sent. In quiet hours it waits; what is over by then is not sent at all."""
        if quiet:
            return []
        found: list[Due] = []
        for key, cause in list(self.causes.items()):
            change = _due(cause, now, least)
            if change is not None:
                found.append(Due(key=key, headline=cause.headline, severity=cause.severity, change=change))
                told_at = now if change == "problem" else cause.told_at
                self.causes[key] = evolve(cause, news=False, heard=change == "problem", told_at=told_at)
        self._forget(now)
        return found

    def _forget(self, now: float) -> None:
        """Drop what is over and was told long ago."""
        for key, cause in list(self.causes.items()):
            told = cause.told_at
            if not cause.here and not cause.heard and (told is None or now - told >= HOUR):
                del self.causes[key]
        while len(self.causes) > MOST:
            del self.causes[next(iter(self.causes))]

    def to_json(self) -> dict[str, Any]:
        """The form on disk."""
        return {key: asdict(cause) for key, cause in self.causes.items()}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> "Outbox":
        """Raises ValueError or TypeError."""
        return cls({key: Cause(**cause) for key, cause in told.items()})


def _due(cause: Cause, now: float, least: Severity) -> Change | None:
    if not cause.here:
        return "resolved" if cause.heard else None
    serious = SEVERITIES.index(cause.severity) <= SEVERITIES.index(least)
    late = cause.told_at is None or now - cause.told_at >= HOUR
    return "problem" if cause.news and serious and late else None


def is_quiet(minute: int, span: Sequence[int] | None) -> bool:
    """Whether a minute of the day (0 to 1439) is in a span of two minutes, which may go past midnight.

    >>> is_quiet(23 * 60, (22 * 60, 7 * 60)), is_quiet(12 * 60, (22 * 60, 7 * 60)), is_quiet(0, None)
    (True, False, False)
    """
    if span is None:
        return False
    begin, end = span
    return (minute - begin) % _MINUTES < (end - begin) % _MINUTES
