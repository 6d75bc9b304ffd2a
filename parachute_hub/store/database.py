"""The one SQLite file of the hub: opening, migrating and checking it, and its single way to write.

Called synchronously on the reactor's thread: a read takes microseconds, a write well under a millisecond. Nothing is
written once per proxied request. Timestamps in every table are seconds since the epoch.
"""

import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal

from attrs import frozen

from parachute_hub.system.atomic_files import make_sure, sync_folder

BUSY_MILLISECONDS = 5000
PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


class DatabaseUnusable(Exception):
    """The database cannot be used. The text says why and what the owner can do, and contains no secret."""


@frozen
class Migration:
    """One numbered step, `NNNN-name.sql`."""

    number: int
    name: str
    sql: str


class Database:
    """An open database. Rows are `sqlite3.Row`; writes go through `transaction`."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._depth = 0
        self._durable = False
        self._identity = _identity(path)

    @classmethod
    def open(cls, path: Path, migrations: Sequence[Migration] | None = None) -> "Database":
        """Open or create the file (0600 in a 0700 folder), check its integrity and migrate it.

        Before migrating, the file is copied to `<name>.v<old version>` in the same folder. Raises DatabaseUnusable if
        the file is damaged, unreadable or newer than this program.
        """
        try:
            _make_private(path)
            connection = _connect(path)
        except (OSError, sqlite3.Error) as error:
            raise DatabaseUnusable(
                f"{path} cannot be opened: {error}. Check who owns it and that it is writable."
            ) from error
        try:
            _check(path, connection)
            _migrate(path, connection, shipped_migrations() if migrations is None else migrations)
        except sqlite3.OperationalError as error:
            connection.close()
            raise DatabaseUnusable(
                f"{path} cannot be used: {error}. Is the disk full, or is another hub running?"
            ) from error
        except BaseException:
            connection.close()
            raise
        return cls(path, connection)

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """All or nothing. `durable` waits until the disk has it: for tokens, grants, whatever must not come back.

        An inner transaction is undone alone when it fails, and is kept only when the outer one is.
        """
        if self._depth:
            if durable and not self._durable:
                raise RuntimeError("ask for durability in the outermost transaction")
            begin, commit, rollback = "SAVEPOINT inner", "RELEASE inner", "ROLLBACK TO inner; RELEASE inner"
        else:
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable
            begin, commit, rollback = "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"
        self._connection.execute(begin)
        self._depth += 1
        try:
            yield self._connection
            self._connection.execute(commit)
        except BaseException:
            # SQLite rolls back by itself on some errors, such as a full disk.
            if self._connection.in_transaction:
                for statement in rollback.split("; "):
                    self._connection.execute(statement)
            raise
        finally:
            self._depth -= 1

    def read(self, sql: str, args: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """All rows of a query."""
        return self._connection.execute(sql, args).fetchall()

    def first(self, sql: str, args: Sequence[Any] = ()) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        row: sqlite3.Row | None = self._connection.execute(sql, args).fetchone()
        return row

    def trouble(self) -> Literal["removed", "replaced", "unreadable"] | None:
        """What is wrong with the open file, for /health; None if nothing is.

        After the file was removed, the hub would keep writing to an unlinked inode and look healthy.
        """
        try:
            now = _identity(self.path)
        except FileNotFoundError:
            return "removed"
        except OSError:
            return "unreadable"
        if now != self._identity:
            return "replaced"
        try:
            self._connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
        except sqlite3.Error:
            return "unreadable"
        return None

    def close(self) -> None:
        """Checkpoint the journal and close the file."""
        self._connection.close()


def shipped_migrations() -> list[Migration]:
    """The steps in `migrations/` in order. Raises ValueError if a number is missing, duplicated or malformed."""
    return read_migrations(files("parachute_hub.store").joinpath("migrations"))


def read_migrations(folder: Traversable | Path) -> list[Migration]:
    steps = []
    for entry in folder.iterdir():
        if not entry.name.endswith(".sql"):
            continue
        found = re.fullmatch(r"(\d{4})-([a-z0-9-]+)\.sql", entry.name)
        if not found:
            raise ValueError(f"{entry.name} is not named NNNN-name.sql")
        steps.append(Migration(int(found[1]), found[2], entry.read_text("utf-8")))
    steps.sort(key=lambda step: step.number)
    if [step.number for step in steps] != list(range(1, len(steps) + 1)):
        raise ValueError("migrations must be numbered 1, 2, 3 ... without gaps")
    return steps


def _make_private(path: Path) -> None:
    """SQLite creates its journal files with the mode of the database, so one chmod covers all three."""
    path.parent.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, PRIVATE_FILE)
    try:
        os.fchmod(descriptor, PRIVATE_FILE)
    finally:
        os.close(descriptor)


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MILLISECONDS / 1000)
    connection.row_factory = sqlite3.Row
    connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
    return connection


def _check(path: Path, connection: sqlite3.Connection) -> None:
    """Check integrity at startup rather than at the first sign-in."""
    try:
        findings = [row[0] for row in connection.execute("PRAGMA quick_check(3)")]
        connection.execute("PRAGMA journal_mode = WAL")
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        findings = [str(error)]
    if findings != ["ok"]:
        raise DatabaseUnusable(
            f"{path} is damaged ({findings[0]}). Stop the hub, keep a copy of the file, then put back a backup"
            f" or a copy named {path.name}.v*, or move it away to set the hub up anew."
            " The modules' own data is not in it and stays."
        )


def _migrate(path: Path, connection: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    at: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if at > len(migrations):
        raise DatabaseUnusable(
            f"{path} was written by a newer hub (schema {at}, this one knows {len(migrations)})."
            f" Run the newer version, or put back the copy {path.name}.v{len(migrations)} if there is one."
        )
    todo = migrations[at:]
    if todo and at:
        _copy(connection, path.with_name(f"{path.name}.v{at}"))
    # Rebuilding a table needs foreign keys off; foreign_key_check runs before the commit.
    connection.execute("PRAGMA foreign_keys = OFF")
    for step in todo:
        _apply(connection, step)
    connection.execute("PRAGMA foreign_keys = ON")


def _apply(connection: sqlite3.Connection, step: Migration) -> None:
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{step.sql}\n;PRAGMA user_version = {step.number};")
        if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
            raise DatabaseUnusable(f"Migration {step.number:04}-{step.name} leaves rows that point nowhere.")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _copy(connection: sqlite3.Connection, target: Path) -> None:
    """Copy all or nothing: write under a temporary name, flush, rename."""
    partial = target.with_name(target.name + ".partial")
    partial.unlink(missing_ok=True)
    os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE))
    copy = sqlite3.connect(partial)
    try:
        connection.backup(copy)
    finally:
        copy.close()
    make_sure(partial)
    partial.rename(target)
    sync_folder(target.parent)
