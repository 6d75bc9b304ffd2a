"""The composed hub: what starts, stops, and is left to the hub that takes its place."""

from collections.abc import Callable, Sequence

from attrs import field
from twisted.internet.process import reapProcessHandlers
from twisted.internet.task import LoopingCall

from parachute_hub.app.handover import Left
from parachute_hub.app.restart_in_place import RestartInPlace
from parachute_hub.app.runtime import ModuleRuntime
from parachute_hub.proxy.front import Backend
from parachute_hub.system.reactor_lag import LagProbe
from parachute_hub.system.records import frozen


@frozen(kw_only=True)
class Composition:
    """The running hub (implements `service.Composed`).

    `timers` start the site's periodic tasks, `begin` runs last at the start, `end` when the hub stops for good.
    `leaving` runs before the modules stop, `closing` after. `lasting` are the processes that a newer hub starts anew.
    """

    backend: Backend
    _engine: ModuleRuntime
    _lag: LagProbe
    _in_place: RestartInPlace
    _timers: Sequence[Callable[[], LoopingCall]] = ()
    _begin: Callable[[], object] = field(default=lambda: None)
    _end: Callable[[], object] = field(default=lambda: None)
    _lasting: Callable[[], set[int]] = field(default=set)
    _leaving: Sequence[Callable[[], object]] = ()
    _closing: Sequence[Callable[[], object]] = ()
    _running: list[LoopingCall] = field(factory=list, init=False)

    def operation(self) -> str | None:
        """The operation that is under way, as a sentence."""
        job = next((job for job in self._engine.modules.jobs.all() if not job.over), None)
        return f"An operation is under way: {job.kind} {job.short}." if job is not None else None

    def busy(self) -> str | None:
        """What must not be interrupted, as a sentence; None if nothing."""
        engine, operation = self._engine, self.operation()
        if operation is not None:
            return operation
        settling = engine.supervisor.settles()
        if settling:
            return f"{settling[0]} is starting or stopping."
        # Workers of backups and notices, which nobody would hear of again.
        known = {status.pid for status in engine.supervisor.all()} | self._lasting()
        return "A program of the hub is still at work." if reapProcessHandlers.keys() - known else None

    def end_streams(self) -> None:
        """End the event streams of pages; they connect again."""
        for leave in self._leaving:
            leave()

    def hand_over(self) -> Left:
        """Close everything but the modules. Blocks until all is written."""
        for timer in self._running:
            timer.stop()
        self._lag.stopService()
        engine = self._engine
        gateway = engine.modules.files.outside.gateway
        left = Left(
            life=engine.supervisor.life,
            gateway=gateway.hand_over() if gateway is not None else None,
            modules=tuple(engine.supervisor.hand_over()),
        )
        for close in self._closing:
            close()
        return left

    async def start(self) -> None:
        """Start the periodic tasks."""
        engine = self._engine
        self._lag.startService()
        self._running.extend(start() for start in self._timers)
        self._running.extend(engine.modules.watch())
        self._begin()
        self._in_place.composed = self

    async def stop(self) -> None:
        """Cancel and undo jobs, stop the modules, close everything."""
        self._end()
        for leave in self._leaving:
            leave()
        for timer in self._running:
            timer.stop()
        await self._engine.modules.jobs.stop()
        self._lag.stopService()
        await self._engine.supervisor.stopService()
        for close in self._closing:
            close()
