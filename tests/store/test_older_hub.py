"""Reading the older hub's database, and storing what came from it: all or nothing."""

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.migration.plan import plan
from parachute_hub.store.older_hub import MoveInStore, OlderHubUnreadable, read
from parachute_hub.store.rows import Arrivals
from parachute_hub.system.timestamps import to_the_millisecond
from tests.support.at_once import at_once
from tests.support.databases import new_database
from tests.support.older_hub import FRIEND, OWNER, make

NOW = 1_800_000_000.0


def content(folder: Path) -> dict[str, str]:
    """Every file with the hash of its content."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


class ReadTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Path(self.mktemp()).absolute()
        make(self.home, now=NOW)
        self.path = self.home / "hub.db"

    def refused(self, words: str) -> None:
        error = self.assertRaises(OlderHubUnreadable, read, self.path, to_the_millisecond(NOW))
        self.assertIn(words, str(error))

    def test_what_counts_is_read_and_nothing_is_written(self) -> None:
        before = content(self.home)
        tables = read(self.path, to_the_millisecond(NOW))
        self.assertEqual([row["username"] for row in tables["users"]], ["owner", "friend"])
        self.assertEqual(len(read(self.path, to_the_millisecond(NOW + 40 * 86400))["tokens"]), 0)
        self.assertEqual(content(self.home), before)

    def test_a_file_cut_in_half(self) -> None:
        whole = self.path.read_bytes()
        for size, words in ((len(whole) // 2, "is damaged"), (50, "is damaged"), (0, "is not the database")):
            self.path.write_bytes(whole[:size])
            self.refused(words)

    def test_something_else(self) -> None:
        self.path.write_text("not a database, whatever its name says, and longer than a header of SQLite is\n" * 9)
        self.refused("is damaged")

    def test_other_schemas(self) -> None:
        for version, words in ((17, "Update this hub"), (12, "Update the older hub to 0.7.15")):
            self.change("DELETE FROM schema_version", f"INSERT INTO schema_version VALUES ({version}, '')")
            self.refused(words)

    def test_a_missing_table(self) -> None:
        self.change("DROP TABLE grants")
        self.refused("no such table")

    def test_what_a_kill_left_in_the_journal_counts(self) -> None:
        """And the journal is left for the older hub."""
        other = self.home.with_name(self.home.name + "-killed")
        other.mkdir()
        with closing(sqlite3.connect(self.path)) as opened:
            opened.execute("PRAGMA journal_mode = WAL")
            opened.execute("PRAGMA wal_autocheckpoint = 0")
            opened.execute("UPDATE users SET username = 'late' WHERE username = 'friend'")
            opened.commit()
            for name in ("hub.db", "hub.db-wal"):
                (other / name).write_bytes((self.home / name).read_bytes())
        before = content(other)
        names = [row["username"] for row in read(other / "hub.db", to_the_millisecond(NOW))["users"]]
        self.assertEqual(names, ["owner", "late"])
        self.assertEqual(content(other), before)

    def change(self, *statements: str) -> None:
        with closing(sqlite3.connect(self.path)) as opened:
            for statement in statements:
                opened.execute(statement)
            opened.commit()


class AddTests(SynchronousTestCase):
    def setUp(self) -> None:
        home = Path(self.mktemp()).absolute()
        make(home, now=NOW)
        tables = read(home / "hub.db", to_the_millisecond(NOW))
        self.arrivals = plan(tables, now=NOW, is_origin=lambda text: True, is_key=lambda pem: True).arrivals
        self.database = new_database(home / "parachute.db")
        self.addCleanup(self.database.close)
        numbers = iter(range(100))
        self.store = MoveInStore(
            self.database, seal=lambda secret, row: f"{row}:{secret}".encode(), new_id=lambda: str(next(numbers))
        )

    def add(self, arrivals: Arrivals) -> bool:
        return at_once(self.database.write(self.store.add, arrivals, NOW))

    def count(self, table: str) -> int:
        return int(self.database.read(f"SELECT count(*) FROM {table}")[0][0])

    def test_everything_is_stored(self) -> None:
        self.assertTrue(self.add(self.arrivals))
        told = {name: self.count(name) for name in ("users", "clients", "grants", "families", "refresh_tokens")}
        self.assertEqual(told, {"users": 2, "clients": 2, "grants": 1, "families": 1, "refresh_tokens": 2})
        (factor,) = self.database.read("SELECT user_id, secret, confirmed_at FROM second_factors")
        self.assertEqual((factor["user_id"], factor["secret"][:4]), (OWNER, b"0:S3"))
        vaults = self.database.read("SELECT user_id, vault, role FROM user_vaults")
        self.assertEqual([tuple(row) for row in vaults], [(FRIEND, "default", "write")])

    def test_a_hub_with_an_owner_takes_nothing(self) -> None:
        self.add(self.arrivals)
        self.assertFalse(self.add(self.arrivals))

    def test_one_bad_row_leaves_nothing(self) -> None:
        twice = evolve(self.arrivals, keys=self.arrivals.keys * 2)
        self.failureResultOf(self.database.write(self.store.add, twice, NOW), sqlite3.IntegrityError)
        self.assertEqual([self.count(name) for name in ("users", "clients", "tokens", "settings")], [0, 0, 0, 0])
