"""Long operations on modules: one at a time per module, observable, cancellable, and undone on failure.

Before a job changes something, it records how to undo that (`Work.undo`). If the job fails, is cancelled or is
interrupted by a crash, the recorded undos run in reverse order: immediately, or at the next boot (`Jobs.recover`).
Undos that fail, as on a full disk, are retried (`Jobs.undo_left`) and block further jobs for that module.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from parachute_hub.events import Event, JobChanged
from parachute_hub.jobs.journal import JobFolder
from parachute_hub.jobs.model import Job, Step, Undo
from parachute_hub.jobs.running import RunningJob, step_over, unexpected
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.system.atomic_files import Unsynced, WriteFile, atomic_write
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.records import define
from parachute_hub.system.storage_trouble import MAKE_ROOM, is_full

KEPT = 50
LOG_LINES = 200
LINE_LENGTH = 500
NOT_UNDONE = "Some changes could not be undone yet. The hub keeps trying, also after a restart."
_STOPPED = "The hub was stopped while this was running."
_DONE = "done"
T = TypeVar("T")


class JobFailed(Exception):
    """A job cannot continue. The text is for the user; `detail` becomes `error_detail` in the API."""

    def __init__(self, description: str, detail: Mapping[str, Any] | None = None) -> None:
        super().__init__(description)
        self.detail = dict(detail) if detail else None


UndoHandler: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[None]]


class Jobs:
    """Runs jobs and keeps the newest fifty records in `folder`."""

    _log = Logger()

    def __init__(
        self,
        *,
        folder: Path,
        files: FileWriter | None = None,
        write: WriteFile = atomic_write,
        handlers: Mapping[str, UndoHandler],
        emit: Callable[[Event], None],
        mask: Callable[[str], str],
        now: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._records = JobFolder(folder, files, write)
        self._handlers = handlers
        self._emit = emit
        self._mask = mask
        self._now = now
        self._new_id = new_id
        self._jobs: dict[str, Job] = {}
        self._running: dict[str, RunningJob] = {}

    def handle(self, handlers: Mapping[str, UndoHandler]) -> None:
        """Add handlers of undos, before `recover`."""
        self._handlers = {**self._handlers, **handlers}

    def start(self, kind: str, short: str, params: Mapping[str, Any], work: "Callable[[Work], Awaitable[None]]") -> Job:
        """Run `work` as a job. An identical running job is returned; another one for the module is refused (409).

        It begins once its record is on disk: `recorded` waits for that.
        """
        for run in (run for run in self._running.values() if run.job.short == short):
            active = run.job
            if active.kind == kind and active.params == params and not run.ending:
                return active
            wait = "Wait for it or cancel it, then try again."
            state = "is being undone. Try again in a moment." if run.ending else f"is under way. {wait}"
            text = f"{short} is busy: {active.kind} {state}"
            raise Refused(409, "operation_in_progress", text, detail={"operation_id": active.id})
        job = Job(id=self._new_id(), kind=kind, short=short, params=params, started_at=self._now())
        running = self._running[job.id] = RunningJob(job)
        running.ended = Deferred.fromCoroutine(self._run(running, work))
        if running.refused is not None:
            raise running.refused
        return self._jobs.get(job.id, job)

    async def recorded(self, job: Job) -> Job:
        """Wait until a job that was just started is on disk. Raises Refused if it could not be recorded."""
        running = self._running.get(job.id)
        if running is not None and not running.recorded:
            await running.until(running.starters)
        return self.get(job.id)

    def get(self, job_id: str) -> Job:
        """The job with this id. Raises Refused 404."""
        if job_id not in self._jobs:
            raise not_found("There is no such operation.")
        return self._jobs[job_id]

    def all(self) -> list[Job]:
        """All known jobs, oldest first."""
        return sorted(self._jobs.values(), key=lambda job: job.started_at)

    def active(self, short: str) -> Job | None:
        """The running job for this module."""
        return next((run.job for run in self._running.values() if run.job.short == short), None)

    def cancel(self, job_id: str) -> Job:
        """Cancel a running job and undo its changes. Raises Refused 404, or 409 when it is too late."""
        job = self.get(job_id)
        running = self._running.get(job_id)
        if running is None or running.ending or running.committing or running.job.committed:
            raise Refused(409, "too_late", "It is too late to cancel: it is done, or about to be.")
        running.end("cancelled")
        return job

    async def finished(self, job_id: str) -> Job:
        """Wait until the job has ended. Raises Refused if it could not be recorded."""
        running = self._running.get(job_id)
        if running is not None and running.ended is not None:
            await running.until(running.waiters)
        return self.get(job_id)

    async def stop(self) -> None:
        """Shutdown: cancel and undo every running job."""
        for running in list(self._running.values()):
            if not running.ending:
                running.end("interrupted")
        for job_id in list(self._running):
            await self.finished(job_id)

    async def recover(self, first: "Callable[[Sequence[Job]], Awaitable[None]] | None" = None) -> list[Job]:
        """At boot, load all records and undo jobs that were interrupted. Returns the interrupted jobs.

        `first` is awaited with those jobs before anything is undone or marked as ended.
        """
        self._jobs.update({job.id: job for job in self._records.read()})
        half_done = [job for job in self.all() if job.half_done]
        if first is not None:
            await first(half_done)
        for job in self._left():
            await self._undo_rest(job)
        found = [await self._finish(job, "interrupted", _STOPPED) for job in half_done]
        for job in self.all():
            if not job.over:
                await self._finish(job, "succeeded", None)
        self._forget_old()
        return found

    def unsettled(self, short: str | None = None) -> bool:
        """True if some change (to this module) is still to be undone. Nothing set aside may be deleted then."""
        return bool(self._left(short))

    async def undo_left(self) -> None:
        """Retry undos that failed earlier, for example because the disk was full. Called periodically."""
        for job_id in [job.id for job in self._left()]:
            # A concurrent job may have settled it while an earlier one was being undone.
            job = next((left for left in self._left() if left.id == job_id), None)
            if job is not None and self.active(job.short) is None:
                self._running[job.id] = running = RunningJob(job, ending=True)
                try:
                    await self._undo_rest(job)
                finally:
                    self._ended(running)

    def _left(self, short: str | None = None) -> list[Job]:
        """Ended jobs with pending undos or an unrecorded end."""
        return [
            job
            for job in self.all()
            if job.over and (job.undo or self._records.lacks_end(job)) and short in (None, job.short)
        ]

    async def _settle_earlier(self, short: str) -> None:
        """Finish the pending undos of this module before building on its state. Raises JobFailed."""
        for job in self._left(short):
            await self._undo_rest(job)
        if self.unsettled(short):
            raise JobFailed(f"An earlier operation on {short} could not be undone yet. {MAKE_ROOM}")

    async def _run(self, running: RunningJob, work: "Callable[[Work], Awaitable[None]]") -> None:
        handle = Work(self, running)
        outcome, error, detail = "succeeded", None, None
        if not await self._begin(running):
            return
        try:
            await self._settle_earlier(running.job.short)
            await work(handle)
        except CancelledError:
            outcome = running.outcome or "cancelled"
            error = "It was cancelled." if outcome == "cancelled" else _STOPPED
        except (JobFailed, Refused) as failure:
            outcome, error, detail = "failed", str(failure), failure.detail
            if is_full(failure):
                error, detail = f"{error} {MAKE_ROOM}", {"error_type": "disk_full", **(detail or {})}
        except Exception as failure:
            self._log.failure("{kind} of {short} failed", kind=running.job.kind, short=running.job.short)
            outcome, (error, detail) = "failed", unexpected(failure)
        running.ending = True
        if running.job.committed and error is not None:
            # Already committed: only the cleanup failed, and the next boot repeats it.
            self.said(running, error)
            outcome, error, detail = "succeeded", None, None
        try:
            await self._finish(running.job, outcome, error, detail)
        finally:
            self._ended(running)

    async def _begin(self, running: RunningJob) -> bool:
        """Record the job. If that fails, there never was one."""
        running.refused = await self._records.create(running.job)
        if running.refused is None:
            self._note(running.job)
        else:
            self._ended(running)
        running.begun()
        return running.refused is None

    def _ended(self, running: RunningJob) -> None:
        del self._running[running.job.id]
        for waiter in running.waiters:
            waiter.callback(None)

    async def _finish(self, job: Job, outcome: str, error: str | None, detail: Mapping[str, Any] | None = None) -> Job:
        """Undo unless it succeeded, then record the end."""
        undone, left = ((), ()) if outcome == "succeeded" else await self._undo(job, live=outcome != "interrupted")
        job = evolve(
            self._jobs.get(job.id, job),
            status="succeeded" if outcome == "succeeded" else "failed",
            outcome=outcome,
            undo=left,
            undone=undone,
            error=self._mask(" ".join((error, *undone))) if error else None,
            error_detail=detail or None,
            finished_at=self._now(),
        )
        job = step_over(job, _DONE if outcome == "succeeded" else outcome, self._now())
        # Whoever sees the end may begin the next job at once, so nothing is awaited after it.
        await self._records.write_end(job)
        self._note(job)
        self._forget_old()
        return job

    async def _undo(self, job: Job, *, live: bool) -> tuple[tuple[str, ...], tuple[Undo, ...]]:
        """Run the undos. Returns the messages to show and the undos left for the next boot."""
        told: list[str] = []
        first = [undo for undo in reversed(job.undo) if live or not undo.live]
        # On a full disk, a write may succeed after the downloaded files have been removed.
        second = [undo for undo in first if await self._undone(undo, told)]
        left = []
        for undo in second:
            failure = await self._undone(undo, told)
            if failure is not None:
                left.append(undo)
                if not job.over:
                    self._log.failure("Undoing failed: {text}", failure, text=undo.text or undo.handler)
        if left and not job.over:
            told.append(NOT_UNDONE)
        return tuple(text for text in told if text), tuple(undo for undo in reversed(left) if not undo.live)

    async def _undone(self, undo: Undo, told: list[str]) -> Failure | None:
        try:
            await self._handlers[undo.handler](undo.arguments)
        except Exception:
            return Failure()
        told.append(undo.text)
        return None

    async def _undo_rest(self, job: Job) -> None:
        """Retry the undos that an earlier run could not complete."""
        undone, left = await self._undo(job, live=False)
        job = evolve(job, undo=left, undone=(*job.undone, *undone))
        self._note(job)
        await self._records.write_end(job)

    def change(self, running: RunningJob, **fields: Any) -> None:
        """For `Work`: update the running job and notify."""
        running.job = evolve(running.job, **fields)
        self._note(running.job)

    async def store(self, running: RunningJob, **fields: Any) -> None:
        """For `Work`: persist a change of the running job, then make it. Raises OSError.

        The in-memory state never gets ahead of what the next boot would read.
        """
        try:
            await self._records.write(evolve(running.job, **fields))
        except Unsynced:
            running.job = evolve(running.job, **fields)
            raise
        self.change(running, **fields)

    def said(self, running: RunningJob, text: str) -> None:
        """For `Work`: append a line of output."""
        line = self._mask(text)[:LINE_LENGTH]
        self.change(running, log=(*running.job.log, line)[-LOG_LINES:])

    def now(self) -> float:
        """For `Work`: the time in epoch seconds."""
        return self._now()

    def _note(self, job: Job) -> None:
        self._jobs[job.id] = job
        self._emit(JobChanged(job.to_json()))

    def _forget_old(self) -> None:
        left = self._left()
        for job in [job for job in self.all() if job.over and job not in left][:-KEPT]:
            del self._jobs[job.id]
            self._records.forget(job)


@define
class Work:
    """A running job's handle to its own record."""

    _jobs: Jobs
    _running: RunningJob

    @property
    def id(self) -> str:
        return self._running.job.id

    @property
    def job(self) -> Job:
        """The current state of the job."""
        return self._running.job

    def step(self, name: str) -> None:
        """Start the next step and complete the previous one."""
        now = self._jobs.now()
        job = step_over(self._running.job, _DONE, now)
        self._jobs.change(self._running, steps=(*job.steps, Step(name, now)))

    def rename(self, short: str) -> None:
        """Set the module's name once it is known. Raises Refused 409 if another job is working on that module."""
        other = self._jobs.active(short)
        if other is not None and other.id != self.id:
            raise Refused(409, "operation_in_progress", f"{short} is busy. Wait for its operation, then try again.")
        if self._jobs.unsettled(short):
            raise JobFailed(f"An earlier operation on {short} could not be undone yet. {MAKE_ROOM}")
        self._jobs.change(self._running, short=short)

    def measured(self, size: int, total: int | None = None) -> None:
        """Record the size in bytes of what the current step handles, or, with `total`, its progress."""
        *before, last = self._running.job.steps
        self._jobs.change(self._running, steps=(*before, evolve(last, size=size, total=total)))

    def line(self, text: str) -> None:
        """Append a line of output, with secrets masked."""
        self._jobs.said(self._running, text)

    async def undo(self, handler: str, text: str = "", *, live: bool = False, **arguments: Any) -> None:
        """Record, before making a change, how to undo it. `text` is shown once it has been undone.

        `live` marks changes that the next boot reverts anyway, such as starting a module. Raises OSError if the record
        cannot be written; the change must not be made then.
        """
        await self.undo_all(Undo(handler, text, arguments, live))

    async def undo_all(self, *undos: Undo) -> None:
        """Record several undos at once; the last one runs first."""
        await self._jobs.store(self._running, undo=(*self._running.job.undo, *undos))

    def undo_here(self, handler: str, text: str = "", **arguments: Any) -> None:
        """Like `undo`, for a change that does not outlive the process: it is not persisted."""
        self._jobs.change(self._running, undo=(*self._running.job.undo, Undo(handler, text, arguments)))

    async def commit(self) -> None:
        """Pass the point of no return: no undo, no cancellation. Raises OSError if that could not be persisted."""
        self._running.committing = True
        try:
            await self.whole(self._jobs.store(self._running, undo=(), committed=True))
        except Unsynced as error:
            # The commit may already be on disk, so it cannot be rolled back.
            self.line(f"The operation could not be flushed to disk: {error.strerror}.")
        finally:
            self._running.committing = False

    async def whole(self, part: Awaitable[T]) -> T:
        """Await something that must not be interrupted, such as a worker thread. Cancellation waits for it."""
        self._running.shields += 1
        try:
            result = await part
        finally:
            self._running.shields -= 1
        if self._running.outcome is not None:
            raise CancelledError
        return result
