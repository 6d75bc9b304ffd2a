"""Moving in by the pages of the wizard: proof, plan, and what is refused."""

import sqlite3
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.admin.move_in_pages import BASE
from tests.support.at_once import at_once
from tests.support.front_door import BrowserTab
from tests.support.moving_in import MovingIn


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.place = MovingIn(Path(self.mktemp()).absolute())
        self.addCleanup(self.place.close)
        self.tab = BrowserTab(self.place.door)

    def plan(self, token: str | None = None) -> Any:
        """The second page."""
        self.tab.get(BASE)
        return self.tab.post(f"{BASE}/plan", {"setup_token": self.place.token if token is None else token})


class PagesTests(Case):
    def test_the_wizard_offers_it(self) -> None:
        page = self.tab.get("/admin/setup").body.decode()
        self.assertIn("We found your old hub", page)
        self.assertIn(f'href="{BASE}"', page)

    def test_nothing_is_told_to_a_stranger(self) -> None:
        page = self.tab.get(BASE).body.decode()
        for word in ("friend", "<dd>"):
            self.assertNotIn(word, page)
        answer = self.plan("guess")
        self.assertEqual((answer.status, "not the setup token" in answer.body.decode()), (401, True))

    def test_the_whole_way(self) -> None:
        page = self.plan().body.decode()
        for words in (
            "owner (owner, with second factor)",
            "friend (member)",
            "lab",
            "Notes that you write from now on",
        ):
            self.assertIn(words, page)
        self.assertEqual(self.place.restarts, [])
        answer = self.tab.post(BASE, {"ticket": self.tab.field("ticket")})
        self.assertEqual((answer.status, "Welcome back" in answer.body.decode()), (200, True), answer.body)
        self.assertEqual(self.place.restarts, [True])
        self.assertEqual([user.username for user in self.place.door.accounts.people.all()], ["owner", "friend"])
        self.assertEqual(self.tab.get(BASE).header("location"), "/admin/setup")

    def test_a_ticket_is_good_once_and_for_half_an_hour(self) -> None:
        self.plan()
        ticket = self.tab.field("ticket")
        self.assertEqual(self.tab.post(BASE, {"ticket": "x"}).status, 403)
        self.tab.get(BASE)
        self.place.door.now += 1800
        self.assertEqual(self.tab.post(BASE, {"ticket": ticket}).status, 403)
        self.assertEqual(self.place.door.accounts.people.all(), [])
        self.plan()
        ticket = self.tab.field("ticket")
        self.tab.post(BASE, {"ticket": ticket})
        self.tab.get("/login")
        self.assertEqual(self.tab.post(BASE, {"ticket": ticket}).status, 403)

    def test_a_foreign_page(self) -> None:
        self.tab.get(BASE)
        fields = {"setup_token": self.place.token}
        answer = self.tab.post(f"{BASE}/plan", fields, Sec_Fetch_Site="cross-site", Origin="https://evil.example")
        self.assertEqual(answer.status, 403)

    def test_once_there_is_an_owner(self) -> None:
        tab = BrowserTab(self.place.door)
        tab.get("/admin/setup")
        fields = {
            "username": "ada",
            "password": "three small paper boats",
            "password_confirm": "three small paper boats",
        }
        self.assertEqual(tab.post("/admin/setup/account", {"bootstrap_token": self.place.token, **fields}).status, 303)
        answer = self.tab.send_json("POST", f"{BASE}/plan", b'{"setup_token": "x"}')
        self.assertEqual(answer.status, 401)

    def test_a_database_that_cannot_be_read(self) -> None:
        (self.place.home / "hub.db").write_bytes(b"x" * 5000)
        answer = self.plan()
        self.assertEqual((answer.status, "is damaged" in answer.body.decode()), (409, True), answer.body)

    def test_a_disk_that_refuses_leaves_nothing(self) -> None:
        self.plan()
        self.place.fail_writes()
        self.assertEqual(self.tab.post(BASE, {"ticket": self.tab.field("ticket")}).status, 507)
        self.assertEqual(len(self.flushLoggedErrors(sqlite3.OperationalError)), 1)
        self.assertEqual((self.place.door.accounts.people.all(), self.place.restarts), ([], []))


class AfterwardsTests(Case):
    def test_the_release_channel_follows_at_the_next_start(self) -> None:
        self.place.choose("rc")
        self.plan()
        self.tab.post(BASE, {"ticket": self.tab.field("ticket")})
        self.assertEqual(self.place.channels.channel, None)
        self.place.restarted()
        self.assertEqual(self.place.channels.channel, "rc")
        at_once(self.place.channels.choose_channel("latest"))
        self.place.restarted()
        self.assertEqual(self.place.channels.channel, "latest")

    def test_passwords_second_factor_and_recovery_codes(self) -> None:
        """The older hub's hashes are verified as they are."""
        self.plan()
        self.tab.post(BASE, {"ticket": self.tab.field("ticket")})
        tab = BrowserTab(self.place.door)

        def sign_in(code: str) -> tuple[int, str | None]:
            tab.get("/login")
            tab.post("/login", {"username": "owner", "password": "correct-horse-battery"})
            answer = tab.post("/login/2fa", {"code": code})
            return answer.status, answer.header("location")

        self.assertEqual(sign_in(self.place.code())[0], 303)
        self.assertEqual(sign_in("ABCDE fghjk")[0], 303)
        self.assertEqual(sign_in("abcde-fghjk")[0], 401)
        self.assertEqual(sign_in("zzzzz-zzzzz")[0], 401)
