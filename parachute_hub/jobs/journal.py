"""The records of jobs on the disk: one file for each, so that the next run of the hub knows what this one was doing."""

from contextlib import suppress
from pathlib import Path

from twisted.logger import Logger

from parachute_hub.jobs.model import FILE_LIMIT, Job
from parachute_hub.system.atomic_files import atomic_write, private_folder, read_bounded


class JobFolder:
    """A folder of records."""

    _log = Logger()

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._unwritten: set[str] = set()

    def read(self) -> list[Job]:
        """Every record that can be read."""
        found = []
        for path in sorted(self._folder.glob("*.json")):
            try:
                job = Job.from_bytes(read_bounded(path, FILE_LIMIT))
                if job.id != path.stem:
                    raise ValueError("another job's name")
                found.append(job)
            except (OSError, ValueError, KeyError, TypeError):
                self._log.warn("The job {name} cannot be read and was passed over", name=path.name)
        return found

    def write_first(self, job: Job) -> None:
        """A new job; the folder is made when there is none. Raises OSError."""
        private_folder(self._folder)
        self.write(job)

    def write(self, job: Job) -> None:
        """A job as it is now. Raises OSError."""
        atomic_write(self._path(job.id), job.to_bytes())

    def write_end(self, job: Job) -> None:
        """Never raises. Until it works, the record says "running", and the next boot would undo the job once more."""
        try:
            self.write(job)
        except OSError as error:
            if job.id not in self._unwritten:
                self._log.error("The end of job {id} could not be written: {reason}", id=job.id, reason=error.strerror)
            self._unwritten.add(job.id)
        else:
            self._unwritten.discard(job.id)

    def lacks_end(self, job: Job) -> bool:
        """Whether the end of the job is still not on the disk."""
        return job.id in self._unwritten

    def forget(self, job: Job) -> None:
        """Remove the record."""
        with suppress(OSError):
            self._path(job.id).unlink()

    def _path(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.json"
