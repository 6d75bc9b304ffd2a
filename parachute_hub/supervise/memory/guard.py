"""Measures memory and processor time every two seconds and acts on `policy.decide`.

Ends a module that starts programs without end.
"""

from collections.abc import Callable
from typing import Any, Protocol, assert_never

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from parachute_hub.supervise.context import InThread, MemoryCounters, System
from parachute_hub.supervise.limits import MemoryLimits
from parachute_hub.supervise.memory.policy import Container, Fine, Hold, MemoryHistory, Restart, Tight, Usage, decide
from parachute_hub.supervise.memory.processor import ProcessorUse
from parachute_hub.system.timers import every

_SLOPE_SAMPLES = 15


@frozen
class RunningModule:
    """A module with a process: its `session`, and its own `limit` in bytes or None."""

    short: str
    session: int
    limit: int | None


class GuardedModules(Protocol):
    """The part of the supervisor that the guard uses."""

    def alive(self) -> list[RunningModule]:
        """Every module with a process."""

    def restart_for(self, short: str, why: str) -> None:
        """Stop gently and start again, giving this reason."""

    def hold(self, short: str, reason: str) -> None:
        """Do not run the module, giving this reason."""


class MemoryGuard:
    """Keeps one large module from exhausting the container's memory.

    `limit` is the operator's limit in bytes, which overrides the container's.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        modules: GuardedModules,
        meter: System,
        room: MemoryCounters,
        limit: int | None,
        limits: MemoryLimits,
        in_thread: InThread,
        now: Callable[[], float],
    ) -> None:
        self._modules = modules
        self._meter = meter
        self._room = room
        self._limit = limit
        self._limits = limits
        self._in_thread = in_thread
        self._now = now
        self._histories: dict[str, MemoryHistory] = {}
        self._processor: dict[str, ProcessorUse] = {}
        self._lately: dict[str, tuple[float, int]] = {}
        self._tight = False
        self._ours: int | None = None
        self._hub = 0
        self._loop: LoopingCall | None = None

    def start(self, clock: Any) -> None:
        self._loop = every(clock, self._limits.period, lambda: Deferred.fromCoroutine(self.look()), "Measuring memory")

    def stop(self) -> None:
        if self._loop is not None and self._loop.running:
            self._loop.stop()

    def history(self, short: str) -> MemoryHistory | None:
        """The module's memory during the last day; None if it never ran."""
        return self._histories.get(short)

    def processor(self, short: str) -> ProcessorUse | None:
        """The module's processor time; None if it never ran."""
        return self._processor.get(short)

    def container(self) -> Container:
        """Memory in use and the limit.

        Outside a container the cgroup includes other programs, while the operator's limit applies to the hub alone.
        """
        limit = self._room.limit()
        if limit is None and self._limit is not None:
            return Container(self._ours, self._limit, self._hub)
        return Container(self._room.used(), min(filter(None, (limit, self._limit)), default=None), self._hub)

    async def look(self) -> None:
        """Measure, record, decide, act."""
        running = self._modules.alive()
        sessions = {module.short: module.session for module in running}
        counts = await self._in_thread(self._meter.crowds, sessions)
        crowded = {short for short, count in counts.items() if count > self._limits.processes}
        for name in crowded:
            text = f"It ran {counts[name]} programs at once. Start it again once you know why."
            self._log.warn("{short}: {why}", short=name, why=text)
            self._modules.hold(name, text)
        running = [module for module in running if module.short not in crowded]
        sessions = {module.short: module.session for module in running}
        sizes = await self._in_thread(self._meter.footprints, sessions)
        self._hub = await self._in_thread(self._meter.own)
        self._ours = sum(sizes.values()) + self._hub
        times = await self._in_thread(self._meter.processor, sessions)
        now = self._now()
        for name, seconds in times.items():
            self._processor.setdefault(name, ProcessorUse()).add(now, sessions[name], seconds)
        usages = [self._noted(module, sizes[module.short]) for module in running if sizes.get(module.short)]
        self._lately = {k: v for k, v in self._lately.items() if now - v[0] < self._limits.forget}
        verdict = decide(usages, self.container(), {k: v[1] for k, v in self._lately.items()}, self._limits)
        if not isinstance(verdict, Tight):
            self._tight = False
        match verdict:
            case Fine():
                pass
            case Tight(short, why):
                self._warn_once(short, why)
            case Restart(short, why):
                self._lately[short] = (now, sizes[short])
                self._log.warn("{short}: {why}", short=short, why=why)
                self._modules.restart_for(short, why)
            case Hold(short, why):
                self._log.warn("{short}: {why}", short=short, why=why)
                self._modules.hold(short, why)
            case _:
                assert_never(verdict)

    def _noted(self, module: RunningModule, size: int) -> Usage:
        history = self._histories.setdefault(module.short, MemoryHistory(max(1, round(60 / self._limits.period))))
        history.add(size)
        return Usage(module.short, size, module.limit, history.slope(_SLOPE_SAMPLES, self._limits.period))

    def _warn_once(self, short: str | None, why: str) -> None:
        if not self._tight:
            self._tight = True
            self._log.warn("{why}; the largest for its share is {short}", why=why, short=short or "not a module")
