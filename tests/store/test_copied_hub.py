"""What the database of a restored hub tells."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.store.copied_hub import connected_apps
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


class OtherFilesTests(SynchronousTestCase):
    def test_a_file_that_is_no_hub_has_none(self) -> None:
        path = Path(self.mktemp())
        self.assertEqual(connected_apps(path), [])
        for content in (b"", b"SQLite format 3\0" + b"\xff" * 200):
            path.write_bytes(content)
            self.assertEqual(connected_apps(path), [])
