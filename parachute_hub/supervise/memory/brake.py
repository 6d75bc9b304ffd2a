"""Keeps modules to their share of the processor where the kernel does not: it lets them stand still for moments."""

import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from attrs import field
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from parachute_hub.supervise.context import InThread, System
from parachute_hub.supervise.memory.processor import ProcessorDebt
from parachute_hub.system.records import define
from parachute_hub.system.timers import every

# How often a module is measured that takes too much.
_PULSE = 0.05
# Without a pause for so long, it is no longer watched.
_CALM = 5.0
# A little more than its share may be an error of measurement.
_TOLERANCE = 1.05


class Sharing(Protocol):
    """A running module; `session` is its process group, too."""

    @property
    def short(self) -> str: ...

    @property
    def session(self) -> int: ...

    @property
    def share(self) -> float | None:
        """Its part of one processor; None is without a limit."""


@define
class _Braked:
    session: int
    members: Sequence[int]
    paused_at: float
    debt: ProcessorDebt = field(factory=ProcessorDebt, init=False)
    until: float | None = field(default=None, init=False)


@define(kw_only=True)
class ProcessorBrake:
    """Stops (SIGSTOP) and continues the groups of modules that take more than their share.

    `alive` are the modules with a process. Nothing is measured while each keeps to its share.
    """

    meter: System
    signal_group: Callable[[int, int], None]
    in_thread: InThread
    clock: Any
    alive: Callable[[], Sequence[Sharing]]
    _braked: dict[str, _Braked] = field(factory=dict, init=False)
    _pulses: LoopingCall | None = field(default=None, init=False)
    _log = Logger()

    def look(self, shares: Mapping[str, float], members: Mapping[str, Sequence[int]]) -> None:
        """What each module takes of one processor at present, and its processes."""
        for module in self.alive():
            known = self._braked.get(module.short)
            pids = members.get(module.short, ())
            if known is not None and known.session == module.session:
                known.members = pids
            elif module.share is not None and shares.get(module.short, 0.0) > module.share * _TOLERANCE:
                words = "{short} takes more of the processor than it may, {share}%, and is held to that"
                self._log.info(words, short=module.short, share=round(module.share * 100))
                self._braked[module.short] = _Braked(module.session, pids, self.clock.seconds())
        if self._braked and self._pulses is None:
            self._pulses = every(
                self.clock, _PULSE, lambda: Deferred.fromCoroutine(self._pulse()), "Holding modules to their share"
            )

    def stop(self) -> None:
        """Let all run."""
        if self._pulses is not None:
            self._pulses.stop()
            self._pulses = None
        for short in list(self._braked):
            self._release(short)

    async def _pulse(self) -> None:
        now = self.clock.seconds()
        alive = {module.short: module for module in self.alive()}
        # One that goes on now runs until the next pulse at least.
        running = {short: one.members for short, one in self._braked.items() if one.until is None}
        for short, braked in list(self._braked.items()):
            module = alive.get(short)
            gone = module is None or module.session != braked.session or module.share is None
            if gone or now - braked.paused_at > _CALM:
                self._release(short)
            elif braked.until is not None and now >= braked.until:
                self._signal(braked, signal.SIGCONT)
                braked.until = None
        readings = await self.in_thread(self.meter.processor, running) if running else {}
        alive = {module.short: module for module in self.alive()}
        for short, reading in readings.items():
            module, one = alive.get(short), self._braked.get(short)
            if module is None or module.share is None or one is None or module.session != one.session:
                continue
            now = self.clock.seconds()
            pause = one.debt.pause(now, reading, module.share)
            if pause:
                one.paused_at, one.until = now, now + pause
                self._signal(one, signal.SIGSTOP)
        if not self._braked:
            self.stop()

    def _release(self, short: str) -> None:
        braked = self._braked.pop(short)
        if braked.until is not None:
            self._signal(braked, signal.SIGCONT)

    def _signal(self, braked: _Braked, number: int) -> None:
        try:
            self.signal_group(braked.session, number)
        except (ProcessLookupError, PermissionError):
            # It ended just now.
            braked.until = None
