"""What a full, read-only, failing or busy disk means for whoever asked: the one place where its errors become words."""

import errno
from typing import Literal

from attrs import frozen

Kind = Literal["full", "read_only", "failing", "busy"]


class StorageBusy(Exception):
    """A write was not begun, or not confirmed in time: too many wait, or the disk hangs. Trying again may help."""


@frozen
class Trouble:
    """One kind of trouble: the HTTP status for it, a stable word, and what a person can do.

    `retry_after` is in seconds; None when waiting alone does not help.
    """

    kind: Kind
    status: int
    error: str
    text: str
    retry_after: int | None = None


MAKE_ROOM = "Free some space (Settings, Disk space: clear caches and old versions), then try again."
_TROUBLES: dict[Kind, Trouble] = {
    "full": Trouble("full", 507, "disk_full", f"The disk is full. {MAKE_ROOM}"),
    "read_only": Trouble(
        "read_only",
        503,
        "disk_read_only",
        "The disk can only be read at the moment, so nothing can be saved. Ask whoever runs this machine to check it.",
        retry_after=60,
    ),
    "failing": Trouble(
        "failing",
        503,
        "disk_failing",
        "The disk reports errors, so nothing was saved. Ask whoever runs this machine to check it, and keep a backup.",
        retry_after=60,
    ),
    "busy": Trouble("busy", 503, "busy", "The hub is busy. Try again in a few seconds.", retry_after=2),
}
_BY_ERRNO: dict[int | None, Kind] = {
    errno.ENOSPC: "full",
    errno.EDQUOT: "full",
    errno.EROFS: "read_only",
    errno.EIO: "failing",
}
# Primary result codes of SQLite (sqlite.org/rescode.html); an extended one has its primary code in the low byte.
_BY_SQLITE: dict[int, Kind] = {
    5: "busy",  # SQLITE_BUSY
    6: "busy",  # SQLITE_LOCKED
    8: "read_only",  # SQLITE_READONLY
    10: "failing",  # SQLITE_IOERR
    11: "failing",  # SQLITE_CORRUPT
    13: "full",  # SQLITE_FULL
    14: "failing",  # SQLITE_CANTOPEN
    15: "busy",  # SQLITE_PROTOCOL
    26: "failing",  # SQLITE_NOTADB
}


def storage_trouble(error: BaseException | None) -> Trouble | None:
    """What the storage has to do with this error or its causes; None when it is about something else.

    >>> storage_trouble(OSError(errno.EDQUOT, "quota")).status, storage_trouble(KeyError("x"))
    (507, None)
    """
    if isinstance(error, StorageBusy):
        return _TROUBLES["busy"]
    kind: Kind | None = None
    if error is None:
        return None
    if isinstance(error, OSError):
        kind = _BY_ERRNO.get(error.errno)
    else:
        # Only SQLite's own errors carry a code.
        code = getattr(error, "sqlite_errorcode", None)
        kind = None if code is None else _BY_SQLITE.get(code & 0xFF)
    return storage_trouble(error.__cause__ or error.__context__) if kind is None else _TROUBLES[kind]


def is_full(error: BaseException | None) -> bool:
    """Whether it means that nothing fits on the disk any more."""
    found = storage_trouble(error)
    return found is not None and found.kind == "full"
