"""Decides whether a newly installed or switched module works: it must answer, and keep answering."""

from typing import Any, Protocol

from twisted.internet.task import deferLater

from parachute_hub.jobs.runner import JobFailed, Work
from parachute_hub.supervise.model import ModuleState, Status
from parachute_hub.system.records import frozen

POLL_SECONDS = 0.25
LAST_LINES = 20
_FAILED = frozenset({ModuleState.BACKOFF, ModuleState.PARKED, ModuleState.STOPPED, ModuleState.HELD})


class SupervisorApi(Protocol):
    """The part of the supervisor that operations use."""

    async def start(self, short: str) -> Status:
        """Enable and start. Resolves with the status when ready, slow or failed."""

    async def stop(self, short: str) -> Status:
        """Disable and stop."""

    async def restart(self, short: str) -> Status:
        """Stop, then start with a fresh launch."""

    async def remove(self, short: str) -> None:
        """Stop and forget the module."""

    def status(self, short: str) -> Status | None: ...

    def log(self, short: str) -> Any:
        """The module's latest output as a LogRing, or None."""

    async def listens(self, short: str) -> list[int]:
        """All ports on which the module's own processes listen."""


@frozen(kw_only=True)
class HealthGate:
    """Starts modules and verifies that they stay healthy. `clock` is a reactor's time."""

    supervisor: SupervisorApi
    clock: Any

    async def prove(self, work: Work, short: str, seconds: float, settle: float) -> None:
        """Start the module. It must answer within `seconds`, and still answer `settle` seconds later. Raises
        JobFailed.
        """
        begun = self.clock.seconds()
        ring = self.supervisor.log(short)
        seen = ring.latest if ring is not None else 0
        status = await self.supervisor.restart(short)
        while True:
            while status.state is not ModuleState.READY:
                if status.state in _FAILED:
                    raise self._failed(work, short, seen, status, status.reason)
                if self.clock.seconds() - begun >= seconds:
                    raise self._failed(work, short, seen, status, f"It did not answer within {seconds:.0f} s.")
                status = await self._later(short, POLL_SECONDS)
            if not settle:
                break
            pid = status.pid
            status = await self._later(short, settle)
            if status.state is ModuleState.READY and status.pid == pid:
                break
            # Deliberately restarted in between, such as a vault that learns of a new scribe: it has to answer again.
            crashed = status.restarts or status.state in _FAILED
            if crashed or (status.pid == pid and not status.start_follows):
                raise self._failed(
                    work, short, seen, status, f"It answered once and then stopped answering. {status.reason}"
                )
            begun = self.clock.seconds()
        work.line(f"{short} answers.")

    async def _later(self, short: str, seconds: float) -> Status:
        await deferLater(self.clock, seconds)
        status = self.supervisor.status(short)
        if status is None:
            raise JobFailed(f"{short} was removed in the meantime.")
        return status

    def _failed(self, work: Work, short: str, seen: int, status: Status, why: str) -> JobFailed:
        """The error, after copying the module's last output to the job's log."""
        ring = self.supervisor.log(short)
        lines = ring.since(seen)[-LAST_LINES:] if ring is not None else []
        if lines:
            work.line(f"The last lines of {short}:")
        for line in lines:
            work.line(f"  {line.text}")
        return JobFailed(f"{short} does not work. {why}", status.start_error)
