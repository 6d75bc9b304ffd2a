"""The database file: modes, transactions, migrations, copies, damage, and a file that goes away."""

import os
import sqlite3
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.store.database import Database, DatabaseUnusable, Migration, read_migrations, shipped_migrations

FIRST = Migration(1, "one", "CREATE TABLE things (name TEXT PRIMARY KEY);")
SECOND = Migration(2, "two", "ALTER TABLE things ADD COLUMN size INTEGER;")


class Case(SynchronousTestCase):
    """A folder of its own for each test."""

    def setUp(self) -> None:
        self.home = Path(self.mktemp())
        self.path = self.home / "parachute.db"

    def open(self, *steps: Migration) -> Database:
        database = Database.open(self.path, steps or (FIRST,))
        self.addCleanup(database.close)
        return database


class FileTests(Case):
    def test_modes(self) -> None:
        """The file, its journal and its folder are the owner's alone, whatever the umask."""
        self.addCleanup(os.umask, os.umask(0))
        database = self.open()
        with database.transaction() as connection:
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
        """Both a file that never was a database and one with torn pages; the text names the way out."""
        self.home.mkdir()
        self.path.write_bytes(b"not a database at all" * 100)
        text = str(self.assertRaises(DatabaseUnusable, self.open))
        self.assertIn("is damaged", text)
        self.assertIn("move it away", text)

    def test_torn_pages(self) -> None:
        database = Database.open(self.path, (FIRST,))
        with database.transaction() as connection:
            connection.executemany("INSERT INTO things VALUES (?)", [(f"{n:0500}",) for n in range(200)])
        database.close()
        with self.path.open("r+b") as file:
            file.seek(4096 * 3)
            file.write(os.urandom(4096 * 8))
        self.assertIn("is damaged", str(self.assertRaises(DatabaseUnusable, self.open)))

    def test_trouble(self) -> None:
        """A removed or replaced file is told apart from a healthy one."""
        database = self.open()
        self.assertIsNone(database.trouble())
        aside = self.path.rename(self.home / "aside")
        self.assertEqual(database.trouble(), "removed")
        self.path.touch()
        self.assertEqual(database.trouble(), "replaced")
        aside.rename(self.path)
        self.assertIsNone(database.trouble())


class TransactionTests(Case):
    def names(self, database: Database) -> list[str]:
        return [row["name"] for row in database.read("SELECT name FROM things ORDER BY name")]

    def test_commit_and_roll_back(self) -> None:
        database = self.open()
        with database.transaction() as connection:
            connection.execute("INSERT INTO things VALUES ('kept')")
        with self.assertRaises(ZeroDivisionError), database.transaction(durable=True) as connection:
            connection.execute("INSERT INTO things VALUES ('lost')")
            raise ZeroDivisionError
        self.assertEqual(self.names(database), ["kept"])

    def test_an_inner_failure_is_undone_alone(self) -> None:
        database = self.open()
        with database.transaction() as connection:
            connection.execute("INSERT INTO things VALUES ('outer')")
            with self.assertRaises(ZeroDivisionError), database.transaction():
                connection.execute("INSERT INTO things VALUES ('inner')")
                raise ZeroDivisionError
        self.assertEqual(self.names(database), ["outer"])

    def test_an_outer_failure_undoes_the_inner(self) -> None:
        database = self.open()
        with self.assertRaises(ZeroDivisionError), database.transaction() as connection:
            with database.transaction():
                connection.execute("INSERT INTO things VALUES ('inner')")
            raise ZeroDivisionError
        self.assertEqual(self.names(database), [])

    def test_durability_is_asked_for_outside(self) -> None:
        database = self.open()
        with database.transaction(), self.assertRaises(RuntimeError), database.transaction(durable=True):
            self.fail("not reached")

    def test_durability_is_set_for_each_transaction(self) -> None:
        database = self.open()
        for durable, level in ((True, 2), (False, 1), (True, 2)):
            with database.transaction(durable=durable) as connection:
                self.assertEqual(connection.execute("PRAGMA synchronous").fetchone()[0], level)


class MigrationTests(Case):
    def test_an_upgrade_copies_first(self) -> None:
        old = Database.open(self.path, (FIRST,))
        with old.transaction() as connection:
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

    def test_rows_that_point_nowhere_stop_a_step(self) -> None:
        dangling = Migration(
            1,
            "dangling",
            "CREATE TABLE a (x REFERENCES b (y)); CREATE TABLE b (y PRIMARY KEY); INSERT INTO a VALUES (1);",
        )
        self.assertIn("0001-dangling", str(self.assertRaises(DatabaseUnusable, self.open, dangling)))

    def test_a_newer_file_is_refused(self) -> None:
        Database.open(self.path, (FIRST, SECOND)).close()
        self.assertIn("newer hub", str(self.assertRaises(DatabaseUnusable, self.open)))

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
        self.assertEqual(database.read("PRAGMA foreign_keys")[0][0], 1)
