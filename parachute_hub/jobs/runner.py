"""Long operations on modules: one at a time for each module, watchable, cancellable, undone when they fail.

Before a job changes something it writes down how that is undone (`Work.undo`). When it fails, is cancelled, or the hub
dies under it, what was written down is done in reverse order: at once, or at the next boot (`Jobs.recover`). What
cannot be undone, as on a full disk, is tried again (`Jobs.undo_left`); nothing else is done to that module before.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from attrs import define, evolve, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from parachute_hub.events import Event, JobChanged
from parachute_hub.jobs.journal import JobFolder
from parachute_hub.jobs.model import Job, Step, Undo
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.system.atomic_files import Unsynced, disk_is_full

KEPT = 50
LOG_LINES = 200
LINE_LENGTH = 500
MAKE_ROOM = "Free some space (Settings, Disk space: clear caches and old versions), then try again."
NOT_UNDONE = "Some changes could not be undone yet. The hub keeps trying, also after a restart."
_STOPPED = "The hub was stopped while this was running."
_DONE = "done"
T = TypeVar("T")


class JobFailed(Exception):
    """A job cannot go on; the text is for people. `detail` goes into the answer as `error_detail`."""

    def __init__(self, description: str, detail: Mapping[str, Any] | None = None) -> None:
        super().__init__(description)
        self.detail = dict(detail) if detail else None


UndoHandler: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[None]]


class Jobs:
    """Runs jobs and remembers them below `folder`, the newest fifty."""

    _log = Logger()

    def __init__(
        self,
        *,
        folder: Path,
        handlers: Mapping[str, UndoHandler],
        emit: Callable[[Event], None],
        mask: Callable[[str], str],
        now: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._records = JobFolder(folder)
        self._handlers = handlers
        self._emit = emit
        self._mask = mask
        self._now = now
        self._new_id = new_id
        self._jobs: dict[str, Job] = {}
        self._running: dict[str, _Running] = {}

    def start(self, kind: str, short: str, params: Mapping[str, Any], work: "Callable[[Work], Awaitable[None]]") -> Job:
        """Run `work`. The same job asked for twice is one job; another one for the same module is refused (409)."""
        for run in (run for run in self._running.values() if run.job.short == short):
            active = run.job
            if active.kind == kind and active.params == params and not run.ending:
                return active
            wait = "Wait for it or cancel it, then try again."
            state = "is being undone. Try again in a moment." if run.ending else f"is under way. {wait}"
            text = f"{short} is busy: {active.kind} {state}"
            raise Refused(409, "operation_in_progress", text, detail={"operation_id": active.id})
        job = Job(id=self._new_id(), kind=kind, short=short, params=params, started_at=self._now())
        try:
            self._records.write_first(job)
        except OSError as error:
            self._records.forget(job)
            raise Refused(507, "disk_full", f"The job cannot be written down: {error.strerror}. {MAKE_ROOM}") from None
        running = _Running(job)
        self._running[job.id] = running
        self._note(job)
        running.ended = Deferred.fromCoroutine(self._run(running, work))
        return self._jobs[job.id]

    def get(self, job_id: str) -> Job:
        """The job of this id. Raises Refused 404."""
        if job_id not in self._jobs:
            raise not_found("There is no such operation.")
        return self._jobs[job_id]

    def all(self) -> list[Job]:
        """Every job that is remembered, oldest first."""
        return sorted(self._jobs.values(), key=lambda job: job.started_at)

    def active(self, short: str) -> Job | None:
        """The job that is under way for this module."""
        return next((run.job for run in self._running.values() if run.job.short == short), None)

    def cancel(self, job_id: str) -> Job:
        """End a running job; what it did is undone. Raises Refused 404, or 409 when it is too late."""
        job = self.get(job_id)
        running = self._running.get(job_id)
        if running is None or running.ending or running.job.committed:
            raise Refused(409, "too_late", "It is too late to cancel: it is done, or about to be.")
        running.end("cancelled")
        return job

    async def finished(self, job_id: str) -> Job:
        """Wait for the end of a job."""
        running = self._running.get(job_id)
        if running is not None and running.ended is not None:
            waiter: Deferred[None] = Deferred()
            running.waiters.append(waiter)
            await waiter
        return self.get(job_id)

    async def stop(self) -> None:
        """The hub stops: end every running job and undo it."""
        for running in list(self._running.values()):
            if not running.ending:
                running.end("interrupted")
        for job_id in list(self._running):
            await self.finished(job_id)

    async def recover(self, first: "Callable[[Sequence[Job]], Awaitable[None]] | None" = None) -> list[Job]:
        """At boot: read what is remembered, undo what the last run of the hub left half done; the answer is that.

        `first` is told of it before anything is undone or written down as over, and waited for.
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
        """Whether something (of this module) is left that could not be undone: nothing set aside may be removed."""
        return bool(self._left(short))

    async def undo_left(self) -> None:
        """Try again what could not be undone, as when the disk was full. Call it now and then."""
        for job_id in [job.id for job in self._left()]:
            # Another job may have settled it while one before it was undone.
            job = next((left for left in self._left() if left.id == job_id), None)
            if job is not None and self.active(job.short) is None:
                self._running[job.id] = running = _Running(job, ending=True)
                try:
                    await self._undo_rest(job)
                finally:
                    self._ended(running)

    def _left(self, short: str | None = None) -> list[Job]:
        """Jobs that are over and not settled: something was not undone, or their end is not on the disk."""
        return [
            job
            for job in self.all()
            if job.over and (job.undo or self._records.lacks_end(job)) and short in (None, job.short)
        ]

    async def _settle_earlier(self, short: str) -> None:
        """Nothing is built on what an earlier job left half undone. Raises JobFailed."""
        for job in self._left(short):
            await self._undo_rest(job)
        if self.unsettled(short):
            raise JobFailed(f"An earlier operation on {short} could not be undone yet. {MAKE_ROOM}")

    async def _run(self, running: "_Running", work: "Callable[[Work], Awaitable[None]]") -> None:
        handle = Work(self, running)
        outcome, error, detail = "succeeded", None, None
        try:
            await self._settle_earlier(running.job.short)
            await work(handle)
        except CancelledError:
            outcome = running.outcome or "cancelled"
            error = "It was cancelled." if outcome == "cancelled" else _STOPPED
        except (JobFailed, Refused) as failure:
            outcome, error, detail = "failed", str(failure), failure.detail
            if disk_is_full(failure):
                error, detail = f"{error} {MAKE_ROOM}", {"error_type": "disk_full", **(detail or {})}
        except Exception as failure:
            self._log.failure("{kind} of {short} failed", kind=running.job.kind, short=running.job.short)
            outcome, error = "failed", "Something went wrong in the hub. Its log has the details."
            if disk_is_full(failure):
                error, detail = f"The disk is full. {MAKE_ROOM}", {"error_type": "disk_full"}
            elif isinstance(failure, OSError) and failure.strerror:
                error = f"The disk refused: {failure.strerror}."
        running.ending = True
        if running.job.committed and error is not None:
            # Its purpose is reached; what failed is the tidying, which the next boot makes up for.
            self.said(running, error)
            outcome, error, detail = "succeeded", None, None
        try:
            await self._finish(running.job, outcome, error, detail)
        finally:
            self._ended(running)

    def _ended(self, running: "_Running") -> None:
        del self._running[running.job.id]
        for waiter in running.waiters:
            waiter.callback(None)

    async def _finish(self, job: Job, outcome: str, error: str | None, detail: Mapping[str, Any] | None = None) -> Job:
        """Undo unless it succeeded, and write down the end."""
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
        job = _step_over(job, _DONE if outcome == "succeeded" else outcome, self._now())
        self._note(job)
        self._records.write_end(job)
        self._forget_old()
        return job

    async def _undo(self, job: Job, *, live: bool) -> tuple[tuple[str, ...], tuple[Undo, ...]]:
        """Undo what can be: what there is to say, and what is left for the next boot."""
        told: list[str] = []
        first = [undo for undo in reversed(job.undo) if live or not undo.live]
        # A full disk may take a write once the fetched files are gone.
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
        """What an earlier run could not undo."""
        undone, left = await self._undo(job, live=False)
        job = evolve(job, undo=left, undone=(*job.undone, *undone))
        self._note(job)
        self._records.write_end(job)

    def change(self, running: "_Running", *, store: bool = False, **fields: Any) -> None:
        """For `Work`: change the running job, tell, and write it down where asked. Raises OSError.

        What is known here is always what the next boot would read.
        """
        job = evolve(running.job, **fields)
        try:
            if store:
                self._records.write(job)
        except Unsynced:
            running.job = job
            raise
        running.job = job
        self._note(job)

    def said(self, running: "_Running", text: str) -> None:
        """For `Work`: a line of output."""
        line = self._mask(text)[:LINE_LENGTH]
        self.change(running, log=(*running.job.log, line)[-LOG_LINES:])

    def now(self) -> float:
        """For `Work`: seconds since the epoch."""
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
    """What a running job holds in its hand."""

    _jobs: Jobs
    _running: "_Running"

    @property
    def id(self) -> str:
        """The job's id."""
        return self._running.job.id

    @property
    def job(self) -> Job:
        """The job as it is now."""
        return self._running.job

    def step(self, name: str) -> None:
        """The next part begins; the one before is done."""
        now = self._jobs.now()
        job = _step_over(self._running.job, _DONE, now)
        self._jobs.change(self._running, steps=(*job.steps, Step(name, now)))

    def rename(self, short: str) -> None:
        """The module's name is known now. Raises Refused 409 when another job is at work on that module."""
        other = self._jobs.active(short)
        if other is not None and other.id != self.id:
            raise Refused(409, "operation_in_progress", f"{short} is busy. Wait for its operation, then try again.")
        if self._jobs.unsettled(short):
            raise JobFailed(f"An earlier operation on {short} could not be undone yet. {MAKE_ROOM}")
        self._jobs.change(self._running, short=short)

    def measured(self, size: int) -> None:
        """The size in bytes of what the current part handles."""
        *before, last = self._running.job.steps
        self._jobs.change(self._running, steps=(*before, evolve(last, size=size)))

    def line(self, text: str) -> None:
        """A line for people to read; secrets in it are masked."""
        self._jobs.said(self._running, text)

    def undo(self, handler: str, text: str = "", *, live: bool = False, kept: bool = True, **arguments: Any) -> None:
        """Write down, before a change is made, how it is undone. `text` is told when that has happened.

        `live` is for what the next boot does anyway, such as starting modules. `kept` False is for changes that do
        not outlive the hub: they need no place on the disk. Raises OSError when it cannot be written down: then do
        not make the change.
        """
        self._jobs.change(
            self._running, undo=(*self._running.job.undo, Undo(handler, text, arguments, live)), store=kept
        )

    def undo_all(self, *undos: Undo) -> None:
        """The same for several changes at once; the last one is undone first."""
        self._jobs.change(self._running, undo=(*self._running.job.undo, *undos), store=True)

    def commit(self) -> None:
        """From here on the job is not undone and not cancelled. Raises OSError when it was not written down."""
        try:
            self._jobs.change(self._running, undo=(), committed=True, store=True)
        except Unsynced as error:
            # The next boot would read it, so there is no way back. The end of the job is written to the same folder.
            self.line(f"The disk refused to make this safe from a power cut: {error.strerror}.")

    async def whole(self, part: Awaitable[T]) -> T:
        """Await what must not be torn apart, such as a thread at work; a cancellation waits until it is done."""
        self._running.shields += 1
        try:
            result = await part
        finally:
            self._running.shields -= 1
        if self._running.outcome is not None:
            raise CancelledError
        return result


@define(eq=False)
class _Running:
    """A job that is under way."""

    job: Job
    ended: Deferred[None] | None = None
    outcome: str | None = None
    ending: bool = False
    shields: int = 0
    waiters: list[Deferred[None]] = field(factory=list)

    def end(self, outcome: str) -> None:
        """Stop the work; what it waits for is cancelled."""
        self.outcome = outcome
        self.ending = True
        if self.ended is not None and not self.shields:
            self.ended.cancel()


def _step_over(job: Job, status: str, now: float) -> Job:
    if not job.steps or job.steps[-1].finished_at is not None:
        return job
    return evolve(job, steps=(*job.steps[:-1], evolve(job.steps[-1], status=status, finished_at=now)))
