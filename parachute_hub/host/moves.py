"""Takes in and gives out the data of the module: uploaded by hash, then put in place as a whole or not at all."""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, Final

from parachute_hub.link.files import FileEntry, UnsafeFiles, Walk, checked, digest, open_below
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.system import strict_json
from parachute_hub.system.atomic_files import atomic_write, private_folder, read_bounded, sync_folder
from parachute_hub.system.records import frozen
from parachute_hub.system.strict_json import BadJson

KEPT_SECONDS: Final = 30 * 86400.0
"""How long the data from before a move is kept."""

SPARE_BYTES: Final = 32 * 1024 * 1024
"""Bytes that a move leaves free."""

_HASH = re.compile(r"[0-9a-f]{64}")
_JOURNAL, _BLOBS, _INCOMING, _FORMER, _PART = "commit.json", "blobs", "incoming-", "former-", ".part"
_COPY_BYTES: Final = 1 << 20


@frozen
class _Move:
    id: str
    files: tuple[FileEntry, ...]
    wanted: dict[str, int]
    """The hashes that the files have, with their sizes."""


class Moves:
    """Moves of the data in `<home>/<short>`. Everything on the way lies in `folder`, on the same disk.

    `free_bytes` is the free space, `now` epoch seconds. All methods block: call them one after the other, in one
    thread.
    """

    def __init__(
        self,
        *,
        data: Path,
        folder: Path,
        free_bytes: Callable[[], int],
        now: Callable[[], float],
        spare: int = SPARE_BYTES,
    ) -> None:
        self._data = data
        self._folder = folder
        self._free_bytes = free_bytes
        self._now = now
        self._spare = spare
        self._walk = Walk()
        self._places: dict[str, tuple[str, int]] = {}
        self._move: _Move | None = None

    # --- at boot

    def recover(self) -> None:
        """Complete a commit that a crash interrupted, and delete what an earlier process left. Raises OSError."""
        try:
            told = strict_json.read(read_bounded(self._folder / _JOURNAL, 4096), limit=4096).value
            incoming, former = self._folder / str(told["incoming"]), self._folder / str(told["former"])
        except FileNotFoundError:
            pass
        except (BadJson, KeyError, TypeError):
            # It is written as a whole before anything is renamed.
            (self._folder / _JOURNAL).unlink()
        else:
            if incoming.is_dir():
                self._exchange(incoming, former)
            self._finish(former)
        self.sweep()

    def sweep(self) -> None:
        """Delete what nobody will use any more. Uploads stay, so that a broken move can go on."""
        for place in self._listed():
            old = self._now() - place.lstat().st_mtime > KEPT_SECONDS
            if place.name.endswith(_PART):
                place.unlink()
            elif place.name.startswith(_INCOMING) or (old and place.name.startswith((_FORMER, _BLOBS))):
                shutil.rmtree(place, ignore_errors=True)

    def _listed(self) -> list[Path]:
        return sorted(self._folder.iterdir()) if self._folder.is_dir() else []

    # --- giving out

    def files(self) -> tuple[FileEntry, ...]:
        """The module's files now. Raises Refused or OSError."""
        try:
            found = self._walk(self._data)
        except UnsafeFiles as error:
            raise Refused(409, "unsafe_files", str(error)) from None
        self._places = {entry.sha256: (entry.path, entry.size) for entry in found}
        return found

    def _here(self) -> set[str]:
        """The hashes of the files that need not be sent. What cannot be moved away does not keep others from coming."""
        self._places = {}
        with contextlib.suppress(Refused):
            self.files()
        return set(self._places)

    def open(self, sha256: str) -> tuple[BinaryIO, int]:
        """A file of the last listing and its size. Raises Refused 404 if there is none any more."""
        place = self._places.get(sha256)
        if place is None:
            raise not_found("There is no file with this hash.")
        try:
            file = open_below(self._data, place[0])
        except (OSError, UnsafeFiles):
            raise not_found("This file is gone.") from None
        size = os.fstat(file.fileno()).st_size
        if size != place[1]:
            file.close()
            raise Refused(409, "changed", "This file has changed since it was listed.")
        return file, size

    # --- taking in

    def begin(self, listed: object) -> dict[str, Any]:
        """Begin a move that replaces the one before, or go on with its uploads. Raises Refused or OSError."""
        files = _checked(listed)
        wanted = _sizes(files)
        self._move = None
        self._drop_uploads(wanted)
        here = self._here()
        missing = [hashed for hashed in sorted(wanted) if hashed not in here and not self._blob(hashed).is_file()]
        # Files with equal content, and those that are here already, are copied.
        linked = sum(size for hashed, size in wanted.items() if self._blob(hashed).is_file())
        self._need(sum(entry.size for entry in files) - linked)
        private_folder(self._folder / _BLOBS)
        self._move = _Move(secrets.token_hex(8), files, wanted)
        return {"move": self._move.id, "missing": missing}

    def receive(self, move: str, sha256: str, length: int) -> "Upload":
        """Take in one file. Raises Refused or OSError."""
        current = self._current(move)
        size = current.wanted.get(sha256) if _HASH.fullmatch(sha256) else None
        if size is None:
            raise not_found("This file was not asked for.")
        if length != size:
            raise Refused(400, "wrong_size", f"This file has {size} bytes, not {length}.")
        self._need(length)
        return Upload(sha256, size, self._part(), self._blob(sha256))

    def commit(self, move: str, listed: object) -> dict[str, Any]:
        """Let the data become exactly these files, or change nothing. Raises Refused or OSError.

        The module must not run.
        """
        current = self._current(move)
        if sorted(_checked(listed), key=_path) != sorted(current.files, key=_path):
            raise Refused(409, "other_files", "These are not the files with which the move began.")
        incoming = self._folder / f"{_INCOMING}{move}"
        former = self._folder / f"{_FORMER}{int(self._now())}-{move}"
        self._here()
        try:
            self._build(incoming, current.files)
            os.sync()
        except BaseException:
            shutil.rmtree(incoming, ignore_errors=True)
            raise
        atomic_write(
            self._folder / _JOURNAL, strict_json.write({"incoming": incoming.name, "former": former.name}, indent=1)
        )
        # From here on a crash does not stop it: the next start goes on.
        self._exchange(incoming, former)
        self._finish(former)
        self._move = None
        return {
            "files": len(current.files),
            "bytes": sum(entry.size for entry in current.files),
            "digest": digest(current.files),
        }

    def abort(self, move: str) -> None:
        """Give up a move and delete what was uploaded. Raises Refused 404."""
        self._current(move)
        self._move = None
        shutil.rmtree(self._folder / _BLOBS, ignore_errors=True)

    def _current(self, move: str) -> _Move:
        if self._move is None or self._move.id != move:
            raise not_found("There is no such move. Begin one; what was uploaded is kept.")
        return self._move

    def _blob(self, sha256: str) -> Path:
        return self._folder / _BLOBS / sha256

    def _part(self) -> Path:
        return self._folder / f"{secrets.token_hex(8)}{_PART}"

    def _drop_uploads(self, wanted: Iterable[str]) -> None:
        kept = set(wanted)
        blobs = self._folder / _BLOBS
        for blob in list(blobs.iterdir()) if blobs.is_dir() else ():
            if blob.name not in kept:
                blob.unlink()

    def _need(self, size: int) -> None:
        free = self._free_bytes()
        if free < size + self._spare:
            raise Refused(
                507,
                "disk_full",
                f"The host's disk has {free >> 20} MiB left, and this needs {(size + self._spare) >> 20} MiB.",
                detail={"free_bytes": free, "needed_bytes": size + self._spare},
            )

    def _build(self, incoming: Path, files: Iterable[FileEntry]) -> None:
        shutil.rmtree(incoming, ignore_errors=True)
        private_folder(incoming)
        linked: set[str] = set()
        for entry in files:
            target = incoming / entry.path
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            blob = self._blob(entry.sha256)
            if entry.sha256 not in linked and blob.is_file():
                linked.add(entry.sha256)
                os.link(blob, target)
            else:
                self._copy(target, entry)
            os.chmod(target, entry.mode)
            os.utime(target, ns=(entry.mtime, entry.mtime))

    def _copy(self, target: Path, entry: FileEntry) -> None:
        """A copy, because a module may change its files in place."""
        missing = Refused(409, "missing", f"{entry.path} was not uploaded.", detail={"sha256": entry.sha256})
        copy = Upload(entry.sha256, entry.size, self._part(), target)
        try:
            with self._source(entry.sha256) as file:
                while data := file.read(_COPY_BYTES):
                    copy.write(data)
            copy.finish()
        except (Refused, UnsafeFiles, FileNotFoundError):
            raise missing from None
        finally:
            copy.abandon()

    def _source(self, sha256: str) -> BinaryIO:
        if self._blob(sha256).is_file():
            return open_below(self._folder / _BLOBS, sha256)
        if sha256 not in self._places:
            raise FileNotFoundError
        return open_below(self._data, self._places[sha256][0])

    def _exchange(self, incoming: Path, former: Path) -> None:
        """Idempotent: a crash between the two steps leaves no data folder until it is repeated."""
        if self._data.exists() and not former.exists():
            os.rename(self._data, former)
            os.utime(former)
        os.rename(incoming, self._data)
        sync_folder(self._folder)
        sync_folder(self._data.parent)

    def _finish(self, former: Path) -> None:
        (self._folder / _JOURNAL).unlink()
        sync_folder(self._folder)
        for place in self._listed():
            if place.name == _BLOBS or (place.name.startswith(_FORMER) and place != former):
                shutil.rmtree(place, ignore_errors=True)


class Upload:
    """One file on its way in: verified while it is written, and at `target` only once it is whole."""

    def __init__(self, sha256: str, size: int, part: Path, target: Path) -> None:
        self._sha256, self._size = sha256, size
        self._part, self._target = part, target
        self._hash, self._received = hashlib.sha256(), 0
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "wb")

    def write(self, data: bytes) -> None:
        """Write a piece. Raises OSError."""
        self._file.write(data)
        self._hash.update(data)
        self._received += len(data)

    def finish(self) -> None:
        """Put it in place, synced to disk. Raises Refused 422 if it is not what was announced, or OSError."""
        if self._received != self._size or self._hash.hexdigest() != self._sha256:
            raise Refused(422, "wrong_hash", "What arrived does not have this hash. Send it again.")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        os.rename(self._part, self._target)
        sync_folder(self._target.parent)

    def abandon(self) -> None:
        """Delete what arrived, unless it is in place. Idempotent."""
        with contextlib.suppress(OSError):
            self._file.close()
        self._part.unlink(missing_ok=True)


def _checked(listed: object) -> tuple[FileEntry, ...]:
    try:
        return checked(listed)
    except UnsafeFiles as error:
        raise Refused(400, "unsafe_files", str(error)) from None


def _sizes(files: Iterable[FileEntry]) -> dict[str, int]:
    found: dict[str, int] = {}
    for entry in files:
        if found.setdefault(entry.sha256, entry.size) != entry.size:
            raise Refused(400, "unsafe_files", f"{entry.path} has the hash of a file with another size.")
    return found


def _path(entry: FileEntry) -> str:
    return entry.path
