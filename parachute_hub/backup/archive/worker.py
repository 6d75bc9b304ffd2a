"""Runs backups, verification and restores in a separate process: `python -m parachute_hub.backup.archive.worker`.

The hub writes one line of JSON to stdin: `{"do": "backup", ...}`. Secrets are passed there, never on the command line.
Reports are JSON lines on descriptor 3: `progress`, `header`, and finally `done` or `failed`. A downloaded archive is
written to stdout; an uploaded one follows the first line on stdin.
"""

import contextlib
import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from parachute_hub.backup.archive.destinations import Destination, DestinationFailed
from parachute_hub.backup.archive.layout import BadArchive, Header, scratch_prefix
from parachute_hub.backup.archive.leftovers import abort_unfinished
from parachute_hub.backup.archive.parts import list_parts
from parachute_hub.backup.archive.pipes import BadKey, DamagedStream, new_key
from parachute_hub.backup.archive.reading import (
    ArchiveContents,
    ArchiveReader,
    CheckingSink,
    MemberSink,
    PartSink,
    UnpackingSink,
)
from parachute_hub.backup.archive.sources import LEFT_OUT, PROGRAMS, list_home
from parachute_hub.backup.archive.writing import ArchiveWriter
from parachute_hub.store.copied_hub import connected_apps
from parachute_hub.store.sqlite_files import is_hub_database

REPORTS = 3
FIRST_LINE = 64 * 1024
_NICENESS = 10
_EVERY_SECONDS = 0.25
_CHUNK = 256 * 1024
_ABANDONED_SECONDS = 3600.0
_SPARE = 32 * 1024 * 1024


class Reports:
    """Writes the JSON lines that the hub reads."""

    def __init__(self, write: Callable[[bytes], object], clock: Callable[[], float]) -> None:
        self._write = write
        self._clock = clock
        self._last = 0.0

    def say(self, event: str, **values: Any) -> None:
        """Write one report."""
        self._write(json.dumps({"event": event, **values}).encode() + b"\n")

    def progress(self, of: int, path: str, size: int) -> None:
        """Report progress, at most four times a second."""
        now = self._clock()
        if now - self._last >= _EVERY_SECONDS:
            self._last = now
            self.say("progress", bytes=size, of=of, path=path)


def _backup(job: dict[str, Any], reports: Reports) -> dict[str, Any]:
    home = Path(job["home"])
    left_out = LEFT_OUT
    programs = bool(job["header"].get("programs"))
    if programs:
        left_out = (LEFT_OUT - {"modules"}) | {
            f"modules/{entry.name}" for entry in os.scandir(home / "modules") if f"modules/{entry.name}" not in PROGRAMS
        }
    listing = list_home(home, left_out=left_out)
    header = Header.from_json({**job["header"], "files": len(listing.sources), "size": listing.size})
    with _scratch(home) as scratch:
        _need_room(scratch, listing.largest_database)
        writer = ArchiveWriter(
            home=home,
            scratch=scratch,
            header=header,
            listing=listing,
            recipient=job["recipient"],
            told=lambda path, size: reports.progress(listing.size, path, size),
        )
        stream = _Hashed(writer.chunks())
        if job["to"] == "stdout":
            for chunk in stream:
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        else:
            _abort_unfinished(job)
            Destination.open(job["to"]).put(job["name"], iter(stream))
    return {
        "files": writer.files,
        "size": writer.size,
        "stored": stream.size,
        "sha256": stream.hexdigest(),
        "skipped": listing.skipped[:50],
        "changed": writer.changed[:50],
        "damaged": writer.damaged[:50],
    }


def _abort_unfinished(job: dict[str, Any]) -> None:
    """What a killed worker could not finish. What is recent may belong to another hub with this key."""
    if job["to"]["kind"] == "s3":
        with contextlib.suppress(OSError, ValueError):
            abort_unfinished(job["to"], job["header"]["hub_id"], time.time() - _ABANDONED_SECONDS)


def _read(job: dict[str, Any], reports: Reports, keeps: MemberSink, scratch: Path) -> ArchiveContents:
    expected = 0

    def began(header: Header) -> None:
        nonlocal expected
        expected = header.size
        reports.say("header", header=header.to_json())
        if isinstance(keeps, UnpackingSink):
            _need_room(scratch, header.size)

    reader = ArchiveReader(
        keeps=keeps,
        scratch=scratch,
        most=int(job["most"]),
        told=lambda path, size: reports.progress(expected, path, size),
        began=began,
    )
    chunks = _stdin() if job["from"] == "stdin" else Destination.open(job["from"]).get(job["name"])
    return reader.read(chunks, job["identity"])


def _verify(job: dict[str, Any], reports: Reports) -> dict[str, Any]:
    """With the key, check every file; a `whole` check unpacks them all into scratch space, if there is room.

    Without the key, only check that the archive equals the stored one.
    """
    if job.get("identity") is None:
        stream = _Hashed(Destination.open(job["from"]).get(job["name"]))
        for _ in stream:
            reports.progress(int(job["stored"]), "", stream.size)
        if stream.hexdigest() != job["sha256"]:
            raise BadArchive("The stored backup differs from what was sent and cannot be used.")
        return {"decrypted": False}
    with _scratch(Path(job["home"])) as scratch:
        whole = bool(job.get("whole")) and _has_room(scratch, int(job["size"]))
        keeps = UnpackingSink(scratch / "home") if whole else CheckingSink(scratch)
        return {**_told(_read(job, reports, keeps, scratch)), "unpacked": whole}


def _unpack(job: dict[str, Any], reports: Reports) -> dict[str, Any]:
    folder = Path(job["into"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    only = job.get("only")
    try:
        with _scratch(Path(job["home"])) as scratch:
            keeps = PartSink(folder, only) if only else UnpackingSink(folder)
            contents = _read(job, reports, keeps, scratch)
        # The whole home takes the place of another one, so it must be a hub's.
        if job.get("hub") and not is_hub_database(folder / "parachute.db"):
            raise BadArchive("This backup holds no usable hub: its database is missing or damaged. Choose another one.")
        parts = list_parts(folder, [module.short for module in contents.header.modules])
        return {**_told(contents), **parts, "apps": connected_apps(folder / "parachute.db")}
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _told(contents: ArchiveContents) -> dict[str, Any]:
    return {"decrypted": True, "files": contents.files, "size": contents.size, "databases": contents.databases}


def _list(job: dict[str, Any], reports: Reports) -> dict[str, Any]:
    found = Destination.open(job["at"]).all()
    return {
        "archives": [{"name": one.name, "hub": one.hub_id, "madeAt": one.made_at, "size": one.size} for one in found]
    }


def _delete(job: dict[str, Any], reports: Reports) -> dict[str, Any]:
    destination = Destination.open(job["at"])
    for name in job["names"]:
        destination.delete(name)
    return {}


def _probe(job: dict[str, Any], reports: Reports) -> dict[str, Any]:
    at = job["at"]
    if at["kind"] == "folder" and Path(at["path"]).resolve().is_relative_to(Path(job["home"]).resolve()):
        raise DestinationFailed(
            "inside_home", "This folder belongs to the hub, and would be lost with it. Choose one on another disk."
        )
    Destination.open(at).probe()
    return {}


def _keygen(job: dict[str, Any], reports: Reports) -> dict[str, Any]:
    identity, recipient = new_key()
    return {"identity": identity, "recipient": recipient}


_JOBS: dict[str, Callable[[dict[str, Any], Reports], dict[str, Any]]] = {
    "backup": _backup,
    "verify": _verify,
    "unpack": _unpack,
    "list": _list,
    "delete": _delete,
    "probe": _probe,
    "keygen": _keygen,
}


@contextlib.contextmanager
def _scratch(home: Path) -> Iterator[Path]:
    """A folder for temporary files, which the hub removes when this process was killed."""
    (home / "tmp").mkdir(mode=0o700, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=scratch_prefix(os.getpid()), dir=home / "tmp") as folder:
        yield Path(folder)


def _free(folder: Path) -> int:
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def _has_room(folder: Path, size: int) -> bool:
    """Whether files of this size leave as much free as they take."""
    return 2 * size + _SPARE <= _free(folder)


def _need_room(folder: Path, size: int) -> None:
    free = _free(folder)
    if size + _SPARE > free:
        raise OSError(errno.ENOSPC, f"{(size + _SPARE) >> 20} MiB are needed and {free >> 20} MiB are free")


class _Hashed:
    """Passes chunks through, computing size and SHA-256."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._hash = hashlib.sha256()
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._hash.update(chunk)
            self.size += len(chunk)
            yield chunk

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def _stdin() -> Iterator[bytes]:
    while chunk := sys.stdin.buffer.read(_CHUNK):
        yield chunk


def run(job: dict[str, Any], reports: Reports) -> int:
    """Do one job and report how it ended. Returns the exit code."""
    try:
        reports.say("done", **_JOBS[job["do"]](job, reports))
        return 0
    except DestinationFailed as error:
        kind, text = error.kind, str(error)
    except BadKey as error:
        kind, text = "wrong_recovery_key", str(error)
    except (BadArchive, DamagedStream) as error:
        kind, text = "damaged", str(error)
    except OSError as error:
        kind, text = _of_the_disk(error)
    except Exception as error:
        # The error's text may contain a secret; its type is enough to locate it.
        kind, text = "failed", f"Something went wrong ({type(error).__name__}). The hub's log has the details."
    reports.say("failed", kind=kind, error=text)
    return 1


def _of_the_disk(error: OSError) -> tuple[str, str]:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return (
            "disk_full",
            f"There is not enough room on this machine's disk ({error.strerror}). Free some space first.",
        )
    if error.errno == errno.EROFS:
        return "read_only", "This machine's disk is read-only."
    return "disk", f"This machine's disk reported an error: {error.strerror}."


def main() -> int:
    """Read the job from stdin, do it, report on descriptor 3."""
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    line = sys.stdin.buffer.readline(FIRST_LINE)
    job = json.loads(line)
    return run(job, Reports(lambda content: os.write(REPORTS, content), time.monotonic))


if __name__ == "__main__":
    sys.exit(main())
