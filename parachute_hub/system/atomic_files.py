"""Writing state so that a kill or a power cut leaves the old content or the new one, never a torn one."""

import contextlib
import errno
import os
import re
import secrets
import stat
from pathlib import Path

_TEMPORARY = re.compile(r"\..+\.\d+-[0-9a-f]{8}\.tmp")


class Unsynced(OSError):
    """The new content is in its place, but a power cut may still bring the old one back."""


class NotRegular(OSError):
    """Something else than a file has this name: a folder, a pipe, a device, or a name that no file can have."""


class TooLarge(OSError):
    """The file is larger than what is read of its kind."""


def read_bounded(path: Path, limit: int) -> bytes:
    """The content of a file that somebody else may have put there, at most `limit` bytes.

    Never waits, whatever has the name. Raises NotRegular, TooLarge and any other OSError.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
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


def read_text(path: Path, limit: int) -> str:
    """The same as text; what is not UTF-8 becomes U+FFFD."""
    return read_bounded(path, limit).decode("utf-8", "replace")


def atomic_write(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace the file's content: temporary file, fsync, rename, fsync of the folder.

    The only way in which the hub writes a state file. Raises Unsynced when only the last step failed, and any other
    OSError when the old file is still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    try:
        sync_folder(path.parent)
    except OSError as error:
        raise Unsynced(error.errno, error.strerror) from error


def disk_is_full(failure: BaseException | None) -> bool:
    """Whether this failure, or one that led to it, is a disk without room."""
    while failure is not None:
        if isinstance(failure, OSError) and failure.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        failure = failure.__cause__ or failure.__context__
    return False


def sweep_temporaries(folder: Path) -> None:
    """Remove what `atomic_write` left in this folder when the hub was killed. Only at boot, before anything writes."""
    for path in folder.glob(".*.tmp"):
        if _TEMPORARY.fullmatch(path.name):
            with contextlib.suppress(OSError):
                path.unlink()


def make_sure(path: Path) -> None:
    """Let a file that somebody else wrote survive a power cut, with its name. Raises OSError."""
    _sync(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries (names that were added, renamed, removed) survive a power cut."""
    _sync(folder, os.O_DIRECTORY)


def _sync(path: Path, flags: int = 0) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_folder(folder: Path) -> Path:
    """Make the folder, and what leads to it, when it is missing: for our user only, and safe from a power cut.

    What is made sure inside a folder is lost all the same when the folder itself has no name on the disk yet.
    """
    if not folder.is_dir():
        private_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)
    return folder
