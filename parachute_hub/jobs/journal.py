"""Job records on disk, one file per job, so that a restarted hub can recover interrupted jobs."""

from contextlib import suppress
from pathlib import Path

from twisted.logger import Logger

from parachute_hub.jobs.model import FILE_LIMIT, Job
from parachute_hub.system.atomic_files import WriteFile, atomic_write, private_folder, read_bounded


class JobFolder:
    """A folder of job records."""

    _log = Logger()

    def __init__(self, folder: Path, write: WriteFile = atomic_write) -> None:
        self._folder = folder
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

    def write_first(self, job: Job) -> None:
        """Create the record, and the folder if necessary. Raises OSError."""
        private_folder(self._folder)
        self.write(job)

    def write(self, job: Job) -> None:
        """Rewrite the record. Raises OSError."""
        self._replace(self._path(job.id), job.to_bytes())

    def write_end(self, job: Job) -> None:
        """Record the end of a job. Never raises; until the write succeeds, the next boot would undo the job again."""
        try:
            self.write(job)
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
        with suppress(OSError):
            self._path(job.id).unlink()

    def _path(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.json"
