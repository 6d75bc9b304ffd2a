"""Which module must give up memory, and what each took during the last day. Pure."""

from array import array
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from attrs import define, field, frozen

from parachute_hub.supervise.limits import MemoryLimits


@frozen
class Usage:
    """One module now: `pss` bytes, its own `limit` in bytes or None, and its `slope` in bytes a second."""

    short: str
    pss: int
    limit: int | None = None
    slope: float = 0.0


@frozen
class Container:
    """Everything together: bytes `used` of `limit`; both None where nothing limits us."""

    used: int | None = None
    limit: int | None = None

    @property
    def free(self) -> int | None:
        """Bytes that are left; None where nothing limits us."""
        return None if self.used is None or self.limit is None else max(0, self.limit - self.used)


@frozen
class Fine:
    """Nothing to do."""


@frozen
class Tight:
    """The soft threshold is passed; `short` takes the most over its share, if any does."""

    short: str | None
    why: str


@frozen
class Restart:
    """Stop it gently and start it again."""

    short: str
    why: str


@frozen
class Hold:
    """Restarted recently and over its limit again: do not run it."""

    short: str
    why: str


Verdict: TypeAlias = Fine | Tight | Restart | Hold


def decide(modules: Sequence[Usage], container: Container, lately: Mapping[str, int], limits: MemoryLimits) -> Verdict:
    """What to do now.

    `lately` has the size in bytes of each module that was restarted for its memory within `limits.forget` seconds.
    """
    for usage in sorted(modules, key=lambda usage: -_over(usage, limits)):
        if usage.limit is not None and usage.pss > usage.limit:
            why = f"It took {_mb(usage.pss)} of memory and may take {_mb(usage.limit)}"
            return _away_with(usage, why, lately, limits)
    if container.used is None or not container.limit:
        return Fine()
    share = container.used / container.limit
    if share < limits.soft:
        return Fine()
    figures = f"{_mb(container.used)} of {_mb(container.limit)} memory are in use"
    offender = _offender(modules, limits)
    if share < limits.hard or offender is None:
        return Tight(offender.short if offender else None, figures)
    return _away_with(offender, f"{figures}, and it took {_mb(offender.pss)} of them", lately, limits)


def _offender(modules: Sequence[Usage], limits: MemoryLimits) -> Usage | None:
    """The one furthest over its budget; if none is, the one that grows fastest."""
    over = [usage for usage in modules if _over(usage, limits) > 0]
    if over:
        return max(over, key=lambda usage: _over(usage, limits))
    growing = [usage for usage in modules if usage.slope > 0]
    return max(growing, key=lambda usage: usage.slope, default=None)


def _over(usage: Usage, limits: MemoryLimits) -> int:
    return usage.pss - (usage.limit or limits.budget)


def _away_with(usage: Usage, why: str, lately: Mapping[str, int], limits: MemoryLimits) -> Verdict:
    before = lately.get(usage.short)
    if before is not None and usage.pss >= before * limits.as_large:
        return Hold(usage.short, f"{why}, as it did before its last restart. Give it more room, then start it again.")
    return Restart(usage.short, f"{why}. It is being restarted.")


def _mb(size: int) -> str:
    return f"{size / (1 << 20):.0f} MB"


@define
class _Ring:
    """The latest `length` numbers, four bytes each."""

    length: int
    _numbers: "array[int]" = field(factory=lambda: array("I"))
    _next: int = 0

    def add(self, number: int) -> None:
        if len(self._numbers) < self.length:
            self._numbers.append(number)
        else:
            self._numbers[self._next] = number
            self._next = (self._next + 1) % self.length

    def all(self) -> list[int]:
        return [*self._numbers[self._next :], *self._numbers[: self._next]]


_RECENT = 1800
_MINUTES = 1440


class History:
    """What one module took: every sample of the last hour, and the peak of each minute of the last day.

    In KiB. 13 KB a module, so eighty modules fit in a megabyte.
    """

    def __init__(self, samples_a_minute: int) -> None:
        self._recent = _Ring(_RECENT)
        self._minutes = _Ring(_MINUTES)
        self._samples_a_minute = samples_a_minute
        self._minute: list[int] = []

    def add(self, size: int) -> None:
        """A sample, in bytes."""
        kib = min(size >> 10, 0xFFFFFFFF)
        self._recent.add(kib)
        self._minute.append(kib)
        if len(self._minute) >= self._samples_a_minute:
            self._minutes.add(max(self._minute))
            self._minute.clear()

    @property
    def recent(self) -> list[int]:
        """The samples of the last hour, oldest first."""
        return self._recent.all()

    @property
    def minutes(self) -> list[int]:
        """The peaks of the minutes of the last day, oldest first."""
        return self._minutes.all()

    def slope(self, samples: int, period: float) -> float:
        """Bytes a second over the last `samples` samples, which lie `period` seconds apart."""
        last = self.recent[-samples:]
        if len(last) < 2:
            return 0.0
        return (last[-1] - last[0]) * 1024 / (period * (len(last) - 1))
