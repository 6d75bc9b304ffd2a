"""The list of a module's files that a move compares: what is safe, and one digest for all."""

import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from attrs import frozen

MOST_FILES: Final = 200_000
_HASH = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.tmp")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_READ_BYTES: Final = 1 << 20
_LONGEST_NAME, _LONGEST_PATH = 255, 2048


class UnsafeFiles(ValueError):
    """Files that cannot be moved. The text is a sentence and names one."""


@frozen(kw_only=True)
class FileEntry:
    """One regular file: its path below the folder with `/`, bytes, hash in hex, permission bits, and when it was
    changed, in nanoseconds.
    """

    path: str
    size: int
    sha256: str
    mode: int = 0o600
    mtime: int = 0

    def to_json(self) -> dict[str, Any]:
        """The form of the link."""
        return {
            "path": self.path,
            "size": self.size,
            "sha256": self.sha256,
            "mode": self.mode,
            "mtime": self.mtime,
        }


def checked(listed: object) -> tuple[FileEntry, ...]:
    """The list that the other side sent. Raises UnsafeFiles if following it could write anywhere but below the folder,
    or if it cannot be a folder's content.
    """
    if not isinstance(listed, list):
        raise UnsafeFiles("The files must be a list.")
    if len(listed) > MOST_FILES:
        raise UnsafeFiles(f"More than {MOST_FILES} files cannot be moved.")
    files = tuple(_entry(one) for one in listed)
    paths = {entry.path for entry in files}
    if len(paths) < len(files):
        raise UnsafeFiles("A file is listed twice.")
    for entry in files:
        parent = entry.path.rpartition("/")[0]
        while parent:
            if parent in paths:
                raise UnsafeFiles(f"{parent} is listed as a file and as a folder.")
            parent = parent.rpartition("/")[0]
    return files


def digest(files: Iterable[FileEntry]) -> str:
    """One hash of what all files hold and may be used for, in hex. When they were changed is not part of it."""
    lines = sorted((entry.path.encode(), entry) for entry in files)
    whole = hashlib.sha256()
    for path, entry in lines:
        whole.update(b"%b %d %04o %b\n" % (entry.sha256.encode(), entry.size, entry.mode, path))
    return whole.hexdigest()


class Walk:
    """Lists a folder. A file that did not change since it was last listed is not read again."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, int, int, int], str] = {}

    def __call__(self, folder: Path, goes_on: Callable[[], bool] = lambda: True) -> tuple[FileEntry, ...]:
        """Every file below the folder with its hash; none if there is no folder. Blocks.

        Raises UnsafeFiles at a symbolic link or anything else that is not a file, and when `goes_on` says no; OSError
        if a file cannot be read. What `atomic_write` left behind is left out.
        """
        known: dict[tuple[int, int, int, int], str] = {}
        found = []
        for path, place in _walk(folder, ""):
            if not goes_on():
                raise UnsafeFiles("Listing the files was given up.")
            found.append(self._entry(path, place, known))
        self._known = known
        return tuple(found)

    def _entry(self, path: str, place: str, known: dict[tuple[int, int, int, int], str]) -> FileEntry:
        with open_regular(place) as file:
            before = os.fstat(file.fileno())
            key = _key(before)
            hashed = self._known.get(key)
            size = before.st_size
            if hashed is None:
                hashed, size = _hash(file.raw.read)
                after = os.fstat(file.fileno())
                if _key(after) == key and size == before.st_size:
                    known[key] = hashed
            else:
                known[key] = hashed
        return FileEntry(
            path=path, size=size, sha256=hashed, mode=stat.S_IMODE(before.st_mode) & 0o777, mtime=before.st_mtime_ns
        )


def open_regular(place: str | Path) -> Any:
    """Open a file for reading, following no link. Raises UnsafeFiles if it is none, or OSError."""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if os.path.islink(place):
            raise UnsafeFiles(f"{place} is a link, and links cannot be moved.") from None
        raise error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnsafeFiles(f"{place} is not a file.")
    return os.fdopen(descriptor, "rb")


def _key(found: os.stat_result) -> tuple[int, int, int, int]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _hash(read: Callable[[int], bytes]) -> tuple[str, int]:
    whole, size = hashlib.sha256(), 0
    while data := read(_READ_BYTES):
        whole.update(data)
        size += len(data)
    return whole.hexdigest(), size


def _walk(folder: Path, below: str) -> Iterator[tuple[str, str]]:
    try:
        entries = sorted(os.scandir(folder / below), key=lambda entry: entry.name)
    except FileNotFoundError:
        if below:
            return  # Removed in the meantime.
        entries = []
    for entry in entries:
        path = f"{below}/{entry.name}" if below else entry.name
        if entry.is_symlink():
            raise UnsafeFiles(f"{path} is a link, and links cannot be moved.")
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(folder, path)
        elif entry.is_file(follow_symlinks=False):
            if not _TEMPORARY.fullmatch(entry.name):
                _check_path(path)
                yield path, entry.path
        else:
            raise UnsafeFiles(f"{path} is neither a file nor a folder, and cannot be moved.")


def _entry(told: object) -> FileEntry:
    if not isinstance(told, Mapping):
        raise UnsafeFiles("A file must be an object.")
    path, sha256 = told.get("path"), told.get("sha256")
    if not isinstance(path, str):
        raise UnsafeFiles("A file's path must be text.")
    _check_path(path)
    if not isinstance(sha256, str) or not _HASH.fullmatch(sha256):
        raise UnsafeFiles(f"The hash of {path} must be 64 hexadecimal digits.")
    size, mode, mtime = told.get("size"), told.get("mode", 0o600), told.get("mtime", 0)
    if not _whole(size, 1 << 50):
        raise UnsafeFiles(f"The size of {path} must be a number of bytes.")
    if not _whole(mode, 0o777):
        raise UnsafeFiles(f"The mode of {path} must be permission bits.")
    if not _whole(mtime, 1 << 62):
        raise UnsafeFiles(f"The time of {path} must be in nanoseconds.")
    return FileEntry(path=path, size=size, sha256=sha256, mode=mode, mtime=mtime)  # type: ignore[arg-type]


def _whole(value: object, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most


def _check_path(path: str) -> None:
    """Raises UnsafeFiles unless the path stays below its folder on every system."""
    try:
        encoded = path.encode()
    except UnicodeEncodeError:
        raise UnsafeFiles("A file's name is not UTF-8, and cannot be moved.") from None
    names = path.split("/")
    long = len(encoded) > _LONGEST_PATH or any(len(name.encode()) > _LONGEST_NAME for name in names)
    if _CONTROL.search(path) or "\\" in path or long or any(name in ("", ".", "..") for name in names):
        raise UnsafeFiles(f"{path[:200]!r} is not a path that can be moved.")
