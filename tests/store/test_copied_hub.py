"""What the database of a restored hub tells."""

import contextlib
import sqlite3
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.store.copied_hub import connected_apps, keep_vaults
from parachute_hub.store.rows import VaultDeletion
from parachute_hub.store.vaults import VaultDeletionRows
from tests.store.oauth_rows import OAuthRows


class ConnectedAppsTests(OAuthRows):
    def test_each_app_with_a_consent_that_still_counts(self) -> None:
        self.clients.put(self.client("claude", name="Claude"))
        self.clients.put(self.client("notes", name="Notes", same_hub=True))
        self.clients.put(self.client("unused", name="Unused"))
        self.clients.put(self.client("left", name="Left"))
        for number, client_id in enumerate(("claude", "claude", "notes", "left")):
            self.allow(number, client_id)
        self.grants.end_family("family-3", 9.0)
        self.commit()
        self.assertEqual(connected_apps(self.path), ["Claude"])


class DeletionTests(OAuthRows):
    def test_a_restored_hub_deletes_no_vault(self) -> None:
        """Their days may be long past, and whoever restores wants to have them."""
        rows = VaultDeletionRows(self.database)
        rows.add(VaultDeletion(vault="kim", whose="Kim", asked_by="ada", asked_at=0.0, due_at=30.0, warned_at=25.0))
        self.commit()
        keep_vaults(self.path)
        with contextlib.closing(sqlite3.connect(self.path)) as copied:
            self.assertEqual(copied.execute("SELECT * FROM vault_deletions").fetchall(), [])

    def test_an_earlier_hub_had_no_deletions(self) -> None:
        path = Path(self.mktemp())
        with contextlib.closing(sqlite3.connect(path)) as earlier:
            earlier.execute("CREATE TABLE users (id TEXT)")
        keep_vaults(path)


class OtherFilesTests(SynchronousTestCase):
    def test_a_file_that_is_no_hub_has_none(self) -> None:
        path = Path(self.mktemp())
        self.assertEqual(connected_apps(path), [])
        for content in (b"", b"SQLite format 3\0" + b"\xff" * 200):
            path.write_bytes(content)
            self.assertEqual(connected_apps(path), [])
