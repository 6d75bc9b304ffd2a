"""The database file: modes, transactions, migrations, copies, damage, and a file that goes away."""

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

from twisted.internet.defer import CancelledError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.store.database import (
    MOST_WAITING,
    Database,
    DatabaseUnusable,
    Migration,
    read_migrations,
    shipped_migrations,
)
from parachute_hub.system.executors import Immediate
from parachute_hub.system.storage_trouble import StorageBusy, is_full, storage_trouble

FIRST = Migration(1, "one", "CREATE TABLE things (name TEXT PRIMARY KEY);")
SECOND = Migration(2, "two", "ALTER TABLE things ADD COLUMN size INTEGER;")


class Case(SynchronousTestCase):
    """A folder for each test."""

    def setUp(self) -> None:
        self.home = Path(self.mktemp())
        self.path = self.home / "parachute.db"

    def open(self, *steps: Migration) -> Database:
        database = Database.open(self.path, steps or (FIRST,))
        self.addCleanup(database.close)
        return database


class FileTests(Case):
    def test_the_files_are_private(self) -> None:
        """The file, its journal and its folder are the owner's alone, whatever the umask."""
        self.addCleanup(os.umask, os.umask(0))
        database = self.open()
        with database.unit(), database.transaction() as connection:
            connection.execute("INSERT INTO things VALUES ('a')")
        modes = {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in self.home.iterdir()}
        self.assertEqual(modes, {"parachute.db": 0o600, "parachute.db-wal": 0o600, "parachute.db-shm": 0o600})
        self.assertEqual(stat.S_IMODE(self.home.stat().st_mode), 0o700)

    def test_a_loose_file_is_tightened(self) -> None:
        self.home.mkdir()
        self.path.touch(0o644)
        self.path.chmod(0o644)
        self.open()
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_a_link_is_not_followed(self) -> None:
        self.home.mkdir()
        (self.home / "elsewhere").touch()
        self.path.symlink_to("elsewhere")
        self.assertIn("cannot be opened", str(self.assertRaises(DatabaseUnusable, self.open)))

    def test_damage_is_seen_at_the_start(self) -> None:
        """Both a file that never was a database and one with torn pages; the text says what to do."""
        self.home.mkdir()
        self.path.write_bytes(b"not a database at all" * 100)
        text = str(self.assertRaises(DatabaseUnusable, self.open))
        self.assertIn("is damaged", text)
        self.assertIn("move it away", text)

    def test_damaged_pages_are_found_at_the_start(self) -> None:
        database = Database.open(self.path, (FIRST,))
        with database.unit(), database.transaction() as connection:
            connection.executemany("INSERT INTO things VALUES (?)", [(f"{n:0500}",) for n in range(200)])
        database.close()
        with self.path.open("r+b") as file:
            file.seek(4096 * 3)
            file.write(os.urandom(4096 * 8))
        self.assertIn("is damaged", str(self.assertRaises(DatabaseUnusable, self.open)))

    def test_a_removed_or_replaced_file_is_noticed(self) -> None:
        """A removed or replaced file is told apart from a healthy one."""
        database = self.open()
        self.assertIsNone(database.trouble())
        aside = self.path.rename(self.home / "aside")
        self.assertEqual(database.trouble(), "removed")
        self.path.touch()
        self.assertEqual(database.trouble(), "replaced")
        aside.rename(self.path)
        self.assertIsNone(database.trouble())


class WriteTests(Case):
    def names(self, database: Database) -> list[str]:
        return [row["name"] for row in database.read("SELECT name FROM things ORDER BY name")]

    def put(self, database: Database, name: str) -> str:
        """A store's writing method."""
        with database.transaction() as connection:
            connection.execute("INSERT INTO things VALUES (?)", (name,))
        return name

    def test_all_or_nothing(self) -> None:
        database = self.open()

        def fails() -> None:
            self.put(database, "lost")
            raise ZeroDivisionError

        self.assertEqual(self.successResultOf(database.write(self.put, database, "kept")), "kept")
        self.failureResultOf(database.write(fails), ZeroDivisionError)
        self.assertEqual(self.names(database), ["kept"])

    def test_what_it_reads_is_what_it_writes_to(self) -> None:
        """A decision sees its own transaction; others see it once it is committed."""
        database = self.open()
        seen: list[list[str]] = []

        def work() -> None:
            self.put(database, "new")
            seen.append(self.names(database))
            other = sqlite3.connect(self.path)
            seen.append([name for (name,) in other.execute("SELECT name FROM things")])
            other.close()

        self.successResultOf(database.write(work))
        self.assertEqual((seen, self.names(database)), ([["new"], []], ["new"]))

    def test_an_inner_failure_is_undone_alone(self) -> None:
        database = self.open()

        def work() -> None:
            self.put(database, "outer")
            with self.assertRaises(ZeroDivisionError), database.transaction() as connection:
                connection.execute("INSERT INTO things VALUES ('inner')")
                raise ZeroDivisionError

        self.successResultOf(database.write(work))
        self.assertEqual(self.names(database), ["outer"])

    def test_nothing_is_written_past_the_writer(self) -> None:
        """Neither by a store's method nor on the connection that reads."""
        database = self.open()
        self.assertRaises(RuntimeError, self.put, database, "a")
        self.assertRaises(sqlite3.OperationalError, database.read, "DELETE FROM things")

    def test_those_that_wait_are_committed_together(self) -> None:
        """One commit for all; an exception affects only its own work, and callers are told after the commit."""
        executor = Postponed()
        database = Database.open(self.path, (FIRST,), executor=executor)
        self.addCleanup(database.close)
        heard: list[object] = []
        for name in ("a", "b", "b", "c"):
            database.write(self.put, database, name).addBoth(heard.append)
        self.assertEqual((heard, executor.waiting), ([], 1))
        executor.turn()
        self.assertEqual((len(executor.answers), heard, self.names(database)), (1, [], ["a", "b", "c"]))
        executor.answers.pop()()
        self.assertEqual([one if isinstance(one, str) else type(one) for one in heard], ["a", "b", Failure, "c"])

    def test_what_comes_meanwhile_is_next(self) -> None:
        executor = Postponed()
        database = Database.open(self.path, (FIRST,), executor=executor)
        self.addCleanup(database.close)
        database.write(self.put, database, "a")
        executor.turn()
        later = database.write(self.put, database, "b")
        executor.answers.pop()()
        executor.turn()
        executor.answers.pop()()
        self.assertEqual((self.successResultOf(later), executor.waiting), ("b", 0))

    def test_after_the_commit(self) -> None:
        """Caches are told what was committed, not what was rolled back."""
        database = self.open()
        calls: list[str] = []

        def work(name: str, fails: bool) -> None:
            database.after_commit(lambda: calls.append(name))
            if fails:
                raise ZeroDivisionError
            self.assertEqual(calls, [])

        self.failureResultOf(database.write(work, "undone", True), ZeroDivisionError)
        self.successResultOf(database.write(work, "done", False))
        self.assertEqual(calls, ["done"])

    def test_an_error_after_the_commit_stops_nothing(self) -> None:
        """It is committed all the same, and the writer goes on."""
        executor = Postponed()
        database = Database.open(self.path, (FIRST,), executor=executor)
        self.addCleanup(database.close)

        def fails() -> None:
            raise ZeroDivisionError

        def work(name: str) -> str:
            database.after_commit(fails)
            return self.put(database, name)

        for name in ("a", "b"):
            written = database.write(work, name)
            executor.turn()
            executor.answers.pop()()
            self.assertEqual(self.successResultOf(written), name)
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((self.names(database), executor.waiting), (["a", "b"], 0))

    def test_a_held_lock_fails_in_time(self) -> None:
        """Another program holds the write lock: reads continue, a write is refused, and the next one works."""
        database = self.open()
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        database._writing.execute("PRAGMA busy_timeout = 1")
        failure = self.failureResultOf(database.write(self.put, database, "a"))
        trouble = storage_trouble(failure.value)
        assert trouble is not None
        self.assertEqual((trouble.kind, trouble.status, self.names(database)), ("busy", 503, []))
        other.execute("ROLLBACK")
        self.successResultOf(database.write(self.put, database, "a"))
        self.assertEqual(self.names(database), ["a"])

    def test_a_full_disk_is_tried_once_more(self) -> None:
        """Once there is space; otherwise the write fails with a message."""
        rooms = [False, True]
        made: list[bool] = []

        def make_room() -> bool:
            database._writing.execute(f"PRAGMA max_page_count = {1000 if rooms[0] else 1}")
            made.append(rooms.pop(0))
            return made[-1]

        database = Database.open(self.path, (FIRST,), on_full=make_room)
        self.addCleanup(database.close)
        database._writing.execute("PRAGMA max_page_count = 1")
        big = "x" * 20_000
        failure = self.failureResultOf(database.write(self.put, database, big))
        self.assertTrue(is_full(failure.value))
        self.assertEqual(self.successResultOf(database.write(self.put, database, big)), big)
        self.assertEqual(made, [False, True])

    def test_too_many_that_wait_are_refused(self) -> None:
        executor = Postponed()
        database = Database.open(self.path, (FIRST,), executor=executor)
        self.addCleanup(database.close)
        for number in range(MOST_WAITING):
            database.write(self.put, database, str(number))
        self.failureResultOf(database.write(self.put, database, "one more"), StorageBusy)

    def test_nobody_waits_for_ever(self) -> None:
        """A hanging disk: callers are told, and work that has not started is dropped."""
        executor = Postponed()
        database = Database.open(self.path, (FIRST,), executor=executor)
        self.addCleanup(database.close)
        gone = database.write(self.put, database, "gone")
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        executor.turn()
        executor.answers.pop()()
        self.assertEqual(self.names(database), [])


class Postponed(Immediate):
    """An executor whose thread and reactor take turns when the test says so."""

    def __init__(self) -> None:
        self.works: list[Callable[[], None]] = []
        self.answers: list[Callable[[], None]] = []

    @property
    def waiting(self) -> int:
        return len(self.works)

    def run(self, work: Callable[[], None]) -> None:
        self.works.append(work)

    def answer(self, work: Callable[[], None]) -> None:
        self.answers.append(work)

    def turn(self) -> None:
        """Run the writer's thread."""
        self.works.pop(0)()


class MigrationTests(Case):
    def test_an_upgrade_copies_first(self) -> None:
        old = Database.open(self.path, (FIRST,))
        with old.unit(), old.transaction() as connection:
            connection.execute("INSERT INTO things VALUES ('a')")
        old.close()
        self.assertEqual([entry.name for entry in self.home.iterdir()], ["parachute.db"])
        database = self.open(FIRST, SECOND)
        self.assertEqual([tuple(row) for row in database.read("SELECT * FROM things")], [("a", None)])
        copy = self.home / "parachute.db.v1"
        self.assertEqual(stat.S_IMODE(copy.stat().st_mode), 0o600)
        before = sqlite3.connect(copy)
        self.addCleanup(before.close)
        self.assertEqual(before.execute("SELECT * FROM things").fetchall(), [("a",)])
        self.assertEqual(before.execute("PRAGMA user_version").fetchone(), (1,))

    def test_a_failing_step_changes_nothing(self) -> None:
        Database.open(self.path, (FIRST,)).close()
        broken = Migration(2, "broken", "CREATE TABLE other (x); INSERT INTO nowhere VALUES (1);")
        self.assertRaises(DatabaseUnusable, self.open, FIRST, broken)
        self.assertEqual(self.open(FIRST).read("SELECT name FROM sqlite_schema WHERE name = 'other'"), [])

    def test_a_new_file_gets_all_steps_in_one_transaction(self) -> None:
        """Each would wait for the disk."""
        broken = Migration(2, "broken", "INSERT INTO nowhere VALUES (1);")
        self.assertRaises(DatabaseUnusable, self.open, FIRST, broken)
        left = sqlite3.connect(self.path)
        self.addCleanup(left.close)
        self.assertEqual(left.execute("SELECT name FROM sqlite_schema").fetchall(), [])
        self.assertEqual(left.execute("PRAGMA user_version").fetchone(), (0,))

    def test_rows_that_point_nowhere_stop_a_step(self) -> None:
        dangling = Migration(
            1,
            "dangling",
            "CREATE TABLE a (x REFERENCES b (y)); CREATE TABLE b (y PRIMARY KEY); INSERT INTO a VALUES (1);",
        )
        self.assertIn("0001-dangling", str(self.assertRaises(DatabaseUnusable, self.open, dangling)))

    def test_a_newer_file_is_refused(self) -> None:
        Database.open(self.path, (FIRST, SECOND)).close()
        self.assertIn("a newer Parachute Hub", str(self.assertRaises(DatabaseUnusable, self.open)))

    def test_numbers_have_no_gaps(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "0001-a.sql").touch()
        (folder / "0003-b.sql").touch()
        self.assertRaises(ValueError, read_migrations, folder)
        (folder / "0003-b.sql").rename(folder / "second.sql")
        self.assertRaises(ValueError, read_migrations, folder)

    def test_the_shipped_steps_apply(self) -> None:
        database = self.open(*shipped_migrations())
        tables = {row["name"] for row in database.read("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        self.assertLessEqual({"users", "user_vaults", "sessions", "settings", "audit"}, tables)
        (row,) = self.successResultOf(database.write(database.read, "PRAGMA foreign_keys"))
        self.assertEqual(tuple(row), (1,))
