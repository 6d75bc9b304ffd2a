"""Account pages: password, second factor, browsers; all work as plain forms."""

import pyotp

from parachute_hub.accounts.people.account_views import browser_name
from parachute_hub.site import cookies
from tests.accounts.doors import DoorCase
from tests.support.front_door import PASSWORD, BrowserTab

NEW = "four rather new words"


class OverviewTests(DoorCase):
    def test_strangers_are_sent_to_sign_in_and_back(self) -> None:
        self.owner()
        tab = BrowserTab(self.door)
        for path in (
            "/account",
            "/account/name",
            "/account/2fa",
            "/account/sessions",
            "/account/change-password",
        ):
            answer = tab.get(path)
            self.assertEqual((answer.status, answer.header("location")), (303, f"/login?next={path}"))

    def test_a_member_sees_their_vaults(self) -> None:
        self.owner()
        tab = self.member(family="read", default="write")
        page = tab.get("/account").body.decode()
        self.assertIn("grace", page)
        self.assertIn("You may read its notes.", page)
        self.assertNotIn("/admin/", page)

    def test_people_are_called_what_they_write(self) -> None:
        self.owner()
        tab = self.member(family="read")
        for name, status in (("Grüße 🌷", 303), ("W" * 65, 400), ("a\x07b", 400), ("a\u202eb", 400)):
            tab.get("/account/name")
            self.assertEqual(tab.post("/account/name", {"display_name": name}).status, status, repr(name))
        self.assertIn("Grüße 🌷", tab.get("/account").body.decode())
        self.assertEqual(tab.get_json("/api/me")["user"]["displayName"], "Grüße 🌷")
        self.assertEqual(tab.get_json("/account/session")["username"], "grace")
        tab.get("/account/name")
        tab.post("/account/name", {"display_name": " "})
        self.assertEqual(tab.get_json("/api/me")["user"]["displayName"], "grace")

    def test_people_take_their_own_notes_with_them(self) -> None:
        self.owner()
        tab = self.member(family="read")
        page = tab.get("/account/download").body.decode()
        self.assertIn('value="family"', page)
        self.assertNotIn('value="default"', page)
        answer = tab.post("/account/download", {"vault": "family"})
        self.assertEqual((answer.status, answer.body), (200, b"PK notes"))
        self.assertEqual(answer.header("content-disposition"), 'attachment; filename="family.zip"')
        tab.get("/account/download")
        self.assertEqual(tab.post("/account/download", {"vault": "default"}).status, 404)
        tab.get("/account/download")
        tab.key = None
        self.assertEqual(tab.post("/account/download", {"vault": "family"}).status, 403)
        self.assertEqual(self.door.exports.asked, [("grace", "family")])
        acts = [act for _, act in self.door.accounts.audit.latest() if act.action == "notes-downloaded"]
        self.assertEqual([act.subject for act in acts], ["family"])

    def test_user_agents_are_escaped(self) -> None:
        """The user agent string is escaped."""
        self.owner()
        tab = BrowserTab(self.door)
        tab.get("/login")
        tab.post("/login", {"username": "ada", "password": PASSWORD}, User_Agent="<script>alert(1)</script>")
        self.assertNotIn("<script>alert", tab.get("/account/sessions").body.decode())


class PasswordTests(DoorCase):
    def change(self, tab: BrowserTab, current: str = PASSWORD, new: str = NEW, again: str = NEW) -> int:
        tab.get("/account/change-password")
        fields = {"current_password": current, "new_password": new, "new_password_confirm": again}
        self.answer = tab.post("/account/change-password", fields)
        return self.answer.status

    def test_changing_ends_everything_else(self) -> None:
        """Other browsers, known devices, and everything issued to the person."""
        here, other = self.owner(), self.sign_in()
        before = here.cookies[cookies.SESSION]
        self.assertEqual(self.change(here), 303)
        shown = here.get(self.answer.header("location") or "").body.decode()
        self.assertIn("Your password was changed", shown)
        self.assertNotEqual(here.cookies[cookies.SESSION], before)
        self.assertTrue(here.get_json("/api/me")["hasSession"])
        self.assertFalse(other.get_json("/api/me")["hasSession"])
        self.assertEqual(self.door.watch.ended, [self.door.accounts.people.all()[0].id])
        self.sign_in(password=PASSWORD)
        self.assertEqual(self.answer.status, 401)
        self.sign_in(password=NEW)
        self.assertEqual(self.answer.status, 303)

    def test_mistakes_are_explained_on_the_form(self) -> None:
        tab = self.owner()
        for current, new, again, status, words in (
            ("wrong", NEW, NEW, 401, "not right"),
            ("", NEW, NEW, 400, "both"),
            (PASSWORD, "", "", 400, "both"),
            (PASSWORD, "short", "short", 400, "12 characters"),
            (PASSWORD, NEW, NEW + "x", 400, "do not match"),
            (PASSWORD, PASSWORD, PASSWORD, 400, "same as the old"),
            (PASSWORD, "x" * 300, "x" * 300, 413, "256"),
        ):
            self.assertEqual(self.change(tab, current, new, again), status, words)
            self.assertIn(words, self.answer.body.decode())
        self.sign_in()
        self.assertEqual(self.answer.status, 303)

    def test_guessing_the_present_password_is_slowed(self) -> None:
        tab = self.owner()
        statuses = [self.change(tab, current="wrong") for _ in range(12)]
        self.assertIn(429, statuses)

    def test_a_temporary_password_must_be_changed_first(self) -> None:
        """Checked at every request, not only at sign-in."""
        owner = self.owner()
        self.member()
        (user,) = [user for user in self.door.accounts.people.all() if user.username == "grace"]
        body = b'{"new_password": "a temporary password"}'
        operation = f"user.reset-password:{user.id}"
        reset = owner.send_json("POST", f"/api/users/{user.id}/reset-password", body, **self.proof(owner, operation))
        self.assertEqual(reset.status, 200)
        tab = self.sign_in("grace", "a temporary password")
        self.assertEqual(self.answer.header("location"), "/account/change-password")
        for path in ("/account", "/account/2fa", "/account/sessions"):
            self.assertEqual(tab.get(path).header("location"), "/account/change-password")
        refused = tab.send_json("GET", "/api/account/sessions", b"")
        self.assertEqual((refused.status, refused.json()["error"]), (403, "force_change_password"))
        header = f"x=1; {cookies.SESSION}={tab.cookies[cookies.SESSION]}".encode()
        self.assertFalse(self.door.accounts.recogniser.has_session(header, False))
        self.assertTrue(tab.get_json("/account/session")["password_change_required"])
        self.assertEqual(self.change(tab, current="a temporary password"), 303)
        self.assertEqual(tab.get("/account").status, 200)


class SecondFactorTests(DoorCase):
    def test_a_second_factor_is_enabled_used_and_disabled(self) -> None:
        tab, other = self.owner(), self.sign_in()
        tab.get("/account/2fa")
        page = tab.post("/account/2fa", {"action": "start", "password": PASSWORD}).body.decode()
        self.assertIn("<svg", page)
        secret = page.split('<p class="copy code">')[1].split("<")[0].replace(" ", "")
        wrong = tab.post("/account/2fa", {"action": "confirm", "code": "000000"})
        self.assertEqual(wrong.status, 400)
        self.assertIn(secret[:4], wrong.body.decode())
        self.assertFalse(tab.get_json("/api/me")["two_factor_enabled"])
        right = tab.post("/account/2fa", {"action": "confirm", "code": pyotp.TOTP(secret).at(int(self.door.now))})
        self.assertEqual(right.body.decode().count("<code>"), 10)
        self.assertEqual(right.header("cache-control"), "no-store")
        self.assertTrue(tab.get_json("/api/me")["two_factor_enabled"])
        self.assertFalse(other.get_json("/api/me")["hasSession"])
        self.assertNotIn(secret, self.dump())

    def test_beginning_needs_the_password(self) -> None:
        tab = self.owner()
        for password, status in (("", 400), ("wrong", 401)):
            tab.get("/account/2fa")
            self.assertEqual(tab.post("/account/2fa", {"action": "start", "password": password}).status, status)
        tab.get("/account/2fa")
        self.assertEqual(tab.post("/account/2fa", {"action": "confirm", "code": "123456"}).status, 400)

    def test_a_start_goes_stale(self) -> None:
        tab = self.owner()
        tab.get("/account/2fa")
        tab.post("/account/2fa", {"action": "start", "password": PASSWORD})
        self.door.now += 15 * 60
        self.assertIn("took too long", tab.post("/account/2fa", {"action": "confirm", "code": "1"}).body.decode())

    def test_new_codes_and_off(self) -> None:
        tab = self.owner()
        _, old = self.enrol(tab)
        tab.get("/account/2fa")
        self.assertEqual(tab.post("/account/2fa", {"action": "disable", "password": "wrong"}).status, 401)
        page = tab.post("/account/2fa", {"action": "codes", "password": PASSWORD}).body.decode()
        self.assertEqual(page.count("<code>"), 10)
        self.assertNotIn(old[0], page)
        tab.get("/account/2fa")
        self.assertEqual(tab.post("/account/2fa", {"action": "disable", "password": PASSWORD}).status, 303)
        self.sign_in()
        self.assertEqual(self.answer.header("location"), "/admin/")

    def test_unknown_actions_are_refused(self) -> None:
        tab = self.owner()
        tab.get("/account/2fa")
        self.assertEqual(tab.post("/account/2fa", {"action": "explode"}).status, 400)


class BrowsersTests(DoorCase):
    def test_ending_one_and_all(self) -> None:
        here, one, two = self.owner(), self.sign_in(), self.sign_in()
        sessions = here.get_json("/api/account/sessions")["sessions"]
        self.assertEqual([session["current"] for session in sessions].count(True), 1)
        here.get("/account/sessions")
        ended = here.field("session")
        self.assertEqual(here.post("/account/sessions", {"session": ended}).status, 303)
        self.assertEqual([tab.get_json("/api/me")["hasSession"] for tab in (one, two)].count(False), 1)
        here.get("/account/sessions")
        here.post("/account/sessions", {"action": "others"})
        self.assertEqual([tab.get_json("/api/me")["hasSession"] for tab in (here, one, two)], [True, False, False])

    def test_another_users_session_cannot_be_ended(self) -> None:
        owner = self.owner()
        (theirs,) = owner.get_json("/api/account/sessions")["sessions"]
        tab = self.member()
        tab.get("/account")
        self.assertEqual(tab.post("/account/sessions", {"session": theirs["id"]}).status, 404)
        self.assertTrue(owner.get_json("/api/me")["hasSession"])

    def test_browsers_are_named(self) -> None:
        for agent, name in (
            ("", "A browser"),
            ("curl/8.0", "curl"),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
            ("Mozilla/5.0 (Windows NT 10.0) Chrome/156.0 Safari/537.36 Edg/156.0", "Edge on Windows"),
        ):
            self.assertEqual(browser_name(agent), name)
