"""Job records on disk, one file per job, so that a restarted hub can recover interrupted jobs."""

from contextlib import suppress
from pathlib import Path

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from parachute_hub.jobs.model import FILE_LIMIT, Job
from parachute_hub.site.errors import Refused, not_stored
from parachute_hub.system.atomic_files import WriteFile, atomic_write, private_folder, read_bounded
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.storage_trouble import StorageBusy


class JobFolder:
    """A folder of job records."""

    _log = Logger()

    def __init__(self, folder: Path, files: FileWriter | None = None, write: WriteFile = atomic_write) -> None:
        self._folder = folder
        self._files = files or FileWriter()
        self._replace = write
        self._unwritten: set[str] = set()

    def read(self) -> list[Job]:
        """Every readable record."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                job = Job.from_bytes(read_bounded(path, FILE_LIMIT))
                if job.id != path.stem:
                    raise ValueError("another job's name")
                found.append(job)
            except (OSError, ValueError, KeyError, TypeError):
                self._log.warn("Skipping unreadable job record {name}", name=path.name)
        return found

    async def create(self, job: Job) -> Refused | None:
        """Create the record, and the folder if necessary. Returns why there is none."""
        try:
            await self._files(self._create, self._path(job.id), job.to_bytes())
        except CancelledError:
            refused = Refused(409, "cancelled", "It was cancelled before it began.")
        except (OSError, StorageBusy) as error:
            why = error.strerror if isinstance(error, OSError) else str(error)
            refused = not_stored(error, f"The operation could not be recorded: {why}.")
        else:
            return None
        self.forget(job)
        return refused

    def write(self, job: Job) -> "Deferred[None]":
        """Rewrite the record. Fails with OSError. Waits as long as the disk takes: whether it was written must be known
        before the job goes on.
        """
        return self._files.surely(self._replace, self._path(job.id), job.to_bytes())

    async def write_end(self, job: Job) -> None:
        """Record the end of a job. Never raises; until the write succeeds, the next boot would undo the job again."""
        try:
            await self.write(job)
        except OSError as error:
            if job.id not in self._unwritten:
                self._log.error("The end of job {id} could not be written: {reason}", id=job.id, reason=error.strerror)
            self._unwritten.add(job.id)
        else:
            self._unwritten.discard(job.id)

    def lacks_end(self, job: Job) -> bool:
        """True if the last attempt to record the job's end failed."""
        return job.id in self._unwritten

    def forget(self, job: Job) -> None:
        """Delete the record, after whatever is still being written to it."""
        self._files(self._remove, self._path(job.id))

    def _create(self, path: Path, content: bytes) -> None:
        private_folder(self._folder)
        self._replace(path, content)

    def _remove(self, path: Path) -> None:
        with suppress(OSError):
            path.unlink()

    def _path(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.json"
