"""A job in progress, as its runner knows it."""

from typing import Any

from attrs import evolve, field
from twisted.internet.defer import Deferred

from parachute_hub.jobs.model import Job
from parachute_hub.site.errors import Refused
from parachute_hub.system.records import define
from parachute_hub.system.storage_trouble import MAKE_ROOM, is_full


@define(eq=False)
class RunningJob:
    """The job, its task and who waits for it.

    `recorded` once it is on disk, or `refused` if it cannot be. `ending` from when it can no longer be cancelled.
    `shields` counts what must not be interrupted.
    """

    job: Job
    ended: Deferred[None] | None = None
    outcome: str | None = None
    ending: bool = False
    committing: bool = False
    recorded: bool = False
    refused: Refused | None = None
    shields: int = 0
    starters: list[Deferred[None]] = field(factory=list)
    waiters: list[Deferred[None]] = field(factory=list)

    async def until(self, waiters: "list[Deferred[None]]") -> None:
        """Wait with these. Raises Refused if the job could not be recorded."""
        waiter: Deferred[None] = Deferred()
        waiters.append(waiter)
        await waiter
        if self.refused is not None:
            raise self.refused

    def begun(self) -> None:
        """It is on disk, or could not be put there."""
        self.recorded = True
        for starter in self.starters:
            starter.callback(None)

    def end(self, outcome: str) -> None:
        """Cancel the work and whatever it is waiting for."""
        self.outcome = outcome
        self.ending = True
        if self.ended is not None and not self.shields:
            self.ended.cancel()


def step_over(job: Job, status: str, now: float) -> Job:
    if not job.steps or job.steps[-1].finished_at is not None:
        return job
    return evolve(job, steps=(*job.steps[:-1], evolve(job.steps[-1], status=status, finished_at=now)))


def unexpected(error: Exception) -> tuple[str, dict[str, Any] | None]:
    """What the user is told of an error that no step foresaw, and its detail."""
    if is_full(error):
        return f"The disk is full. {MAKE_ROOM}", {"error_type": "disk_full"}
    if isinstance(error, OSError) and error.strerror:
        return f"The disk refused: {error.strerror}.", None
    return "Something went wrong in the hub. Its log has the details.", None
