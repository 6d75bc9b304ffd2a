"""A hub that is older than its database refuses to start."""

import sqlite3
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub import __version__
from parachute_hub.store.newer import known_schema
from tests.live.harness import PATIENCE, hub


def contents(home: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}


class TooNewTests(SynchronousTestCase):
    def test_it_says_which_version_to_use_and_changes_nothing(self) -> None:
        running = hub(self).start()
        running.stop()
        self.assertIn(__version__, (running.home / "hub" / "last-version.json").read_text())
        connection = sqlite3.connect(running.home / "parachute.db")
        connection.execute(f"PRAGMA user_version = {known_schema() + 1}")
        connection.close()
        (running.home / "hub" / "last-version.json").write_text(
            f'{{"version": "99.1.0", "schema": {known_schema() + 1}}}'
        )
        before = contents(running.home)
        process = running.spawn()
        self.assertEqual(process.wait(PATIENCE), 1)
        running.process = None
        last = running.log().strip().splitlines()[-1]
        self.assertTrue(last.startswith("parachute: "), last)
        self.assertIn("Run version 99.1.0", last)
        self.assertEqual(contents(running.home), before)

    def test_one_that_was_killed_in_the_newer_version_is_found_too(self) -> None:
        """The schema is then in the journal, which only SQLite reads."""
        running = hub(self).start()
        running.stop()
        connection = sqlite3.connect(running.home / "parachute.db")
        connection.execute("PRAGMA journal_mode = WAL")
        # A second reader keeps the journal from being merged when the first closes.
        other = sqlite3.connect(running.home / "parachute.db")
        other.execute("BEGIN")
        other.execute("SELECT * FROM sqlite_schema").fetchall()
        connection.execute(f"PRAGMA user_version = {known_schema() + 1}")
        process = running.spawn()
        self.addCleanup(other.close)
        self.addCleanup(connection.close)
        self.assertEqual(process.wait(PATIENCE), 1)
        running.process = None
        self.assertIn("Run the newer version", running.log())
