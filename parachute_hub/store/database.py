"""The one SQLite file of the hub: opening, migrating and checking it, and its single way to write.

Reads run on the reactor's thread and take microseconds: in WAL mode no writer holds them up. Writes run in a thread of
their own. Nothing is written once per proxied request. Timestamps in every table are seconds since the epoch.
"""

import os
import re
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from threading import local
from typing import Any, Literal, ParamSpec, TypeVar

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from parachute_hub.store.newer import NOTE, explain
from parachute_hub.system.atomic_files import make_sure, sync_folder
from parachute_hub.system.executors import Executor, Immediate
from parachute_hub.system.records import frozen
from parachute_hub.system.storage_trouble import StorageBusy, is_full

_log = Logger()
P = ParamSpec("P")
T = TypeVar("T")
# How long another program's write lock delays a request before it gets 503.
BUSY_MILLISECONDS = 1000
MOST_WAITING = 1000
MOST_IN_ONE_COMMIT = 200
PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


class DatabaseUnusable(Exception):
    """The database cannot be used. The text says why and what the owner can do, and contains no secret."""


class DatabaseTooNew(DatabaseUnusable):
    """A newer hub wrote the database, so that this one must not run on its home."""


@frozen
class Migration:
    """One numbered step, `NNNN-name.sql`."""

    number: int
    name: str
    sql: str


class _Here(local):
    """The current thread's open transaction, if any."""

    connection: sqlite3.Connection | None = None


@frozen(eq=False)
class _Unit:
    """Work queued for the writer. `dropped` once nobody waits for it."""

    work: Callable[[], Any]
    done: Deferred[Any]

    @property
    def dropped(self) -> bool:
        """True if the wait is over, so that the work must not start."""
        return bool(self.done.called)


class Database:
    """An open database. Rows are `sqlite3.Row`.

    Reads run inline on the connection of the thread that opened it. Writes go through `write`, which runs a plain
    function as one transaction on the Executor and fires once it is durable. Inside that function, stores are called as
    usual and read their own writes, so decisions belong there. Outside it, a store's writing methods raise
    RuntimeError.

    `on_full` is called when the disk is full, and returns True if it freed space for another try.
    """

    def __init__(
        self,
        path: Path,
        writing: sqlite3.Connection,
        reading: sqlite3.Connection,
        *,
        executor: Executor | None = None,
        on_full: Callable[[], bool] = lambda: False,
    ) -> None:
        self.path = path
        self._writing = writing
        self._reading = reading
        self._executor: Executor = executor or Immediate()
        self._on_full = on_full
        self._here = _Here()
        self._waiting: deque[_Unit] = deque()
        self._at_work = False
        self._after_commit: list[Callable[[], None]] = []
        self._identity = _identity(path)

    @classmethod
    def open(
        cls,
        path: Path,
        migrations: Sequence[Migration] | None = None,
        *,
        executor: Executor | None = None,
        on_full: Callable[[], bool] = lambda: False,
    ) -> "Database":
        """Open or make the file (0600 in a 0700 folder), check it and bring it to the newest schema.

        Before migrating, the file is copied to `<name>.v<old version>` in the same folder. Raises DatabaseUnusable if
        the file is damaged, unreadable or newer than this program.
        """
        try:
            _make_private(path)
            writing = _connect(path, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise DatabaseUnusable(
                f"{path} cannot be opened: {error}. Check who owns it and that it is writable."
            ) from error
        try:
            _check(path, writing)
            _migrate(path, writing, shipped_migrations() if migrations is None else migrations)
            writing.execute("PRAGMA synchronous = FULL")
            reading = _connect(path)
            reading.execute("PRAGMA query_only = ON")
        except sqlite3.OperationalError as error:
            writing.close()
            raise DatabaseUnusable(
                f"{path} cannot be used: {error}. Is the disk full, or is another hub running?"
            ) from error
        except BaseException:
            writing.close()
            raise
        return cls(path, writing, reading, executor=executor, on_full=on_full)

    def write(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Deferred[T]":
        """Run `work` as one transaction; fires with its result once it is durable. If it raises, only this work is
        rolled back.

        Queued writes are committed together (group commit). Fails with sqlite3.OperationalError if the database is
        locked or the disk does not accept writes, and with StorageBusy if too many are queued; `site.area` handles
        both. The work completes even if the Deferred is cancelled, unless it has not started.
        """
        done: Deferred[T] = Deferred()
        if len(self._waiting) >= MOST_WAITING:
            return fail(StorageBusy("too many writes are waiting for the disk"))
        # In the thread, too, the work is done on behalf of whoever asked for it (`system.doer`).
        self._waiting.append(_Unit(partial(copy_context().run, work, *args, **kwargs), done))
        if not self._at_work:
            self._at_work = True
            self._executor.run(self._run_batch)
        return self._executor.bound(done)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """A nested transaction within `write`: rolled back alone if it fails, kept only if the outer one commits."""
        connection = self._here.connection
        if connection is None:
            raise RuntimeError("a write outside Database.write")
        connection.execute("SAVEPOINT inner")
        try:
            yield connection
        except BaseException:
            # SQLite ends the transaction by itself on some errors, a full disk among them.
            if connection.in_transaction:
                connection.execute("ROLLBACK TO inner")
                connection.execute("RELEASE inner")
            raise
        connection.execute("RELEASE inner")

    @contextmanager
    def unit(self) -> Iterator[None]:
        """One transaction of the calling thread. Only for the writer, and for tests of single stores."""
        connection = self._writing
        self._after_commit = []
        connection.execute("BEGIN IMMEDIATE")
        self._here.connection = connection
        try:
            yield
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        finally:
            self._here.connection = None

    def after_commit(self, call: Callable[[], None]) -> None:
        """Call `call` on the waiters' thread after the current transaction is committed."""
        self._after_commit.append(call)

    def read(self, sql: str, args: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """All rows of a query."""
        return self._connection().execute(sql, args).fetchall()

    def first(self, sql: str, args: Sequence[Any] = ()) -> sqlite3.Row | None:
        """The first row of a query, None when there is none."""
        # fetchall ends the statement; an open one would hold its snapshot.
        rows = self._connection().execute(sql, args).fetchmany(1)
        return rows[0] if rows else None

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
            self._reading.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone()
        except sqlite3.Error:
            return "unreadable"
        return None

    def close(self) -> None:
        """Finish pending writes, checkpoint the journal and close the file."""
        self._executor.stop()
        self._reading.close()
        self._writing.close()

    def _connection(self) -> sqlite3.Connection:
        return self._here.connection or self._reading

    # --- writing

    def _run_batch(self) -> None:
        units = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_IN_ONE_COMMIT))]
        units = [unit for unit in units if not unit.dropped]
        outcomes, calls = self._commit(units)
        self._executor.answer(partial(self._answer, units, outcomes, calls))

    def _commit(self, units: Sequence[_Unit]) -> tuple[list[Any], list[Callable[[], None]]]:
        """Run the units in one transaction. Returns a result or Failure for each, and the callbacks for after the
        commit.
        """
        if not units:
            return [], []
        tries = 2
        while True:
            tries -= 1
            try:
                with self.unit():
                    outcomes = [self._outcome(unit) for unit in units]
                return outcomes, self._after_commit
            except Exception as error:
                if tries and is_full(error) and self._on_full():
                    continue
                return [Failure()] * len(units), []

    def _outcome(self, unit: _Unit) -> Any:
        """The result of one unit. Trouble with the file affects all of them and is passed on to `_commit`."""
        calls = len(self._after_commit)
        try:
            with self.transaction():
                return unit.work()
        except sqlite3.OperationalError:
            raise
        except Exception:
            del self._after_commit[calls:]
            return Failure()

    def _answer(self, units: Sequence[_Unit], outcomes: Sequence[Any], calls: Sequence[Callable[[], None]]) -> None:
        for call in calls:
            try:
                call()
            except Exception:
                _log.failure("A commit could not be told to all")
        for unit, outcome in zip(units, outcomes, strict=True):
            # A Failure makes it an errback.
            unit.done.callback(outcome)
        self._at_work = bool(self._waiting)
        if self._at_work:
            self._executor.run(self._run_batch)


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


def _connect(path: Path, *, check_same_thread: bool = True) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, isolation_level=None, timeout=BUSY_MILLISECONDS / 1000, check_same_thread=check_same_thread
    )
    connection.row_factory = sqlite3.Row
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
        raise DatabaseTooNew(explain(path, at, len(migrations), path.parent / "hub" / NOTE))
    todo = migrations[at:]
    if todo and at:
        _copy(connection, path.with_name(f"{path.name}.v{at}"))
    # Rebuilding a table needs foreign keys off; foreign_key_check runs before the commit.
    connection.execute("PRAGMA foreign_keys = OFF")
    # A new database is made at once: it has no rows to check in between, and each transaction waits for the disk.
    for steps in [[step] for step in todo] if at else [todo] if todo else []:
        _apply(connection, steps)
    connection.execute("PRAGMA foreign_keys = ON")


def _apply(connection: sqlite3.Connection, steps: Sequence[Migration]) -> None:
    """Apply steps in one transaction."""
    step = steps[-1]
    try:
        every = "\n;".join(one.sql for one in steps)
        connection.executescript(f"BEGIN IMMEDIATE;\n{every}\n;PRAGMA user_version = {step.number};")
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
