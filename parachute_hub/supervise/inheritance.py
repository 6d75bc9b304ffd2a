"""What a hub tells the one that takes its place about a module."""

from typing import Literal, TypeAlias

from parachute_hub.supervise.model import Isolation, LastExit, Launch, ModuleState, Status
from parachute_hub.supervise.restart_policy import CrashHistory
from parachute_hub.system.records import frozen

_State: TypeAlias = Literal["starting", "ready", "degraded"]


@frozen(kw_only=True)
class InheritedProcess:
    """A running process. `descriptor` is the read end of its output, `partial` its last line so far. `ready_at` is when
    it first answered, in monotonic seconds, None if it has not; `reason` says why it is degraded.
    """

    pid: int
    descriptor: int
    partial: bytes
    port: int
    health: str
    isolation: Isolation | None
    state: _State
    reason: str
    ready_at: float | None
    since: float
    started_at: float | None

    @classmethod
    def of(
        cls,
        status: Status,
        launch: Launch,
        *,
        pid: int,
        descriptor: int,
        partial: bytes,
        health: str,
        ready_at: float | None,
    ) -> "InheritedProcess":
        """The process of a module with this status, which was launched in this way."""
        state: _State = "degraded"
        if status.state is ModuleState.READY:
            state = "ready"
        elif status.state is ModuleState.STARTING:
            state = "starting"
        return cls(
            pid=pid,
            descriptor=descriptor,
            partial=partial,
            port=launch.port,
            health=health,
            isolation=launch.isolation,
            state=state,
            reason=status.reason,
            ready_at=ready_at,
            since=status.since,
            started_at=status.started_at,
        )

    def launch(self, short: str) -> Launch:
        """The launch, as far as it matters while the process runs."""
        return Launch(
            short=short,
            argv=(),
            cwd="",
            env={},
            port=self.port,
            health=self.health,
            isolation=self.isolation,
        )


@frozen(kw_only=True)
class InheritedModule:
    """A module that runs, here or on another machine, or crashed before. `history` is what the restart policy counts,
    in monotonic seconds.
    """

    short: str
    process: InheritedProcess | None
    history: CrashHistory
    last_exit: LastExit | None
