"""One supervised module: carries out its state machine's outputs and feeds it events. Modules share no state."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from parachute_hub.confinement.kernel import NotConfined
from parachute_hub.supervise.context import SupervisorContext
from parachute_hub.supervise.inheriting import Inheriting
from parachute_hub.supervise.lifecycle import Lifecycle, MachineContext, ProcessEnd, new_lifecycle
from parachute_hub.supervise.model import (
    LASTING,
    LISTENS,
    NOT_ISOLATED,
    SQUATTED,
    UNBOUND,
    WAKING,
    CannotLaunch,
    LastExit,
    Launch,
    ModuleState,
    Status,
)
from parachute_hub.supervise.output.log_files import LogFiles
from parachute_hub.supervise.output.log_ring import LogRing
from parachute_hub.supervise.output.output import Output
from parachute_hub.supervise.process import probe
from parachute_hub.supervise.process.child import Child, Exit, way
from parachute_hub.supervise.process.command_line import command, environment, preflight
from parachute_hub.supervise.process.health import HealthCheck, HealthPath, RunningCheck
from parachute_hub.supervise.process.orphans import Leftovers
from parachute_hub.supervise.process.process_tags import ProcessTag, TagFilter
from parachute_hub.supervise.process.processes import Holder
from parachute_hub.supervise.self_report import SelfReport
from parachute_hub.supervise.status_board import StatusBoard

_OFF = "It has not been started."
_FINISH_POLL = 0.05
_NOT_ISOLATED = {"error_type": NOT_ISOLATED}


class Module(Inheriting):
    """Carries out the outputs of one Lifecycle state machine (`machine`).

    `status` is the current status; `ring` holds the latest output.
    """

    def __init__(self, short: str, context: SupervisorContext) -> None:
        self.short = short
        self._mark = ProcessTag(short, context.home_id, context.life)
        self._tag_filter = TagFilter(context.home_id, short)
        status = Status(short=short, state=ModuleState.STOPPED, reason=_OFF, since=context.wall())
        self._board = StatusBoard(status, context.reactor, context.emit)
        self._set, self._publish, self.settled = self._board.set, self._board.publish, self._board.settled
        self.ring = LogRing(context.limits.ring)
        self.launch: Launch | None = None
        self.owned_port: int | None = None
        self._context = context
        self.output = Output(
            ring=self.ring,
            files=LogFiles(context.log_folder, short, context.log_bytes, context.log_writer),
            log_line=self._wrote,
            mask=context.mask,
            limits=context.limits,
            now=context.now,
            wall=context.wall,
        )
        self._leftovers = Leftovers(
            system=context.system,
            tag_filter=self._tag_filter,
            grace=context.timing.sweep,
            clock=context.reactor,
            in_thread=context.in_thread,
        )
        self._phase: Literal["none", "preparing", "running"] = "none"
        self._preparing: Deferred[None] | None = None
        self._clearing: Deferred[None] = succeed(None)
        self._child: Child | None = None
        self._finishing: Deferred[None] = succeed(None)
        self._watching: RunningCheck | None = None
        self._timer: IDelayedCall | None = None
        self._ready_at: float | None = None
        self._end_why = ""
        self._oom_kills = 0
        self._health = HealthPath("/")
        self._report = SelfReport()
        self._inherited = None
        self._core = MachineContext(self, context.timing, context.random)
        self.machine: Lifecycle = new_lifecycle(self._core)

    # --- for the supervisor

    @property
    def status(self) -> Status:
        """The current status."""
        return self._board.status

    def kill(self) -> None:
        """SIGKILL its group now; the usual events follow."""
        if self._child is not None:
            self._child.kill()

    def close(self) -> None:
        """Close the log files."""
        self.output.close()

    # --- for the health checker

    @property
    def port(self) -> int:
        """The port of the running process."""
        return self.launch.port if self.launch else 0

    async def ask(self, timeout: float) -> int:
        """The HTTP status of the health path, or of an open one when that needs a token."""
        reply = await self._health.ask(lambda path: probe.ask(self._context.reactor, self.port, path, timeout))
        if self._report.answered(reply.body):
            self._reported()
        return reply.status

    async def owner(self) -> Holder | None:
        """Who listens on the port; looked up once per spawn and cached in `owned_port`."""
        session = self._child.pid if self._child else 0
        owner = await self._context.in_thread(self._context.system.owner, session, self.port, self._tag_filter)
        self.owned_port = self.port if owner is not None and owner.ours else None
        return owner

    async def other_ports(self) -> list[int]:
        """The ports on which the module's processes listen."""
        return await self._context.in_thread(self._context.system.ports, self._tag_filter)

    def unbound(self, why: str | None, listens: Sequence[int] = ()) -> None:
        """Running without listening on its port, reported as a start error; None clears it."""
        if why is not None:
            self._set(start_error={**self._error(UNBOUND, why), LISTENS: list(listens)})
        elif (self.status.start_error or {}).get("error_type") == UNBOUND:
            self._set(start_error=None)
            self._publish()

    def squatted(self, why: str) -> None:
        """The port belongs to another program: a start error."""
        self._set(start_error=self._error(SQUATTED, why))

    # --- for the state machine

    def spawn(self) -> None:
        """Prepare and start a process, or go on with an inherited one."""
        inherited, self._inherited = self._inherited, None
        if inherited is not None and self._adopted(inherited):
            return
        self._phase = "preparing"
        self._report.begin(self._context.now())
        self._set(reports=(), warnings=())
        self._ready_at, self._end_why, self._board.late, self.owned_port = None, "", False, None
        self._preparing = Deferred.fromCoroutine(self._spawn())
        self._preparing.addErrback(self._not_prepared)

    def finish_and_end(self, grace: float, why: str) -> None:
        """End the process once no request is open, or after a short while."""
        self._watch_no_more()
        self._finishing = Deferred.fromCoroutine(self._finish())
        self._finishing.addCallbacks(lambda _: self.end(grace, why), self._not_finished)

    def end(self, grace: float, why: str) -> None:
        """End what is running; `exited` follows."""
        self._end_why = why
        self._watch_no_more()
        if self._phase == "preparing" and self._preparing is not None:
            self._phase = "none"
            self._preparing.cancel()
            fall = ProcessEnd(why, self._context.now())
            self._clearing.addCallback(lambda _: self.machine.exited(fall))
        elif self._phase == "running" and self._child is not None:
            self._child.end(grace)

    def _watch_no_more(self) -> None:
        if self._watching is not None:
            self._watching.end()
            self._watching = None

    async def _finish(self) -> None:
        """Wait for open requests. The proxy sends no new ones, since only ready modules get any."""
        by = self._context.now() + self._context.timing.finish
        while self._context.under_way(self.port) and self._context.now() < by:
            await deferLater(self._context.reactor, _FINISH_POLL)

    def _not_finished(self, failure: Failure) -> None:
        """The process ended before its requests did."""
        failure.trap(CancelledError)

    def wait(self, delay: float) -> None:
        """Schedule a retry."""
        self._timer = self._context.reactor.callLater(delay, self._waited)
        self._set(next_retry_at=self._context.wall() + delay)

    def stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._set(next_retry_at=None)

    def changed(self, state: ModuleState, reason: str) -> None:
        """Publish the state."""
        before = self.status
        if state is ModuleState.READY and self._ready_at is None:
            self._ready_at = self._context.now()
        self._set(
            state=state,
            reason=reason,
            since=before.since if state is before.state else self._context.wall(),
            # A crash counts as a restart only if a restart follows, which back-off implies.
            restarts=self._core.history.total,
            start_follows=before.start_follows and state is ModuleState.STOPPING,
            start_error=None if state is ModuleState.READY else before.start_error,
            wakes=before.wakes and state in WAKING,
        )
        self._publish()

    def follows(self, start: bool) -> None:
        """Record whether a start follows the stop."""
        self._set(start_follows=start)

    def late(self) -> None:
        """Stop making callers wait."""
        self._board.late = True

    def sleeps(self) -> None:
        """Requests wake it."""
        self._set(wakes=True)

    async def _spawn(self) -> None:
        try:
            self.launch = launch = await self._context.launcher.launch(self.short)
            preflight(launch)
            self._health = HealthPath(launch.health)
        except CannotLaunch as problem:
            self._cannot(problem.description, problem.to_json())
            return
        except Exception as error:
            if isinstance(error, CancelledError):
                raise
            self._log.failure("Building the command line of {short} failed", short=self.short)
            self._cannot(f"It cannot start: {error}", {"error_type": "module_op_failed"})
            return
        self._set(port=launch.port, isolation=launch.isolation)
        await self.cleared()
        stranger = await self._leftovers.clear_port(launch.port)
        if stranger is not None:
            self._refuse_port(launch.port, stranger)
            return
        child = self._context.child(self.output, self._child_ended)
        self._oom_kills = self._context.counters.oom_kills()
        try:
            words, start = command(launch, self._context.tools), way(launch.rules, self._context.confiner)
            child.spawn(self._context.reactor, words, environment(launch, self._mark), start)
        except NotConfined as problem:
            self._cannot(f"It was not started, because it could not be separated: {problem}.", _NOT_ISOLATED)
            return
        except OSError as error:
            self._cannot(f"The system cannot start a process: {error.strerror}.", {"error_type": "module_op_failed"})
            return
        self._started(child)

    async def cleared(self) -> None:
        """Resolves when nothing of the previous process is left. Waiters may be cancelled; the cleanup continues."""
        waiter: Deferred[None] = Deferred()
        self._clearing.addCallback(lambda _: waiter.callback(None))
        await waiter

    def _started(self, child: Child) -> None:
        self._log.info("{short} started, pid {pid}, port {port}", short=self.short, pid=child.pid, port=self.port)
        self.output.mark("start", f"Started, pid {child.pid}, port {self.port}.")
        self._runs(child, self._context.wall())

    def _runs(self, child: Child, since: float, *, answered: bool = False) -> None:
        context = self._context
        self._child, self._phase = child, "running"
        self._set(pid=child.pid, started_at=since)
        self._publish()
        context.limit(self.short, child.pid)
        check = HealthCheck(self, self.machine, context.timing, context.reactor, context.now, answered, context.rest)
        self._watching = RunningCheck(check)

    def _refuse_port(self, port: int, stranger: str) -> None:
        self._phase = "none"
        text = f"Port {port} is used by {stranger}. {self.short} starts once that program has stopped."
        self.squatted(text)
        self.machine.blocked(text, self._context.timing.port_poll)

    def _cannot(self, why: str, error: Mapping[str, Any]) -> None:
        self._phase = "none"
        described = self._error(error["error_type"], why) | dict(error)
        self._set(start_error=described)
        self.output.note(why)
        if described["error_type"] in LASTING:
            self.machine.blocked(why, None)
            return
        self.machine.not_spawned(ProcessEnd(why, self._context.now(), error=described))

    def _error(self, error_type: str, description: str) -> dict[str, Any]:
        error = CannotLaunch(error_type, description).to_json()
        return {**error, "at": LastExit(None, None, False, self._context.wall()).to_json()["at"]}

    def _not_prepared(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        self._log.failure("{short} could not be prepared", failure, short=self.short)
        self._cannot(f"It cannot start: {failure.getErrorMessage()}", {"error_type": "module_op_failed"})

    # --- process exit

    def _child_ended(self, exit: Exit) -> None:
        self._watch_no_more()
        self._finishing.cancel()
        self.unbound(None)
        oom = self._was_oom(exit)
        last = LastExit(exit.code, exit.signal_name, oom, self._context.wall())
        self._set(pid=None, started_at=None, reports=(), last_exit=last)
        now = self._context.now()
        ready_for = None if self._ready_at is None else now - self._ready_at
        asked = exit.asked and self._end_why and not oom
        why = self._end_why if asked else exit.told(oom, self._report.last)
        self._log.info("{short} ended: {why}", short=self.short, why=why)
        self.output.mark(exit.kind(oom), why)
        fall = ProcessEnd(why, now, ready_for)
        self._child, self._phase, self.owned_port = None, "none", None
        self._clearing = Deferred.fromCoroutine(self._clear())
        if self.status.state is ModuleState.STOPPING:
            # Stopped means that nothing is left; after a crash, the next start waits for that too.
            self._clearing.addCallback(lambda _: self.machine.exited(fall))
        else:
            self.machine.exited(fall)

    async def _clear(self) -> None:
        """End processes that left the group."""
        try:
            left = await self._leftovers.sweep()
        except CancelledError:
            return
        except Exception:
            self._log.failure("Could not look for leftover processes of {short}", short=self.short)
            return
        if left:
            self.output.note(f"ended {len(left)} leftover processes: {left}")

    def _was_oom(self, exit: Exit) -> bool:
        return exit.by_others and self._context.counters.oom_kills() > self._oom_kills

    # --- status

    def _waited(self) -> None:
        self._timer = None
        self._set(next_retry_at=None)
        self.machine.retry()
        self.machine.release()

    def _wrote(self, line: str) -> None:
        """The module or the hub wrote a line to its log."""
        self._context.log_line(self.short, line)
        if not line.startswith("(hub) ") and self._report.wrote(line, self._context.now()):
            self._reported()

    def _reported(self) -> None:
        self._set(reports=self._report.reports, warnings=self._report.warnings)
        self._publish()
