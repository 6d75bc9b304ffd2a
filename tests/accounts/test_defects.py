"""Known defects of similar hubs stay out. test_routes.py covers those that concern every route."""

import json

from parachute_hub.site import cookies
from tests.accounts.doors import DoorCase
from tests.support.front_door import PASSWORD, BrowserTab, FrontDoor, QuickHasher


class DefectTests(DoorCase):
    def setUp(self) -> None:
        super().setUp()
        self.tab = self.owner()

    def test_open_redirect(self) -> None:
        """Neither at sign-in nor after a password change."""
        for target in ("/\\evil.example", "//evil.example", "https://evil.example", "/\t/evil.example"):
            tab = BrowserTab(self.door)
            tab.get("/login")
            answer = tab.post("/login", {"username": "ada", "password": PASSWORD, "next": target})
            self.assertEqual(answer.header("location"), "/admin/")
        tab.get("/account/change-password")
        fields = {"current_password": PASSWORD, "new_password": "four rather new words", "next": "/\\evil.example"}
        answer = tab.post("/account/change-password", {**fields, "new_password_confirm": "four rather new words"})
        self.assertEqual((answer.status, answer.header("location")), (303, "/account?done=password"))

    def test_unknown_users_cost_the_same(self) -> None:
        hasher = self.door.hasher
        assert isinstance(hasher, QuickHasher)
        counts = []
        for username in ("ada", "nobody", "", "x" * 5000):
            before = hasher.checks
            self.sign_in(username or " nobody ", "wrong words")
            counts.append(hasher.checks - before)
        self.assertEqual(counts, [1, 1, 1, 1])

    def test_pages_cannot_be_framed(self) -> None:
        for path in ("/login", "/account", "/account/setup/x", "/admin/setup"):
            policy = self.tab.get(path).header("content-security-policy") or ""
            self.assertIn("frame-ancestors 'none'", policy, path)

    def test_forwarding_headers_do_not_reset_the_throttle(self) -> None:
        """Only the trusted proxy's headers count, and they are not read here."""
        self.door.address = "203.0.113.5"
        statuses = []
        for attempt in range(8):
            tab = BrowserTab(self.door)
            tab.get("/login")
            forged = {"X_Forwarded_For": f"10.0.0.{attempt}", "CF_Connecting_IP": f"10.0.1.{attempt}"}
            statuses.append(tab.post("/login", {"username": "ada", "password": "wrong"}, **forged).status)
        self.assertEqual(statuses[-1], 429)

    def test_a_password_change_ends_everything(self) -> None:
        other = self.sign_in()
        body = json.dumps({"current_password": PASSWORD, "new_password": "four rather new words"}).encode()
        self.assertEqual(self.tab.send_json("POST", "/api/account/password", body, **self.csrf(self.tab)).status, 200)
        self.assertFalse(other.get_json("/api/me")["hasSession"])
        self.assertEqual(len(self.door.watch.ended), 1)

    def test_nothing_usable_lies_in_the_database(self) -> None:
        """Session, device and pending cookies, the app's secret, recovery codes, invitation tokens."""
        app, codes = self.enrol(self.tab)
        made = self.tab.send_json("POST", "/api/invites", b"{}", **self.proof(self.tab, "user.invite")).json()
        half = self.sign_in()
        secrets = [app.secret, *codes, made["token"], *half.cookies.values(), *self.tab.cookies.values()]
        self.assertIn(cookies.PENDING_LOGIN, half.cookies)
        dump = self.dump()
        for secret in secrets:
            self.assertNotIn(secret, dump)
            self.assertNotIn(secret.encode().hex(), dump.lower())

    def test_what_has_ended_is_dropped(self) -> None:
        self.tab.send_json("POST", "/api/invites", b"{}", **self.proof(self.tab, "user.invite"))
        self.enrol(self.tab)
        self.sign_in()
        self.sign_in("nobody", "wrong")
        self.door.now += 2 * 365 * 86400
        self.now(self.door.accounts.prune())
        for table in ("sessions", "pending_logins", "devices", "throttles", "invites"):
            self.assertEqual(self.door.database.read(f"SELECT * FROM {table}"), [], table)

    def test_login_answers_303(self) -> None:
        """A browser that got 302 or 307 might send the password on (RFC 9700 4.12)."""
        self.sign_in()
        self.assertEqual(self.answer.status, 303)

    def test_a_planted_csrf_cookie_does_not_help(self) -> None:
        """A page that can set the CSRF cookie still does not know the session's token."""
        self.tab.cookies[cookies.CSRF] = "x" * 43
        from parachute_hub.accounts.sessions.csrf import token_for

        answer = self.tab.send_json("DELETE", "/api/account/sessions", b"", X_Parachute_CSRF=token_for("x" * 43))
        self.assertEqual(answer.status, 403)

    def test_two_hubs_on_one_machine_do_not_sign_each_other_out(self) -> None:
        """Browsers send cookies to every port of a host."""
        shared: dict[str, str] = {}
        tabs = []
        for tag in ("aaaaaaaa", "bbbbbbbb"):
            self.door = FrontDoor(tag=tag)
            self.addCleanup(self.door.close)
            tab = BrowserTab(self.door)
            tab.cookies = shared
            self.assertEqual(self.claim(tab, self.boot()).status, 303)
            tabs.append(tab)
        for tab in tabs:
            self.assertTrue(tab.get_json("/api/me")["hasSession"])
        self.assertEqual(len([name for name in shared if name.startswith(cookies.SESSION)]), 2)

    def test_two_session_cookies_are_none(self) -> None:
        """Someone else set one of them; which one is unknown."""
        real = self.tab.cookies[cookies.SESSION]
        self.tab.cookies = {cookies.SESSION: f"{real}; {cookies.SESSION}={'x' * 43}"}
        self.assertFalse(self.tab.get_json("/api/me")["hasSession"])
