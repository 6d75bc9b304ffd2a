"""Maps storage errors (full, read-only, failing or busy disk) to responses."""

import errno
from typing import Literal

from parachute_hub.system.records import frozen

Kind = Literal["full", "read_only", "failing", "busy"]


class StorageBusy(Exception):
    """A write was not started, or not confirmed in time: too many are queued, or the disk hangs. A retry may help."""


@frozen
class Trouble:
    """One kind of trouble: its HTTP status, a stable word, and what the user can do.

    `retry_after` is in seconds; None if waiting alone does not help.
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
# Primary result codes of SQLite (sqlite.org/rescode.html), the low byte of extended codes.
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
    """The storage trouble behind this error or its causes; None if there is none.

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
        # Only SQLite's own errors have a code.
        code = getattr(error, "sqlite_errorcode", None)
        kind = None if code is None else _BY_SQLITE.get(code & 0xFF)
    return storage_trouble(error.__cause__ or error.__context__) if kind is None else _TROUBLES[kind]


def is_full(error: BaseException | None) -> bool:
    """True if the disk is full."""
    found = storage_trouble(error)
    return found is not None and found.kind == "full"
