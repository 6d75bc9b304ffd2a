"""Measures memory and processor time every two seconds and acts on `policy.decide`.

Ends a module that starts programs without end. In between it glances at the memory in use: ten times a second while
requests arrive, or the memory grows or is short; otherwise once a second, or every few seconds where that much is free.
If that runs full, the module that takes it is killed at once: while the kernel looks for memory, everything in the
container stands still. Out of a rest, one that takes all that is free within a second is left to the kernel.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, assert_never

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from parachute_hub.supervise.context import InThread, MemoryCounters, System
from parachute_hub.supervise.limits import MemoryLimits
from parachute_hub.supervise.memory.brake import ProcessorBrake
from parachute_hub.supervise.memory.module_groups import ModuleGroups
from parachute_hub.supervise.memory.policy import (
    Container,
    Fine,
    Hold,
    MemoryHistory,
    Restart,
    Tight,
    Usage,
    Verdict,
    decide,
    decide_at_once,
    runs_full,
)
from parachute_hub.supervise.memory.processor import ProcessorUse
from parachute_hub.supervise.model import Allowance
from parachute_hub.system.records import frozen
from parachute_hub.system.timers import FailureLog, Rest, every

_SLOPE_SAMPLES = 15


@frozen
class RunningModule:
    """A module with a process: its `session`, and what it may use."""

    short: str
    session: int
    allowance: Allowance

    @property
    def share(self) -> float | None:
        return self.allowance.processor


class GuardedModules(Protocol):
    """The part of the supervisor that the guard uses."""

    def alive(self) -> list[RunningModule]:
        """Every module with a process that is not being stopped."""

    def ending(self) -> list[RunningModule]:
        """Those that are being stopped."""

    def restart_for(self, short: str, why: str) -> None:
        """Stop gently and start again, giving this reason."""

    def hold(self, short: str, reason: str) -> None:
        """Do not run the module, giving this reason."""

    def kill(self, short: str) -> None:
        """End its processes now."""


@frozen
class _Measured:
    """`crowded` has the number of processes of modules that have too many; only the other `members` are measured."""

    crowded: Mapping[str, int]
    members: Mapping[str, Sequence[int]]
    sizes: Mapping[str, int]
    times: Mapping[str, float]
    own: int


def _measured(meter: System, sessions: Mapping[str, int], processes: int) -> _Measured:
    """Everything in one turn of a thread. Blocks."""
    members = meter.members(sessions)
    crowded = {short: len(pids) for short, pids in members.items() if len(pids) > processes}
    calm = {short: pids for short, pids in members.items() if short not in crowded}
    return _Measured(crowded, calm, meter.footprints(calm), meter.processor(calm), meter.own())


def _footprints(meter: System, sessions: Mapping[str, int]) -> dict[str, int]:
    return meter.footprints(meter.members(sessions))


class MemoryGuard:
    """Keeps one large module from exhausting the container's memory.

    `limit` is the operator's limit in bytes, which overrides the container's. Limits of single modules that changed
    reach the kernel's `groups` here; the `brake` is for the processor, where the kernel has no groups for that.
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
        groups: ModuleGroups | None = None,
        brake: ProcessorBrake | None = None,
    ) -> None:
        self._modules = modules
        self._meter = meter
        self._room = room
        self._limit = limit
        self._limits = limits
        self._in_thread = in_thread
        self._now = now
        self._groups = groups
        self._brake = brake
        self._histories: dict[str, MemoryHistory] = {}
        self._processor: dict[str, ProcessorUse] = {}
        self._lately: dict[str, tuple[float, int]] = {}
        self._tight = False
        self._ours: int | None = None
        self._hub = 0
        self._leaving = 0
        self._sizes: dict[str, int] = {}
        self._charged: int | None = None
        self._bound: int | None = None
        self._clock: Any = None
        self._glances: LoopingCall | None = None
        self._pause = 0.0
        self._glanced_at = 0.0
        self._looked_at = now()
        self._calm_at = 0.0
        self._attended = False
        self._killing = False
        self._looking = False
        self._loops: list[LoopingCall] = []
        self._failures = FailureLog()

    def start(self, clock: Any, rest: Rest) -> None:
        def look() -> Deferred[None]:
            return Deferred.fromCoroutine(self.look())

        self._clock = clock
        limits = self._limits
        # Growth within the operator's limit is seen here alone.
        resting = limits.period if self._limit is not None and self._room.limit() is None else limits.resting_period
        self._loops = [rest.every(limits.period, resting, look, "Measuring memory")]
        self._bound = self._room.limit()
        if self._bound is not None:
            self._pace(self._limits.glance)

    def stop(self) -> None:
        if self._brake is not None:
            self._brake.stop()
        loops = [*self._loops, *filter(None, [self._glances])]
        self._glances = None
        for loop in loops:
            if loop.running:
                loop.stop()

    def attend(self) -> None:
        """A request begins, so modules may need memory."""
        self._attended = True
        if self._pause != self._limits.glance and self._glances is not None:
            self._pace(self._limits.glance)

    def _pace(self, seconds: float) -> None:
        if self._glances is not None and self._glances.running:
            self._glances.stop()
        self._pause = seconds
        self._glances = every(self._clock, seconds, self.glance, "Glancing at memory")

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
        limit = self._bound = self._room.limit()
        if limit is None and self._limit is not None:
            return Container(self._ours, self._limit, self._hub, self._leaving)
        both = min(filter(None, (limit, self._limit)), default=None)
        return Container(self._room.used(), both, self._hub, self._leaving)

    def _sessions(self) -> dict[str, int]:
        return {one.short: one.session for one in [*self._modules.ending(), *self._modules.alive()]}

    async def look(self) -> None:
        """Measure, record, decide, act. Not twice at a time."""
        if self._looking:
            return
        self._looking = True
        try:
            await self._look()
        finally:
            self._looking = False

    async def _look(self) -> None:
        sessions = self._sessions()
        found = await self._in_thread(_measured, self._meter, sessions, self._limits.processes)
        sizes, times = found.sizes, found.times
        running = [one for one in self._modules.alive() if sessions.get(one.short) == one.session]
        crowded = {one.short: found.crowded[one.short] for one in running if one.short in found.crowded}
        for name, count in crowded.items():
            text = f"It ran {count} programs at once. Start it again once you know why."
            self._log.warn("{short}: {why}", short=name, why=text)
            self._modules.hold(name, text)
            self._modules.kill(name)
        running = [module for module in running if module.short not in crowded]
        # Out of a rest, a sample stands for those that were left out.
        now = self._now()
        worth = min(_SLOPE_SAMPLES, max(1, round((now - self._looked_at) / self._limits.period)))
        self._looked_at = now
        self._hub = found.own
        self._ours = sum(sizes.values()) + self._hub
        self._leaving = self._ours - self._hub - sum(sizes.get(one.short, 0) for one in running)
        for name, seconds in times.items():
            self._processor.setdefault(name, ProcessorUse()).add(now, sessions[name], seconds)
        if self._brake is not None:
            shares = {name: self._processor[name].share for name in times}
            self._brake.look(shares, found.members)
        usages = [self._noted(module, sizes[module.short], worth) for module in running if sizes.get(module.short)]
        self._sizes = dict(sizes)
        verdict = decide(usages, self.container(), self._restarted(now), self._limits)
        if not isinstance(verdict, Tight):
            self._tight = False
        self._act(verdict, sizes, now)
        # Last, because it takes a while, in which a module that was measured may end and another take its place.
        await self._keep_limits(running)

    async def _keep_limits(self, running: Sequence[RunningModule]) -> None:
        groups = self._groups
        if groups is None:
            return
        for module in running:
            if groups.kept(module.short) != module.allowance:
                keep = partial(self._in_thread, groups.keep, module.short, module.allowance)
                await self._failures.wait(f"Limiting {module.short}", keep)

    def glance(self) -> "Deferred[None] | None":
        """Read the memory in use; if it runs full, measure the modules and kill the one that takes it.

        While it is short, the modules are measured as often in a rest as otherwise. Where the limit is another one now,
        the next measurement sees it.
        """
        now, limits = self._clock.seconds(), self._limits
        before, limit, since = self._charged, self._bound, now - self._glanced_at
        self._charged = charged = self._room.charged()
        self._glanced_at = now
        if before is None or charged is None or limit is None:
            return None
        if self._attended or charged - before >= limits.stirring:
            self._attended, self._calm_at = False, now + limits.calm
        full = runs_full(before, charged, since, limit, limits)
        # File pages count too, which the kernel drops without delay.
        used = (self._room.used() or 0) if full or charged >= limit * limits.near else 0
        if now < self._calm_at or used >= limit * limits.near:
            pause = limits.glance
        else:
            pause = min(max(limits.rest, (limit - charged) // limits.spurt), limits.longest_rest)
        if pause != self._pause and self._glances is not None:
            self._pace(pause)
        if used >= limit * limits.soft and self._now() - self._looked_at >= limits.period:
            # In the background: it takes longer than the time until the next glance.
            Deferred.fromCoroutine(self._failures.wait("Measuring memory", self.look))
        if not full or used < limit // 2 or self._killing:
            return None
        self._killing = True
        return Deferred.fromCoroutine(self._kill_what_grows()).addBoth(self._killed)

    def _killed(self, result: Any) -> Any:
        self._killing = False
        return result

    async def _kill_what_grows(self) -> None:
        sessions = self._sessions()
        sizes = await self._in_thread(_footprints, self._meter, sessions)
        ending = self._modules.ending()
        running = [one for one in [*ending, *self._modules.alive()] if sessions.get(one.short) == one.session]
        usages = [Usage(one.short, sizes[one.short], one.allowance.memory) for one in running if sizes.get(one.short)]
        now = self._now()
        verdict = decide_at_once(usages, self._sizes, self._restarted(now), self._limits)
        if isinstance(verdict, Restart | Hold):
            if verdict.short not in {one.short for one in ending}:
                self._act(verdict, sizes, now)
            self._modules.kill(verdict.short)

    def _restarted(self, now: float) -> dict[str, int]:
        """The sizes of modules that were restarted for their memory not long ago."""
        self._lately = {k: v for k, v in self._lately.items() if now - v[0] < self._limits.forget}
        return {short: size for short, (_, size) in self._lately.items()}

    def _act(self, verdict: Verdict, sizes: Mapping[str, int], now: float) -> None:
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

    def _noted(self, module: RunningModule, size: int, worth: int) -> Usage:
        history = self._histories.setdefault(module.short, MemoryHistory(max(1, round(60 / self._limits.period))))
        history.add(size, worth)
        return Usage(module.short, size, module.allowance.memory, history.slope(_SLOPE_SAMPLES, self._limits.period))

    def _warn_once(self, short: str | None, why: str) -> None:
        if not self._tight:
            self._tight = True
            self._log.warn("{why}; the largest for its share is {short}", why=why, short=short or "not a module")
