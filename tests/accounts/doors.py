"""A front door for each test, and the steps that most tests start with."""

import sqlite3
from typing import Any

import pyotp
from twisted.trial.unittest import SynchronousTestCase

from tests.support.asking import Answer
from tests.support.at_once import at_once
from tests.support.front_door import PASSWORD, BrowserTab, FrontDoor


class DoorCase(SynchronousTestCase):
    """A hub without an owner; `self.owner()` gives it one."""

    def setUp(self) -> None:
        self.door = FrontDoor()
        self.addCleanup(self.door.close)

    def now(self, coroutine: Any) -> Any:
        """The result of a coroutine that does not wait for anything."""
        return at_once(coroutine)

    def boot(self) -> str:
        """The setup token of a new hub."""
        self.now(self.door.accounts.boot(None, None))
        token = self.door.accounts.setup.token
        assert token is not None
        return token.value

    def claim(self, tab: BrowserTab, token: str, **fields: str) -> Answer:
        """Submit the first page of the wizard."""
        tab.get("/admin/setup")
        said = {"username": "ada", "password": PASSWORD, "password_confirm": PASSWORD, **fields}
        return tab.post("/admin/setup/account", {"bootstrap_token": token, **said})

    def owner(self) -> BrowserTab:
        """A browser in which the owner is signed in."""
        tab = BrowserTab(self.door)
        answer = self.claim(tab, self.boot())
        self.assertEqual(answer.status, 303, answer.body)
        return tab

    def sign_in(self, username: str = "ada", password: str = PASSWORD, tab: BrowserTab | None = None) -> BrowserTab:
        """A browser that has submitted the password."""
        tab = tab or BrowserTab(self.door)
        tab.get("/login")
        self.answer = tab.post("/login", {"username": username, "password": password})
        return tab

    def member(self, username: str = "grace", **vaults: str) -> BrowserTab:
        """A browser signed in as a member."""
        people = self.door.accounts.people
        user = self.now(people.person(username, PASSWORD, vaults=vaults))  # type: ignore[arg-type]
        at_once(self.door.database.write(people.admit, user))
        return self.sign_in(username)

    def dump(self) -> str:
        """The whole database as text."""
        connection = sqlite3.connect(self.door.path)
        try:
            return "\n".join(connection.iterdump())
        finally:
            connection.close()

    def csrf(self, tab: BrowserTab) -> dict[str, str]:
        """The header that the hub's own scripts send."""
        return {"X_Parachute_CSRF": tab.get_json("/api/me")["csrf"]}

    def proof(self, tab: BrowserTab, operation: str, password: str = PASSWORD) -> dict[str, str]:
        """Headers for one confirmed operation."""
        body = f'{{"operation": "{operation}", "password": "{password}"}}'.encode()
        answer = tab.send_json("POST", "/api/account/step-up", body, **self.csrf(tab))
        self.assertEqual(answer.status, 200, answer.body)
        return {**self.csrf(tab), "X_Parachute_Proof": answer.json()["proof"]}

    def enrol(self, tab: BrowserTab) -> tuple[pyotp.TOTP, list[str]]:
        """Turn on the second factor; returns the app's secret and the recovery codes."""
        body = f'{{"password": "{PASSWORD}"}}'.encode()
        started = tab.send_json("POST", "/api/account/2fa/start", body, **self.csrf(tab)).json()
        app = pyotp.TOTP(started["secret"])
        body = f'{{"code": "{app.at(int(self.door.now))}"}}'.encode()
        confirmed = tab.send_json("POST", "/api/account/2fa/confirm", body, **self.csrf(tab))
        self.assertEqual(confirmed.status, 200, confirmed.body)
        self.door.now += 60
        return app, confirmed.json()["backup_codes"]
