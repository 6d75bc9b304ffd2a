"""The account API: names and shapes that modules and clients rely on."""

from tests.accounts.doors import DoorCase
from tests.support.front_door import PASSWORD, BrowserTab


class WhoTests(DoorCase):
    def test_me_says_who_is_signed_in(self) -> None:
        tab = self.owner()
        me = tab.get_json("/api/me")
        self.assertEqual(
            sorted(me), ["csrf", "hasSession", "passkeys", "password_change_required", "two_factor_enabled", "user"]
        )
        self.assertEqual((me["user"]["displayName"], me["two_factor_enabled"]), ("ada", False))
        self.assertEqual(BrowserTab(self.door).get_json("/api/me"), {"hasSession": False})

    def test_the_session_is_told_as_module_pages_know_it(self) -> None:
        tab = self.owner()
        said = tab.get_json("/account/session")
        self.assertEqual((said["signed_in"], said["username"], said["email"]), (True, "ada", None))
        self.assertEqual(said["password_change_required"], False)
        self.assertRegex(said["account_created_at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        stranger = BrowserTab(self.door).get_json("/account/session")
        self.assertEqual(sorted(stranger), ["csrf", "signed_in"])


class ChangeTests(DoorCase):
    def test_a_new_password_ends_other_sessions(self) -> None:
        tab = self.owner()
        body = b'{"current_password": "%s", "new_password": "four rather new words"}' % PASSWORD.encode()
        answer = tab.send_json("POST", "/api/account/password", body, **self.csrf(tab))
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.json()["csrf"], tab.get_json("/api/me")["csrf"])
        wrong = tab.send_json("POST", "/api/account/password", body, **self.csrf(tab))
        self.assertEqual((wrong.status, wrong.json()["error"]), (401, "invalid_credentials"))

    def test_csrf_in_the_body_as_older_pages_send_it(self) -> None:
        tab = self.owner()
        csrf = tab.get_json("/api/me")["csrf"]
        body = b'{"__csrf": "%s", "password": "%s"}' % (csrf.encode(), PASSWORD.encode())
        started = tab.send_json("POST", "/api/account/2fa/start", body)
        self.assertEqual(sorted(started.json()), ["otpauth_url", "qr_data_url", "secret"])
        self.assertTrue(started.json()["qr_data_url"].startswith("data:image/png;base64,"))

    def test_a_second_factor_is_enabled_by_a_valid_code(self) -> None:
        tab = self.owner()
        self.assertEqual(tab.get_json("/api/account/2fa")["enrolled"], False)
        _, codes = self.enrol(tab)
        self.assertEqual(len(codes), 10)
        said = tab.get_json("/api/account/2fa")
        self.assertEqual((said["enrolled"], said["codes_left"]), (True, 10))
        body = b'{"password": "%s"}' % PASSWORD.encode()
        again = tab.send_json("POST", "/api/account/2fa/start", body, **self.csrf(tab))
        self.assertEqual((again.status, again.json()["error"]), (409, "already_enrolled"))
        renewed = tab.send_json("POST", "/api/account/2fa/codes", body, **self.csrf(tab)).json()["backup_codes"]
        self.assertFalse(set(renewed) & set(codes))
        off = tab.send_json("POST", "/api/account/2fa/disable", body, **self.csrf(tab))
        self.assertEqual(off.json()["enrolled"], False)

    def test_sessions_are_listed_and_ended(self) -> None:
        tab, other = self.owner(), self.sign_in()
        listed = tab.get_json("/api/account/sessions")["sessions"]
        (theirs,) = [session for session in listed if not session["current"]]
        self.assertEqual(theirs["methods"], ["pwd"])
        gone = tab.send_json("DELETE", f"/api/account/sessions/{theirs['id']}", b"", **self.csrf(tab))
        self.assertEqual((gone.status, other.get_json("/api/me")["hasSession"]), (200, False))
        self.sign_in()
        ended = tab.send_json("DELETE", "/api/account/sessions", b"", **self.csrf(tab))
        self.assertEqual(ended.json(), {"ended": 1})

    def test_anonymous_callers_are_refused(self) -> None:
        self.owner()
        tab = BrowserTab(self.door)
        for path in ("password", "2fa/start", "2fa/confirm", "2fa/codes", "2fa/disable", "step-up"):
            answer = tab.send_json("POST", f"/api/account/{path}")
            self.assertEqual((answer.status, answer.json()["error"]), (401, "unauthenticated"), path)

    def test_malformed_bodies_are_refused(self) -> None:
        tab = self.owner()
        for body, status in ((b"[]", 400), (b"{", 400), (b'{"password": {}}', 400), (b"x" * 20000, 413)):
            answer = tab.send_json("POST", "/api/account/2fa/start", body, **self.csrf(tab))
            self.assertEqual(answer.status, status, body[:20])
