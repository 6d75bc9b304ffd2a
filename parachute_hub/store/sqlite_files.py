"""Copies and checks SQLite files, including modules', while they are in use. Everything blocks."""

import contextlib
import os
import sqlite3
from pathlib import Path

_PAGES = 512
_RESTARTS = 200
"""Attempts to copy a database without WAL in steps. After that it is copied in one step while writers wait."""


class DatabaseUnreadable(Exception):
    """SQLite cannot read the file. The text is SQLite's."""


def copy_database(source: Path, target: Path) -> None:
    """A consistent copy of a database that may be in use. Raises Unreadable or OSError.

    In WAL mode a reader does not block writers, so the copy is made in one step. Otherwise it is made in small steps
    between which writers can proceed; each write restarts the copy, so attempts are limited.
    """
    try:
        _copy(source, target)
    except sqlite3.DatabaseError as error:
        raise DatabaseUnreadable(str(error)) from error


def _copy(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    steps = 0

    def step(status: int, remaining: int, total: int) -> None:
        nonlocal steps
        steps += 1
        if steps > _RESTARTS + total // _PAGES:
            raise _TooBusy

    with (
        contextlib.closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True, timeout=10)) as reader,
        contextlib.closing(sqlite3.connect(target)) as writer,
    ):
        reader.execute("PRAGMA cache_size = -2048")
        if reader.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            reader.backup(writer)
            return
        try:
            reader.backup(writer, pages=_PAGES, progress=step, sleep=0.005)
        except _TooBusy:
            reader.backup(writer)


class _TooBusy(Exception):
    """The database changes faster than it can be copied in small steps."""


def check_database(path: Path) -> str | None:
    """What SQLite finds wrong with a file; None if nothing."""
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as opened:
            opened.execute("PRAGMA cache_size = -2048")
            found = [str(row[0]) for row in opened.execute("PRAGMA quick_check(1)")]
    except sqlite3.Error as error:
        return str(error)
    return None if found == ["ok"] else found[0]


def settle_database(path: Path) -> None:
    """Move what is still in the journal of a database into it, so that the file alone is whole. Raises sqlite3.Error.

    Nobody else may use it.
    """
    with contextlib.closing(sqlite3.connect(path)) as opened:
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def is_hub_database(path: Path) -> bool:
    """True if the file is a sound database of a hub, with accounts."""
    if not path.is_file() or check_database(path) is not None:
        return False
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as opened:
        found = opened.execute("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'users'").fetchone()
    return found is not None
