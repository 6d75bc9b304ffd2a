"""Crash-safe file writes: after a crash or power loss, a file has either its old or its new content."""

import contextlib
import errno
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Protocol

_TEMPORARY = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.tmp")


class Unsynced(OSError):
    """The new content is in place, but a power loss may still bring the old content back."""


class NotRegular(OSError):
    """The path is not a regular file, or not a valid file name."""


class TooLarge(OSError):
    """The file exceeds the size limit."""


class WriteFile(Protocol):
    """Replaces a file atomically: `atomic_write`, or `Reserve.write` with the disk reserve."""

    def __call__(self, path: Path, data: bytes, mode: int = 0o600) -> None:
        """Raises OSError."""


def read_bounded(path: Path, limit: int, *, links: bool = True) -> bytes:
    """Read a file that others may have written, up to `limit` bytes.

    Never blocks, even on a pipe or device. `links` False rejects symbolic links, which in a module's folder could lead
    to a file that the module may not read. Raises NotRegular, TooLarge or another OSError.
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | (0 if links else os.O_NOFOLLOW)
    try:
        descriptor = os.open(path, flags)
    except ValueError:
        raise NotRegular(errno.EINVAL, "no file can have this name") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotRegular(errno.EINVAL, "not a file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise TooLarge(errno.EFBIG, f"larger than {limit // 1024} KiB")
    return content


def read_text(path: Path, limit: int, *, links: bool = True) -> str:
    """Like `read_bounded`, decoded as UTF-8; invalid bytes become U+FFFD."""
    return read_bounded(path, limit, links=links).decode("utf-8", "replace")


def atomic_write(path: Path, data: bytes, mode: int = 0o600, *, durable: bool = True) -> None:
    """Replace the file's content: temporary file, fsync, rename, fsync of the folder.

    All state files are written this way; `durable` False omits both fsyncs, for content that can be recreated. Raises
    Unsynced if only the last step failed, and another OSError if the old file is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except OSError as error:
        # A message names the file that people know.
        error.filename = str(path)
        raise
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    try:
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        raise Unsynced(error.errno, error.strerror) from error


def sweep_temporaries(folder: Path) -> None:
    """Remove leftover temporary files of `atomic_write`. Only call at boot, before anything writes."""
    for path in folder.glob(".*.tmp"):
        if _TEMPORARY.fullmatch(path.name):
            with contextlib.suppress(OSError):
                path.unlink()


def make_sure(path: Path) -> None:
    """Fsync a file that someone else wrote, and its directory entry. Raises OSError."""
    _sync(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Fsync the directory entries (added, renamed or removed names)."""
    _sync(folder, os.O_DIRECTORY)


def _sync(path: Path, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_folder(folder: Path) -> Path:
    """Create the folder and missing parents with mode 0700, and fsync their directory entries.

    Without that, files synced inside the folder could still be lost in a power loss.
    """
    if not folder.is_dir():
        private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)
    return folder
