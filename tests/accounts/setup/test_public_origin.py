"""The issuer and the hub's own origins."""

from parachute_hub.accounts.setup.public_origin import Configured, HubOrigin
from parachute_hub.site.errors import Refused
from parachute_hub.store.audit import Audit
from parachute_hub.store.settings import StoredSettings
from tests.accounts.doors import DoorCase
from tests.support.at_once import at_once

LOCAL = ("http://127.0.0.1:1939", "http://localhost:1939")


class HubOriginTests(DoorCase):
    def setUp(self) -> None:
        super().setUp()
        self.changes: list[str] = []
        self.time = 1.0

    def origin(self, configured: str | None, source: str = "render") -> HubOrigin:
        stored = StoredSettings(self.door.database)
        origin = HubOrigin(
            stored,
            self.door.database.write,
            Configured(origin=configured, source=source, local=LOCAL),
            note=Audit(self.door.database).note,
            clock=lambda: self.time,
        )

        async def changed(issuer: str) -> None:
            self.changes.append(issuer)

        origin.subscribe(changed)
        return origin

    def test_the_stored_origin_precedes_the_configured_one(self) -> None:
        """Stored, then configured, then local."""
        self.assertEqual(self.origin(None, "none").issuer(), "http://127.0.0.1:1939")
        origin = self.origin("https://mine.onrender.com")
        self.assertEqual((origin.issuer(), origin.source()), ("https://mine.onrender.com", "render"))
        self.now(origin.choose("https://Notes.Example:443/", 1.0))
        self.assertEqual((origin.issuer(), origin.source()), ("https://notes.example", "settings"))

    def test_the_platforms_address_stays_ours(self) -> None:
        """A wrong setting locks nobody out."""
        origin = self.origin("https://mine.onrender.com")
        self.now(origin.choose("https://gone.example", 1.0))
        self.assertEqual(origin.bound(), ("https://gone.example", "https://mine.onrender.com", *LOCAL))

    def test_a_former_address_answers_for_30_days_and_is_trusted_with_nothing(self) -> None:
        origin = self.origin("https://mine.onrender.com")
        for chosen in ("https://a.example", "https://b.example"):
            self.now(origin.choose(chosen, self.time))
            self.time += 86400
        # The platform's address was never given up.
        self.assertEqual([one.origin for one in origin.former()], ["https://a.example"])
        self.assertEqual(origin.answering(), (*origin.bound(), "https://a.example"))
        self.assertNotIn("https://a.example", origin.bound())
        self.now(origin.choose(None, self.time))
        self.assertEqual([one.origin for one in origin.former()], ["https://b.example", "https://a.example"])
        self.now(origin.choose("https://a.example", self.time))
        self.assertEqual([one.origin for one in origin.former()], ["https://b.example"])
        self.time += 30 * 86400 - 1
        self.assertEqual([one.origin for one in self.origin(None).former()], ["https://b.example"])
        self.time += 1
        self.assertEqual(self.origin(None).former(), ())

    def test_changes_are_told_once(self) -> None:
        origin = self.origin("https://mine.onrender.com")
        for text in ("https://a.example", "https://a.example/", "https://mine.onrender.com", None):
            self.now(origin.choose(text, 1.0))
        self.assertEqual(self.changes, ["https://a.example", "https://mine.onrender.com"])
        self.assertIsNone(origin.stored())

    def test_what_is_no_origin(self) -> None:
        origin = self.origin(None)
        for text in (
            "nonsense",
            "ftp://a",
            "https://a/path",
            "https://u:p@a",
            "https://a?x",
            "javascript:x",
            "https://",
        ):
            self.assertEqual(self.assertRaises(Refused, at_once, origin.choose(text, 1.0)).status, 400, text)
        self.assertIsNone(origin.stored())
