"""A front door at an https address, and people with devices."""

import json
from typing import Any

from tests.accounts.doors import DoorCase
from tests.support.asking import Answer
from tests.support.authenticator import Authenticator
from tests.support.front_door import PASSWORD, BrowserTab

ORIGIN = "https://hub.test"


class PasskeyCase(DoorCase):
    """The owner is signed in at https://hub.test, the address that they chose."""

    def setUp(self) -> None:
        super().setUp()
        self.door.https = True
        self.now(self.door.origin.choose(ORIGIN, self.door.now))
        self.tab = self.owner()
        self.device = Authenticator(ORIGIN)

    def json(self, tab: BrowserTab, path: str, **fields: Any) -> Answer:
        """Send JSON as a page's script does."""
        csrf = tab.get_json("/api/me").get("csrf") or tab.token
        return tab.send_json("POST", path, json.dumps(fields).encode(), X_Parachute_CSRF=csrf)

    def add(self, tab: BrowserTab, device: Authenticator | None = None, name: str = "Laptop", **client: Any) -> Answer:
        """Add a passkey of a device."""
        options = self.json(tab, "/api/account/passkeys/start", password=PASSWORD)
        self.assertEqual(options.status, 200, options.body)
        made = (device or self.device).create(options.json(), **client)
        return self.json(tab, "/api/account/passkeys", credential=made, name=name)

    def options(self, tab: BrowserTab | None = None) -> tuple[BrowserTab, Any]:
        """A sign-in page with its options."""
        tab = tab or BrowserTab(self.door)
        tab.get("/login")
        return tab, self.json(tab, "/login/passkey/options").json()

    def enter(self, device: Authenticator | None = None, tab: BrowserTab | None = None, **client: Any) -> BrowserTab:
        """Sign in with a passkey alone; `self.answer` is the response."""
        tab, options = self.options(tab)
        self.answer = tab.post("/login/passkey", {"passkey": (device or self.device).get(options, **client)})
        return tab

    def is_in(self, tab: BrowserTab) -> bool:
        return bool(tab.get_json("/api/me")["hasSession"])

    def confirm(self, tab: BrowserTab, operation: str, device: Authenticator | None = None, **client: Any) -> Answer:
        """Ask for a proof with a passkey."""
        options = self.json(tab, "/api/account/step-up/options", operation=operation)
        self.assertEqual(options.status, 200, options.body)
        signed = (device or self.device).get(options.json(), **client)
        return self.json(tab, "/api/account/step-up", operation=operation, passkey=signed)

    def acts(self) -> list[tuple[str, str, str]]:
        """Actor, action and outcome, the latest first."""
        return [(act.actor, act.action, act.outcome) for _, act in self.door.accounts.audit.latest()]
