"""A hub that is older than its database: what it says, and that it changes nothing."""

import sqlite3
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.store import newer
from parachute_hub.store.database import Database


class NewerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Path(self.mktemp())
        self.home.mkdir()
        self.database, self.note = self.home / "parachute.db", self.home / newer.NOTE
        self.known = newer.known_schema()

    def written(self, ahead: int) -> None:
        """A database of a hub that is so many schemas ahead."""
        Database.open(self.database).close()
        connection = sqlite3.connect(self.database)
        connection.execute(f"PRAGMA user_version = {self.known + ahead}")
        connection.close()

    def test_the_same_hub_and_an_older_database_are_fine(self) -> None:
        self.assertIsNone(newer.too_new(self.database, self.note))
        for ahead in (0, -1):
            self.written(ahead)
            self.assertIsNone(newer.too_new(self.database, self.note), ahead)
        self.database.write_bytes(b"nonsense")
        self.assertIsNone(newer.too_new(self.database, self.note))

    def test_a_newer_one_names_the_version_and_the_copy(self) -> None:
        self.written(1)
        before = self.database.read_bytes()
        plain = newer.too_new(self.database, self.note)
        assert plain is not None
        self.assertIn("a newer Parachute Hub", plain)
        self.assertNotIn("copy", plain)
        self.note.write_text(f'{{"version": "9.8.7", "schema": {self.known + 1}}}')
        self.database.with_name(f"parachute.db.v{self.known}").touch()
        named = newer.too_new(self.database, self.note)
        assert named is not None
        for words in ("Parachute Hub 9.8.7", "Run version 9.8.7", f"its copy parachute.db.v{self.known}"):
            self.assertIn(words, named)
        self.assertEqual(self.database.read_bytes(), before)

    def test_each_hub_leaves_its_version(self) -> None:
        """A note of another schema says nothing about this one."""
        newer.remember(self.note, "1.2.3")
        self.assertEqual(newer.noted(self.note, self.known), "1.2.3")
        self.assertIsNone(newer.noted(self.note, self.known + 1))
        self.note.write_text("{")
        self.assertIsNone(newer.noted(self.note, self.known))
