"""The list of a module's files that a move compares: what is safe, and one digest for all."""

import contextlib
import errno
import hashlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from parachute_hub.system.records import frozen

MOST_FILES: Final = 200_000
_HASH = re.compile(r"[0-9a-f]{64}")
_TEMPORARY = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.tmp")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_READ_BYTES: Final = 1 << 20
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# SQLite's index of its write-ahead log; and how old a change must be, in nanoseconds, so that another one would show.
_MAPPED: Final = "-shm"
_TICK: Final = 2_000_000_000
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
        if a file cannot be read. What `atomic_write` left behind is left out, and so is what vanishes meanwhile.
        """
        known: dict[tuple[int, int, int, int], str] = {}
        found = []
        try:
            root = os.open(folder, _FOLDER)
        except FileNotFoundError:
            root = None
        for path, name, parent in _walk(root, "") if root is not None else ():
            if not goes_on():
                raise UnsafeFiles("Listing the files was given up.")
            with contextlib.suppress(FileNotFoundError), _opened(name, path, parent) as file:
                found.append(self._entry(path, file, known))
        self._known = known
        return tuple(found)

    def _entry(self, path: str, file: BinaryIO, known: dict[tuple[int, int, int, int], str]) -> FileEntry:
        before = os.fstat(file.fileno())
        key, size = _key(before), before.st_size
        hashed = self._known.get(key)
        # The time of a file says nothing of writes through a memory map, nor of two within a tick of the clock.
        shows = not path.endswith(_MAPPED) and (hashed is not None or time.time_ns() - before.st_mtime_ns > _TICK)
        if hashed is None:
            hashed, size = _hash(file.read)
        if shows and size == before.st_size and _key(os.fstat(file.fileno())) == key:
            known[key] = hashed
        mode = stat.S_IMODE(before.st_mode) & 0o777
        return FileEntry(path=path, size=size, sha256=hashed, mode=mode, mtime=before.st_mtime_ns)


def open_below(folder: Path, path: str) -> BinaryIO:
    """Open a file of a listing for reading. Raises UnsafeFiles if a link leads there or it is no file, or OSError.

    Each folder on the way is opened in the one before, so that a module that runs cannot put a link in its place.
    """
    *parents, name = path.split("/")
    at = os.open(folder, _FOLDER)
    try:
        for parent in parents:
            below = _folder(parent, path, at)
            os.close(at)
            at = below
        return _opened(name, path, at)
    finally:
        os.close(at)


def _opened(name: str, path: str, parent: int) -> BinaryIO:
    with _no_link(path):
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UnsafeFiles(f"{path} is not a file.")
    return os.fdopen(descriptor, "rb", buffering=0)


def _folder(name: str, path: str, parent: int) -> int:
    with _no_link(path):
        return os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=parent)


@contextlib.contextmanager
def _no_link(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise UnsafeFiles(f"{path} is a link, and links cannot be moved.") from None
        raise


def _key(found: os.stat_result) -> tuple[int, int, int, int]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _hash(read: Callable[[int], bytes]) -> tuple[str, int]:
    whole, size = hashlib.sha256(), 0
    while data := read(_READ_BYTES):
        whole.update(data)
        size += len(data)
    return whole.hexdigest(), size


def _walk(folder: int, below: str) -> Iterator[tuple[str, str, int]]:
    """Each file's path, its name, and the open folder that it is in. Closes `folder`."""
    try:
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            path = f"{below}/{entry.name}" if below else entry.name
            if entry.is_symlink():
                raise UnsafeFiles(f"{path} is a link, and links cannot be moved.")
            if entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(FileNotFoundError):
                    yield from _walk(_folder(entry.name, path, folder), path)
            elif entry.is_file(follow_symlinks=False):
                if not _TEMPORARY.fullmatch(entry.name):
                    _check_path(path)
                    yield path, entry.name, folder
            else:
                raise UnsafeFiles(f"{path} is neither a file nor a folder, and cannot be moved.")
    finally:
        os.close(folder)


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
