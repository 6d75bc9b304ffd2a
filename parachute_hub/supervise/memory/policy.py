"""Decides which module must give up memory, and records each one's usage over a day."""

from array import array
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from attrs import field

from parachute_hub.supervise.limits import MemoryLimits
from parachute_hub.system.records import define, frozen


@frozen
class Usage:
    """One module: `pss` bytes, its own `limit` in bytes or None, and its `slope` in bytes per second."""

    short: str
    pss: int
    limit: int | None = None
    slope: float = 0.0


@frozen
class Container:
    """Everything together: bytes `used` of `limit`, both None without a limit; `hub` is the hub's own part.

    `leaving` is what modules hold that are being stopped.
    """

    used: int | None = None
    limit: int | None = None
    hub: int = 0
    leaving: int = 0

    @property
    def free(self) -> int | None:
        """Bytes left; None without a limit."""
        return None if self.used is None or self.limit is None else max(0, self.limit - self.used)


@frozen
class Fine:
    pass


@frozen
class Tight:
    """Above the soft threshold; `short` is furthest over its share, if any is."""

    short: str | None
    why: str


@frozen
class Restart:
    short: str
    why: str


@frozen
class Hold:
    """Restarted recently and over its limit again: do not run it."""

    short: str
    why: str


Verdict: TypeAlias = Fine | Tight | Restart | Hold


def decide(modules: Sequence[Usage], container: Container, lately: Mapping[str, int], limits: MemoryLimits) -> Verdict:
    """Decide what to do.

    `lately` has the size in bytes of each module restarted for its memory within `limits.forget` seconds.
    """
    for usage in sorted(modules, key=lambda usage: -_over(usage, limits)):
        if usage.limit is not None and usage.pss > usage.limit:
            why = f"It uses {_mb(usage.pss)} of memory and its limit is {_mb(usage.limit)}"
            return _away_with(usage, why, lately, limits)
    if container.used is None or not container.limit:
        return Fine()
    # What is about to be given back is nobody's fault.
    share = (container.used - container.leaving) / container.limit
    if share < limits.soft:
        return Fine()
    figures = f"Memory use is {_mb(container.used)} of {_mb(container.limit)}"
    offender = _offender(modules, limits)
    if container.hub > limits.hub and (offender is None or container.hub - limits.hub > _over(offender, limits)):
        # Restarting modules would not help: what clients hold belongs to the hub, and the proxy bounds it.
        return Tight(None, f"{figures}, {_mb(container.hub)} of it in the hub itself")
    if share < limits.hard or offender is None:
        return Tight(offender.short if offender else None, figures)
    return _away_with(offender, f"{figures}, {_mb(offender.pss)} of it in this module", lately, limits)


def decide_at_once(
    modules: Sequence[Usage], before: Mapping[str, int], lately: Mapping[str, int], limits: MemoryLimits
) -> Verdict:
    """Decide when memory is about to be used up: the module that has grown most since `before` (bytes) has to go.

    Nothing is done if none has grown much. Then it is the hub, files, or another program.
    """
    largest = max(modules, key=lambda usage: usage.pss - before.get(usage.short, 0), default=None)
    grown = 0 if largest is None else largest.pss - before.get(largest.short, 0)
    if largest is None or grown < limits.surge:
        return Fine()
    why = f"It took {_mb(grown)} of memory at once, and no more was left"
    return _away_with(largest, why, lately, limits)


def runs_full(before: int, now: int, seconds: float, limit: int, limits: MemoryLimits) -> bool:
    """True if what is in use reaches the limit in a moment, at its speed since `before`, `seconds` ago. In bytes."""
    return now + (now - before) * limits.ahead / max(seconds, limits.glance) >= limit


def _offender(modules: Sequence[Usage], limits: MemoryLimits) -> Usage | None:
    """The module furthest over its budget; if none is, the fastest growing one."""
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
        return Hold(usage.short, f"{why}, as before its last restart. Raise its limit, then start it again.")
    return Restart(usage.short, f"{why}. Restarting it.")


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

    def last(self, count: int) -> list[int]:
        """The latest, at most `count`."""
        return (self._numbers[self._next :] + self._numbers[: self._next])[-count:].tolist()

    def all(self) -> list[int]:
        return [*self._numbers[self._next :], *self._numbers[: self._next]]


_RECENT = 1800
_MINUTES = 1440


class MemoryHistory:
    """One module's memory use: every sample of the last hour, and the peak of each minute of the last day.

    In KiB. Takes 13 KB per module, so eighty modules fit in a megabyte.
    """

    def __init__(self, samples_a_minute: int) -> None:
        self._recent = _Ring(_RECENT)
        self._minutes = _Ring(_MINUTES)
        self._samples_a_minute = samples_a_minute
        self._minute: list[int] = []
        self._latest: int | None = None

    def add(self, size: int, times: int = 1) -> None:
        """Add a sample in bytes, which stands for so many."""
        self._latest = size
        kib = min(size >> 10, 0xFFFFFFFF)
        for _ in range(times):
            self._recent.add(kib)
            self._minute.append(kib)
            if len(self._minute) >= self._samples_a_minute:
                self._minutes.add(max(self._minute))
                self._minute.clear()

    @property
    def latest(self) -> int | None:
        """The last sample in bytes; None without any."""
        return self._latest

    @property
    def recent(self) -> list[int]:
        """The samples of the last hour, oldest first."""
        return self._recent.all()

    @property
    def minutes(self) -> list[int]:
        """The per-minute peaks of the last day, oldest first."""
        return self._minutes.all()

    def slope(self, samples: int, period: float) -> float:
        """Growth in bytes per second over the last `samples` samples, taken `period` seconds apart."""
        last = self._recent.last(samples)
        if len(last) < 2:
            return 0.0
        return (last[-1] - last[0]) * 1024 / (period * (len(last) - 1))
