"""Puts data from a backup in the place of a module's, or one vault beside the others; undone if it does not work."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from parachute_hub.jobs.model import Job
from parachute_hub.jobs.runner import JobFailed, Jobs, Work
from parachute_hub.modules.operations.health_gate import HealthGate, SupervisorApi
from parachute_hub.modules.operations.upgrade import AWAY, GATE_SECONDS, SETTLE_SECONDS
from parachute_hub.modules.state.data_swap import DataSwap
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.system.records import frozen


@frozen(kw_only=True)
class ArrivedData:
    """A folder with data of the module `short`, and its `place` relative to the home.

    `replace`: whether it may take the place of what is there. `title` says what it is.
    """

    short: str
    place: str
    folder: Path
    replace: bool
    title: str


@frozen(kw_only=True)
class DataRestorer:
    """Exchanges data while its module is stopped. `gate` and `settle` are in seconds, as for upgrades."""

    jobs: Jobs
    directory: ModuleDirectory
    supervisor: SupervisorApi
    prover: HealthGate
    swap: DataSwap
    in_thread: Callable[..., Awaitable[Any]]
    gate: float = GATE_SECONDS
    settle: float = SETTLE_SECONDS

    def restore(self, arrived: ArrivedData) -> Job:
        """Start the job. Raises Refused 409 if the module is busy."""
        params = {"place": arrived.place, "replace": arrived.replace}
        return self.jobs.start("restore-backup", arrived.short, params, lambda work: self._restore(work, arrived))

    async def ended(self, job: Job) -> None:
        """Wait for the end of the job, then delete what it set aside."""
        await self.jobs.finished(job.id)
        if not self.jobs.unsettled(job.short):
            await self.in_thread(self.swap.settle, job.short, job.id)

    async def _restore(self, work: Work, arrived: ArrivedData) -> None:
        work.step("check")
        short, place, records = arrived.short, arrived.place, self.directory.records
        if self.directory.row(short) is None:
            raise JobFailed(f"{short} is not installed. Install it first.")
        if self.directory.elsewhere(short) is not None:
            raise JobFailed(AWAY.format(short=short))
        await work.whole(self.in_thread(self.swap.take, short, work.id, arrived.folder))
        wanted = records.wanted(short)
        if wanted:
            await work.undo("start", live=True, short=short)
        await work.undo("record", short=short, record=records.get(short).to_json())
        if wanted:
            work.step("stop")
            await self.supervisor.stop(short)
        work.step("restore data")
        if not arrived.replace and await self.in_thread(self.swap.has, place):
            raise JobFailed(f"{arrived.title} cannot be put beside the others: the name is taken by now.")
        await work.undo("swap_back", "The data is as it was before.", short=short, name=work.id, place=place)
        await work.whole(self.in_thread(self._swap_in, short, work.id, arrived))
        if wanted:
            work.step("start")
            await work.undo("stop", short=short)
            await records.want(short, True)
            await self.prover.prove(work, short, self.gate, self.settle)
        await work.commit()
        work.line(f"{arrived.title} was restored from the backup.")

    def _swap_in(self, short: str, name: str, arrived: ArrivedData) -> None:
        self.swap.swap_in(short, name, arrived.place, replace=arrived.replace)
