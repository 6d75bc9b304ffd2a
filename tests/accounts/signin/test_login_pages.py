"""Signing in and out, with one factor and with two."""

import json
import sqlite3

from argon2 import PasswordHasher

from parachute_hub.accounts.people.owner_reset import here
from parachute_hub.accounts.sessions.policy import ABSOLUTE, IDLE
from parachute_hub.accounts.signin.passwords import Hasher
from parachute_hub.site import cookies
from parachute_hub.site.cookies import SESSION
from parachute_hub.store.users import Users
from tests.accounts.doors import DoorCase
from tests.support.at_once import at_once
from tests.support.front_door import PASSWORD, BrowserTab, FrontDoor, QuickHasher


class SignInTests(DoorCase):
    def setUp(self) -> None:
        super().setUp()
        self.first = self.owner()

    def test_correct_credentials_start_a_session(self) -> None:
        tab = self.sign_in()
        self.assertEqual((self.answer.status, self.answer.header("location")), (303, "/admin/"))
        self.assertTrue(tab.get_json("/api/me")["hasSession"])
        self.assertEqual(tab.get("/login").header("location"), "/admin/")

    def test_who_wants_an_account_is_told_how_to_get_one(self) -> None:
        """Notes in surface links to /signup. Whoever has an account is sent to it."""
        page = BrowserTab(self.door).get("/signup")
        self.assertEqual(page.status, 200)
        self.assertIn("by invitation", page.body.decode())
        self.assertEqual(self.sign_in().get("/signup").header("location"), "/")

    def test_names_have_no_case(self) -> None:
        self.sign_in(" ADA ")
        self.assertEqual(self.answer.status, 303)

    def test_wrong_and_unknown_look_the_same(self) -> None:
        """Same text, same status, one hash computed."""
        pages = []
        hasher = self.door.hasher
        assert isinstance(hasher, QuickHasher)
        for username, password in (("ada", "wrong words"), ("nobody", "wrong words")):
            before = hasher.checks
            tab = self.sign_in(username, password)
            pages.append((self.answer.status, self.answer.body.decode().replace(tab.token, "").replace(username, "")))
            self.assertEqual(hasher.checks, before + 1)
        self.assertEqual(*pages)
        self.assertEqual(pages[0][0], 401)

    def test_mistakes_are_explained_on_the_form(self) -> None:
        for username, password, status in (("", PASSWORD, 400), ("ada", "", 400), ("ada", "x" * 300, 413)):
            self.sign_in(username, password)
            self.assertEqual(self.answer.status, status)
            self.assertNotIn(b"x" * 300, self.answer.body)

    def test_a_fault_of_ours_is_a_page_too(self) -> None:
        """Such as a full disk; a program gets JSON."""

        async def fail(password: str, stored: str | None) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        self.patch(self.door.hasher, "check", fail)
        self.sign_in()
        self.assertEqual((self.answer.status, self.answer.header("content-type")), (500, "text/html; charset=utf-8"))
        self.assertIn(b"Something went wrong in the hub", self.answer.body)
        self.assertEqual(len(self.flushLoggedErrors(sqlite3.OperationalError)), 1)

    def test_many_wrong_passwords_are_delayed(self) -> None:
        self.door.address = "203.0.113.5"
        tab = BrowserTab(self.door)
        for _ in range(5):
            self.sign_in(password="wrong words", tab=tab)
        self.sign_in(tab=tab)
        self.assertEqual(self.answer.status, 429)
        self.assertGreater(int(self.answer.header("retry-after") or 0), 0)
        # The owner's own browser goes on as before.
        self.first.get("/account")
        self.first.post("/logout", {})
        self.sign_in(tab=self.first)
        self.assertEqual(self.answer.status, 303)

    def test_sign_in_continues_at_a_path_of_the_hub_only(self) -> None:
        for wanted, expected in (
            ("/oauth/authorize?client_id=1", "/oauth/authorize?client_id=1"),
            ("/\\evil.example", "/admin/"),
            ("//evil.example", "/admin/"),
        ):
            tab = BrowserTab(self.door)
            tab.get("/login")
            answer = tab.post("/login", {"username": "ada", "password": PASSWORD, "next": wanted})
            self.assertEqual(answer.header("location"), expected)

    def test_next_is_kept_through_a_mistake(self) -> None:
        tab = BrowserTab(self.door)
        tab.get("/login?next=/oauth/authorize%3Fa%3D1%26b%3D2")
        self.assertEqual(tab.field("next"), "/oauth/authorize?a=1&b=2")
        tab.post("/login", {"username": "ada", "password": "no", "next": tab.field("next")})
        self.assertEqual(tab.field("next"), "/oauth/authorize?a=1&b=2")

    def test_members_have_no_business_in_admin(self) -> None:
        tab = self.member()
        self.assertEqual(self.answer.header("location"), "/")
        tab.cookies.clear()
        tab.get("/login")
        answer = tab.post("/login", {"username": "grace", "password": PASSWORD, "next": "/admin/modules"})
        self.assertEqual(answer.header("location"), "/")

    def test_a_new_session_id_each_time_and_the_old_one_ends(self) -> None:
        """Prevents session fixation."""
        old = self.first.cookies[cookies.SESSION]
        self.first.get("/account")
        self.first.cookies.pop(cookies.CSRF, None)
        tab = BrowserTab(self.door)
        tab.get("/login")
        tab.cookies[cookies.SESSION] = old
        tab.post("/login", {"username": "ada", "password": PASSWORD})
        self.assertNotEqual(tab.cookies[cookies.SESSION], old)
        self.assertFalse(self.first.get_json("/api/me")["hasSession"])

    def test_only_hashes_are_kept(self) -> None:
        dump = self.dump()
        for value in self.first.cookies.values():
            self.assertNotIn(value, dump)

    def test_a_script_signs_in(self) -> None:
        """JSON in and out, with the token from `/account/session`."""
        tab = BrowserTab(self.door)
        said = {"__csrf": tab.get_json("/account/session")["csrf"], "username": "ada", "password": "wrong"}
        wrong = tab.send_json("POST", "/login", json.dumps(said).encode())
        self.assertEqual((wrong.status, wrong.json()["error"]), (401, "invalid_credentials"))
        right = tab.send_json("POST", "/login", json.dumps({**said, "password": PASSWORD}).encode())
        self.assertEqual((right.status, right.json()), (200, {"next": "/admin/", "key": tab.key}))
        self.assertTrue(tab.get_json("/api/me")["hasSession"])

    def test_foreign_cookies_are_neither_kept_nor_echoed(self) -> None:
        """Cookies that the hub never set are neither kept nor echoed."""
        for value in ("\u00e9" * 43, "x" * 500, "a b", "x"):
            tab = BrowserTab(self.door)
            tab.cookies = {cookies.DEVICE: value, cookies.SESSION: value, cookies.CSRF: value}
            self.sign_in(tab=tab)
            self.assertEqual(self.answer.status, 303)
            self.assertNotEqual(tab.cookies[cookies.DEVICE], value)

    def test_who_is_signed_in_is_asked_again_only_when_an_app_wants_it(self) -> None:
        """`prompt=login` of an authorization request."""
        self.assertEqual(self.first.get("/login?next=/account").status, 303)
        self.assertEqual(self.first.get("/login?again=1&next=/account").status, 200)
        answer = self.first.post("/login", {"username": "ada", "password": PASSWORD, "next": "/account"})
        self.assertEqual((answer.status, answer.header("location")), (303, "/account"))

    def test_signing_out_ends_the_session(self) -> None:
        self.assertEqual(self.first.get("/logout").status, 405)
        self.first.get("/account")
        kept = dict(self.first.cookies)
        answer = self.first.post("/logout", {})
        self.assertEqual((answer.status, answer.header("location")), (303, "/login"))
        self.first.cookies = kept
        self.assertFalse(self.first.get_json("/api/me")["hasSession"])


class RenewalTests(DoorCase):
    def test_old_hashes_are_renewed_at_sign_in(self) -> None:
        """A hash with other parameters is accepted and replaced."""
        self.door.close()
        self.door = FrontDoor(hasher=Hasher(here))
        self.addCleanup(self.door.close)
        self.owner()
        old = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=1).hash(PASSWORD)
        (user,) = self.door.accounts.people.all()
        set_password = Users(self.door.database).set_password
        at_once(self.door.database.write(set_password, user.id, old, must_change=False, now=1.0))
        for _ in range(2):
            self.sign_in()
            self.assertEqual(self.answer.status, 303)
            self.assertIn("$m=19456,t=2,p=1$", self.door.accounts.people.all()[0].password_hash)


class CookieTests(DoorCase):
    def lines(self) -> list[str]:
        tab = BrowserTab(self.door)
        self.claim(tab, self.boot())
        tab.cookies.clear()
        tab.get("/login")
        answer = tab.post("/login", {"username": "ada", "password": PASSWORD})
        return [*answer.headers.getRawHeaders("set-cookie", [])]

    def test_over_plain_http_cookies_are_not_secure(self) -> None:
        """No Secure over plain http: the browser would drop the cookie."""
        session, device = self.lines()
        self.assertRegex(
            session,
            r"^parachute_hub_session=plain\.[\w-]{43}; Expires=[^;]+; Max-Age=7776000; HttpOnly; Path=/; SameSite=Lax$",
        )
        self.assertRegex(device, r"^parachute_hub_device=[\w-]{43}; .*HttpOnly; Path=/; SameSite=Strict$")

    def test_over_https_cookies_are_secure_and_host_only(self) -> None:
        self.door.https = True
        session, device = self.lines()
        self.assertRegex(
            session, r"^__Host-parachute_hub_session=[\w-]{43}; .*; Secure; HttpOnly; Path=/; SameSite=Lax$"
        )
        self.assertTrue(device.startswith("__Host-parachute_hub_device="))

    def test_a_plain_cookie_counts_for_nothing_on_https(self) -> None:
        """A page on a neighbouring host can set a cookie without the prefix, to no effect."""
        tab = self.owner()
        self.door.https = True
        self.assertFalse(tab.get_json("/api/me")["hasSession"])

    def test_the_proxy_reads_the_same_cookie_as_the_pages(self) -> None:
        """After signing out on https, an older cookie without the prefix must not reach modules."""
        self.door.https = True
        (value,) = [line for name, line in self.owner().cookies.items() if name == f"__Host-{SESSION}"]
        for name, secure, counts in (
            (SESSION, False, True),
            (SESSION, True, False),
            (f"__Host-{SESSION}", True, True),
            (f"__Host-{SESSION}", False, False),
        ):
            found = self.door.accounts.recogniser.has_session(f"a=1; {name}={value}".encode(), secure)
            self.assertEqual(found, counts, (name, secure))


class ExpiryTests(DoorCase):
    def signed_in(self, tab: BrowserTab) -> bool:
        return bool(tab.get_json("/api/me")["hasSession"])

    def test_an_idle_session_expires(self) -> None:
        tab = self.owner()
        self.door.now += IDLE - 1
        self.assertTrue(self.signed_in(tab))
        self.door.now += IDLE - 1
        self.assertTrue(self.signed_in(tab))
        self.door.now += IDLE
        self.assertFalse(self.signed_in(tab))

    def test_a_session_expires_even_if_used(self) -> None:
        tab = self.owner()
        end = self.door.now + ABSOLUTE
        while self.door.now + IDLE / 2 < end:
            self.door.now += IDLE / 2
            self.assertTrue(self.signed_in(tab))
        self.door.now = end
        self.assertFalse(self.signed_in(tab))

    def test_no_jump_of_the_clock_moves_its_end(self) -> None:
        tab = self.owner()
        end = self.door.now + ABSOLUTE
        for jump in (-400 * 86400, 400 * 86400, IDLE - 1, 1 - IDLE):
            self.door.now += jump
            self.assertTrue(self.signed_in(tab), jump)
        while self.door.now + IDLE / 2 < end:
            self.door.now += IDLE / 2
            self.assertTrue(self.signed_in(tab))
        self.door.now = end
        self.assertFalse(self.signed_in(tab))

    def test_reading_writes_nothing(self) -> None:
        tab = self.owner()
        before = self.dump()
        for _ in range(5):
            tab.get("/account")
        self.assertEqual(self.dump(), before)

    def test_expired_sessions_are_deleted(self) -> None:
        self.owner()
        self.door.now += ABSOLUTE
        self.now(self.door.accounts.prune())
        self.assertEqual(self.door.database.read("SELECT * FROM sessions"), [])


class SecondFactorTests(DoorCase):
    def setUp(self) -> None:
        super().setUp()
        self.first = self.owner()
        self.app, self.codes = self.enrol(self.first)

    def code(self) -> str:
        return self.app.at(int(self.door.now))

    def send_code(self, tab: BrowserTab, code: str) -> int:
        tab.get("/login/2fa")
        self.answer = tab.post("/login/2fa", {"code": code})
        return self.answer.status

    def test_password_and_code_sign_in(self) -> None:
        tab = self.sign_in()
        self.assertEqual(self.answer.header("location"), "/login/2fa")
        self.assertFalse(tab.get_json("/api/me")["hasSession"])
        self.assertEqual(self.send_code(tab, self.code()), 303)
        self.assertTrue(tab.get_json("/api/me")["hasSession"])
        self.assertNotIn(cookies.PENDING_LOGIN, tab.cookies)

    def test_next_survives_the_second_step(self) -> None:
        tab = BrowserTab(self.door)
        tab.get("/login")
        tab.post("/login", {"username": "ada", "password": PASSWORD, "next": "/oauth/authorize?x=1"})
        self.send_code(tab, self.code())
        self.assertEqual(self.answer.header("location"), "/oauth/authorize?x=1")

    def test_a_code_works_once(self) -> None:
        """Replay is refused, also after a restart: the time step is stored."""
        code = self.code()
        self.assertEqual(self.send_code(self.sign_in(), code), 303)
        self.assertEqual(self.send_code(self.sign_in(), code), 401)

    def test_an_older_code_is_refused_after_a_newer(self) -> None:
        older = self.app.at(int(self.door.now) - 30)
        self.assertEqual(self.send_code(self.sign_in(), self.code()), 303)
        self.assertEqual(self.send_code(self.sign_in(), older), 401)

    def test_a_recovery_code_works_once(self) -> None:
        self.assertEqual(self.send_code(self.sign_in(), self.codes[0].upper()), 303)
        self.assertEqual(self.send_code(self.sign_in(), self.codes[0]), 401)
        self.assertEqual(self.send_code(self.sign_in(), self.codes[1]), 303)

    def test_recovery_codes_outlive_the_key(self) -> None:
        """Without the encryption key the app's codes fail, but recovery codes work."""
        with self.door.database.unit(), self.door.database.transaction() as connection:
            connection.execute("UPDATE second_factors SET secret = x'00'")
        self.assertEqual(self.send_code(self.sign_in(), self.code()), 401)
        self.assertEqual(self.send_code(self.sign_in(), self.codes[0]), 303)

    def test_wrong_codes_are_refused(self) -> None:
        tab = self.sign_in()
        for code in ("000000", "", "abcdef", "1234567", "é" * 6):
            self.assertEqual(self.send_code(tab, code), 401, code)

    def test_guessing_is_slowed(self) -> None:
        self.door.address = "203.0.113.5"
        tab = self.sign_in()
        statuses = [self.send_code(tab, "000000") for _ in range(7)]
        self.assertEqual(statuses[-1], 429)

    def test_a_late_code_needs_the_password_again(self) -> None:
        tab = self.sign_in()
        self.door.now += 300
        self.assertEqual(self.send_code(tab, self.code()), 401)
        self.assertIn("took too long", self.answer.body.decode())

    def test_the_second_step_alone_is_nothing(self) -> None:
        tab = BrowserTab(self.door)
        self.assertEqual(tab.get("/login/2fa").header("location"), "/login")
        tab.get("/login")
        tab.cookies[cookies.PENDING_LOGIN] = "x" * 43
        self.assertEqual(tab.post("/login/2fa", {"code": self.code()}).status, 401)

    def test_a_half_done_sign_in_ends_with_a_new_password(self) -> None:
        tab = self.sign_in()
        user = self.door.accounts.people.all()[0]
        self.now(self.door.accounts.people.set_own_password(user, "an entirely new one", keep_session=None, address=""))
        self.assertEqual(self.send_code(tab, self.code()), 401)
