"""How much room vaults take."""

import os
import sqlite3
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.state.vault_sizes import VaultSize, measured


class SizeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        (self.folder / "files" / "ab").mkdir(parents=True)

    def fill(self, rows: int) -> sqlite3.Connection:
        database = sqlite3.connect(self.folder / "vault.db")
        self.addCleanup(database.close)
        database.execute("CREATE TABLE notes (content TEXT)")
        database.executemany("INSERT INTO notes VALUES (?)", [("x" * 4000,)] * rows)
        database.commit()
        return database

    def test_deleting_notes_makes_room(self) -> None:
        """The file stays as large as it was."""
        database = self.fill(500)
        before, on_disk = measured(self.folder).total, (self.folder / "vault.db").stat().st_size
        database.execute("DELETE FROM notes")
        database.commit()
        self.assertEqual((self.folder / "vault.db").stat().st_size, on_disk)
        self.assertGreater(before - measured(self.folder).total, 1_900_000)

    def test_the_databases_log_does_not_count(self) -> None:
        """It stays large after what is in it was deleted."""
        self.fill(1)
        before = measured(self.folder)
        for name in ("vault.db-wal", "vault.db-shm"):
            (self.folder / name).write_bytes(os.urandom(1 << 20))
        self.assertEqual(measured(self.folder), before)

    def test_files_are_told_apart(self) -> None:
        self.fill(1)
        without = measured(self.folder)
        (self.folder / "files" / "ab" / "picture").write_bytes(os.urandom(1 << 20))
        found = measured(self.folder)
        self.assertEqual((found.total - without.total, found.files - without.files), (1 << 20, 1 << 20))

    def test_what_a_module_wrote_there_is_not_believed(self) -> None:
        """A header that claims more free pages than the file has, a file that is none, links, and no folder."""
        path = self.folder / "vault.db"
        for content in (b"SQLite format 3\0" + b"\xff" * 84, b"short", b"", b"\0" * 100):
            path.write_bytes(content)
            self.assertGreaterEqual(measured(self.folder).total, path.stat().st_blocks * 512)
        path.unlink()
        path.symlink_to("/etc/passwd")
        (self.folder / "other.db").mkdir()
        os.mkfifo(self.folder / "pipe.db")
        self.assertGreater(measured(self.folder).total, 0)
        self.assertEqual(measured(self.folder / "none"), VaultSize(0, 0))
