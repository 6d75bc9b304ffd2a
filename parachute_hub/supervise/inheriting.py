"""A module's process when a newer hub takes the place of this one: left by the one, taken over by the other."""

import os
from typing import Literal

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from parachute_hub.supervise.context import SupervisorContext
from parachute_hub.supervise.inheritance import InheritedModule, InheritedProcess
from parachute_hub.supervise.lifecycle import Lifecycle, MachineContext
from parachute_hub.supervise.model import Launch, ModuleState
from parachute_hub.supervise.output.output import Output
from parachute_hub.supervise.process.child import Child, Exit
from parachute_hub.supervise.process.health import HealthPath
from parachute_hub.supervise.restart_policy import CrashHistory
from parachute_hub.supervise.self_report import SelfReport
from parachute_hub.supervise.status_board import StatusBoard


class Inheriting:
    """The part of a Module that hands its process over, and takes one over."""

    _log = Logger()
    short: str
    launch: Launch | None
    owned_port: int | None
    output: Output
    machine: Lifecycle
    _board: StatusBoard
    _context: SupervisorContext
    _phase: Literal["none", "preparing", "running"]
    _clearing: Deferred[None]
    _child: Child | None
    _ready_at: float | None
    _oom_kills: int
    _health: HealthPath
    _report: SelfReport
    _core: MachineContext
    _inherited: InheritedProcess | None

    def take_over(self, inherited: InheritedModule) -> None:
        """Start, with what an older hub left: its process, if it is still there, and the history of crashes."""
        process, self._inherited = inherited.process, inherited.process
        self._board.set(last_exit=inherited.last_exit)
        self.machine.start()
        self._core.history = inherited.history
        self._board.set(restarts=inherited.history.total)
        if process is None or self._child is None:
            return
        if process.state == "ready":
            self.machine.answered()
        elif process.state == "degraded":
            self.machine.answered_late(process.reason)
        self._board.set(since=process.since)

    def _adopted(self, inherited: InheritedProcess) -> bool:
        child = self._context.child(self.output, self._child_ended)
        self._report.begin(self._context.now())
        try:
            child.take_over(self._context.adopt, self._context.reactor, inherited.pid, inherited.descriptor)
        except OSError as error:
            self._log.warn("Process {pid} is gone: {why}", pid=inherited.pid, why=error)
            os.close(inherited.descriptor)
            return False
        self.output.received(inherited.partial)
        self.launch = inherited.launch(self.short)
        self._ready_at, self._oom_kills = inherited.ready_at, self._context.counters.oom_kills()
        self._health = HealthPath(inherited.health)
        answered = inherited.ready_at is not None
        self.owned_port = inherited.port if answered else None
        self._board.set(port=inherited.port, isolation=inherited.isolation)
        self._runs(child, inherited.started_at or inherited.since, answered=answered)
        return True

    def settles(self) -> bool:
        """Whether it is on the way to another state, so that it cannot be handed over now."""
        return (
            self._phase == "preparing" or self._board.status.state is ModuleState.STOPPING or not self._clearing.called
        )

    def hand_over(self) -> InheritedModule | None:
        """What a newer hub has to know; None if that is nothing. This one does nothing more with the module."""
        self._watch_no_more()
        self.stop_waiting()
        descriptor = self._child.hand_over() if self._child is not None else None
        process = None
        if self._child is not None and descriptor is not None and self.launch is not None:
            process = InheritedProcess.of(
                self._board.status,
                self.launch,
                pid=self._child.pid,
                descriptor=descriptor,
                partial=self.output.partial,
                health=self._health.path,
                ready_at=self._ready_at,
            )
        history = self._core.history
        asleep = self._board.status.state is ModuleState.ASLEEP
        if process is None and (asleep or history == CrashHistory()):
            return None
        return InheritedModule(
            short=self.short, process=process, history=history, last_exit=self._board.status.last_exit
        )

    def stop_waiting(self) -> None:
        """Cancel a retry."""
        raise NotImplementedError

    def _watch_no_more(self) -> None:
        raise NotImplementedError

    def _child_ended(self, exit: Exit) -> None:
        raise NotImplementedError

    def _runs(self, child: Child, since: float, *, answered: bool = False) -> None:
        raise NotImplementedError
