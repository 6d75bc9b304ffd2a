"""Over plain http: a session's cookie that somebody caught on another port of this machine."""

import json
from typing import Any

from tests.accounts.doors import DoorCase
from tests.accounts.test_routes import UNSAFE, path_of, routes
from tests.support.front_door import PASSWORD, BrowserTab

# Nothing of these is done for a session: signing in, and joining by invitation.
OTHERS = {
    *("/login/phone", "/login/phone/wait"),
    *("/login", "/login/passkey", "/login/passkey/options", "/login/2fa", "/login/2fa/options", "/login/key"),
    *("/admin/setup/account", "/account/setup/<token>"),
}


class CaughtCookies(DoorCase):
    def setUp(self) -> None:
        super().setUp()
        self.tab = self.owner()
        self.thief = BrowserTab(self.door)
        self.thief.cookies = dict(self.tab.cookies)
        # Whoever has the cookie can read pages, and so has the form token, too.
        self.token = self.csrf(self.thief)

    def test_it_changes_nothing_on_any_route(self) -> None:
        cookies, others = dict(self.tab.cookies), self.sign_in().key or ""
        before = self.dump()
        for method, rule in routes(self.door):
            if method not in UNSAFE or rule in OTHERS:
                continue
            for key in ("", "x", others):
                self.thief.cookies = dict(cookies)
                headers = {**self.token, **({"X_Parachute_Key": key} if key else {})}
                answer = self.thief.send_json(method, path_of(rule), b"{}", **headers)
                told = "Key required" if rule.startswith("/admin/setup/") else "key_required"
                with self.subTest(f"{method} {rule}"):
                    if rule != "/logout":
                        self.assertEqual((answer.status, answer.json()["error"]), (403, told))
        self.assertEqual(self.dump(), before)
        self.assertTrue(self.tab.get_json("/api/me")["hasSession"], "not even the sign-out")

    def test_pages_can_be_read(self) -> None:
        self.assertEqual(self.thief.get("/account").status, 200)

    def test_the_browser_that_signed_in_goes_on(self) -> None:
        answer = self.tab.send_json("DELETE", "/api/account/sessions", b"", **self.csrf(self.tab))
        self.assertEqual(answer.status, 200, answer.body)

    def test_over_https_the_cookie_is_bound_to_the_host_and_needs_no_key(self) -> None:
        self.door.https = True
        tab = self.sign_in()
        self.assertIsNone(tab.key)
        self.assertEqual(tab.send_json("DELETE", "/api/account/sessions", b"", **self.csrf(tab)).status, 200)

    def test_whoever_has_caught_it_cannot_pretend_to_come_by_https(self) -> None:
        """As programs on this machine could, while a tunnel there is believed what it says of its clients."""
        self.thief.cookies = {f"__Host-{name}": value for name, value in self.tab.cookies.items()}
        self.door.https = True
        self.assertFalse(self.thief.get_json("/api/me")["hasSession"])
        answer = self.thief.send_json("DELETE", "/api/account/sessions", b"", **self.token)
        self.assertEqual(answer.status, 401)

    def test_the_key_is_in_no_answer_to_the_cookie(self) -> None:
        key = self.tab.key
        assert key is not None
        for method, rule in routes(self.door):
            if method == "GET":
                self.assertNotIn(key.encode(), self.thief.get(path_of(rule)).body, rule)
        self.assertNotIn(key, self.dump())


class WithoutScript(DoorCase):
    """A browser that runs no JavaScript keeps no key: forms ask for the password."""

    def setUp(self) -> None:
        super().setUp()
        self.tab = self.owner()
        self.tab.key = None

    def end_others(self, **fields: Any) -> Any:
        self.tab.get("/account/sessions")
        return self.tab.post("/account/sessions", {"action": "others", **fields})

    def test_the_form_is_shown_again_with_a_field_for_the_password(self) -> None:
        other = self.sign_in()
        asked = self.end_others()
        self.assertEqual(asked.status, 403)
        self.assertEqual(self.tab.field("action"), "others")
        self.assertIn(b'name="__password"', asked.body)
        self.assertTrue(other.get_json("/api/me")["hasSession"])
        wrong = self.tab.post("/account/sessions", {"action": "others", "__password": "wrong"})
        self.assertEqual(wrong.status, 401)
        self.assertIn(b'name="__password"', wrong.body)
        self.assertNotIn(b"wrong", wrong.body)
        done = self.tab.post("/account/sessions", {"action": "others", "__password": PASSWORD})
        self.assertEqual((done.status, done.header("location")), (303, "/account/sessions"))
        self.assertFalse(other.get_json("/api/me")["hasSession"])
        self.assertEqual(self.end_others().status, 403, "once")

    def test_a_browser_that_lost_its_key_gets_it_back_for_the_password(self) -> None:
        self.tab.get("/login/key?lost=1&next=/account/sessions")
        wrong = self.tab.post("/login/key", {"next": "/account/sessions", "password": "wrong"})
        self.assertEqual((wrong.status, self.tab.key), (401, None))
        back = self.tab.post("/login/key", {"next": "/account/sessions", "password": PASSWORD})
        self.assertEqual((back.status, back.header("location")), (303, "/account/sessions"))
        self.assertIsNotNone(self.tab.key)
        self.assertEqual(self.end_others().status, 303)

    def test_the_page_after_signing_in_leads_on_without_a_script(self) -> None:
        page = self.tab.get("/login/key?next=/account")
        self.assertIn(b'href="/account"', page.body)
        for away in ("https://evil.test/", "//evil.test", "/\\\\evil.test"):
            self.assertNotIn(b"evil.test", self.tab.get(f"/login/key?next={away}").body)
        self.assertEqual(
            BrowserTab(self.door).get("/login/key?next=/account").header("location"), "/login?next=/account"
        )

    def test_a_password_of_nobody_opens_nothing(self) -> None:
        stranger = BrowserTab(self.door)
        stranger.get("/login")
        answer = stranger.post("/account/sessions", {"action": "others", "__password": PASSWORD})
        self.assertNotEqual(answer.status, 200)
        answer = self.tab._ask(
            "/account/sessions",
            "POST",
            {"Content-Type": "application/json"},
            json.dumps({"__password": PASSWORD}).encode(),
        )
        self.assertEqual(answer.status, 403)
