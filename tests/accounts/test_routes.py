"""Properties of every route, enumerated from the routers."""

import re
from collections.abc import Iterator
from typing import Any

from klein import Klein

from parachute_hub.site.root import SECURITY_HEADERS
from tests.accounts.doors import DoorCase
from tests.support.front_door import PASSWORD, BrowserTab

# Forms that are sent before anybody is signed in: a token for the CSRF cookie stands in for the session's.
BEFORE_SIGN_IN = {
    *("/login/phone", "/login/phone/wait"),
    *("/login", "/login/passkey", "/login/passkey/options", "/login/2fa", "/login/2fa/options"),
    *("/signup", "/logout", "/admin/setup/account", "/account/setup/<token>"),
}
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
SECRET_FREE = {"/static/hub/<name>"}


def routes(door: Any) -> Iterator[tuple[str, str]]:
    """Every (method, rule) of all mounted areas."""
    for part in door.parts:
        app = part.resource.app
        assert isinstance(app, Klein)
        for rule in app.url_map.iter_rules():
            for method in sorted(rule.methods or ()):
                if method != "HEAD":
                    yield method, rule.rule


def path_of(rule: str) -> str:
    return re.sub(r"<\w+>", "x", rule)


class EveryRouteTests(DoorCase):
    def setUp(self) -> None:
        super().setUp()
        self.tab = self.owner()

    def test_every_area_has_routes(self) -> None:
        found = set(routes(self.door))
        self.assertGreater(len([method for method, _ in found if method in UNSAFE]), 25)
        self.assertLessEqual(BEFORE_SIGN_IN, {rule for _, rule in found})

    def send(self, method: str, rule: str, **headers: str) -> int:
        """A JSON request with the owner's cookies; `headers` override the defaults."""
        sent = {
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        answer = self.tab._ask(path_of(rule), method, sent, b"{}")
        self.assertIn(b"form is out of date", answer.body, rule)
        return answer.status

    def test_no_token_no_deed(self) -> None:
        """A session cookie alone does nothing."""
        for method, rule in routes(self.door):
            if method in UNSAFE:
                self.assertEqual(self.send(method, rule, Sec_Fetch_Site="same-origin"), 403, rule)

    def test_a_token_of_another_session_does_nothing(self) -> None:
        other = self.csrf(self.sign_in())
        for method, rule in routes(self.door):
            if method in UNSAFE:
                self.assertEqual(self.send(method, rule, Sec_Fetch_Site="same-origin", **other), 403, rule)

    def test_a_foreign_page_does_nothing_even_with_the_token(self) -> None:
        """Another site, another port of this host, an opaque origin."""
        token = self.csrf(self.tab)
        for method, rule in routes(self.door):
            if method not in UNSAFE:
                continue
            for said in (
                {"Sec_Fetch_Site": "cross-site"},
                {"Sec_Fetch_Site": "same-site"},
                {"Origin": "http://hub.test:8080"},
                {"Origin": "https://evil.example"},
                {"Origin": "null"},
            ):
                self.assertEqual(self.send(method, rule, **token, **said), 403, (rule, said))

    def test_a_silent_browser_is_refused(self) -> None:
        """Without Sec-Fetch-Site and Origin, refused wherever a session is needed; the wizard accepts JSON from
        scripts.
        """
        token = self.csrf(self.tab)
        for method, rule in routes(self.door):
            if method in UNSAFE and rule not in BEFORE_SIGN_IN and not rule.startswith("/admin/setup"):
                self.assertEqual(self.send(method, rule, **token), 403, rule)
        for rule in ("/admin/setup/modules", "/admin/setup/expose"):
            form = {**token, "Content_Type": "application/x-www-form-urlencoded"}
            headers = {name.replace("_", "-"): value for name, value in form.items()}
            self.assertEqual(self.tab._ask(rule, "POST", headers, b"skip=1").status, 403)

    def test_half_a_sign_in_is_none(self) -> None:
        """With the password but without the second factor's code every route answers as it answers a stranger."""
        app, _ = self.enrol(self.tab)
        half, stranger = self.sign_in(), BrowserTab(self.door)
        self.assertEqual(self.answer.header("location"), "/login/2fa")
        stranger.get("/login")
        checked = 0
        for method, rule in routes(self.door):
            if rule in BEFORE_SIGN_IN:
                continue
            answers = []
            for tab in (half, stranger):
                headers = {"Content-Type": "application/json", "Sec-Fetch-Site": "same-origin", **self.token_of(tab)}
                answer = tab._ask(path_of(rule), method, headers, b"" if method == "GET" else b"{}")
                answers.append((answer.status, answer.header("location"), answer.body.replace(tab.token.encode(), b"")))
            self.assertEqual(answers[0], answers[1], (method, rule))
            checked += 1
        self.assertGreater(checked, 40)
        for path in ("/account", "/api/users"):
            self.assertIn(half.get(path).status, (303, 401), path)
        half.get("/login/2fa")
        self.assertEqual(half.post("/login/2fa", {"code": app.at(int(self.door.now))}).status, 303)
        self.assertEqual(half.get("/account").status, 200)

    def token_of(self, tab: BrowserTab) -> dict[str, str]:
        return {"X-Parachute-CSRF": str(tab.get_json("/api/me").get("csrf", "x"))}

    def test_reading_changes_nothing(self) -> None:
        """No GET writes."""
        before = self.dump()
        for method, rule in routes(self.door):
            if method == "GET":
                self.tab.get(path_of(rule))
                self.tab.get(path_of(rule), Accept="application/json")
        self.assertEqual(self.dump(), before)

    def test_every_answer_is_protected(self) -> None:
        """CSP without inline code, no frames, no sniffing, no caching of secrets."""
        for tab in (self.tab, BrowserTab(self.door)):
            for method, rule in routes(self.door):
                if method != "GET":
                    continue
                for accept in ("text/html", "application/json"):
                    answer = tab.get(path_of(rule), Accept=accept)
                    policy = answer.header("content-security-policy") or ""
                    self.assertIn("default-src 'self'", policy, rule)
                    self.assertIn("frame-ancestors 'none'", policy, rule)
                    self.assertNotIn("unsafe", policy, rule)
                    self.assertEqual(answer.header("x-content-type-options"), "nosniff", rule)
                    self.assertEqual(answer.header("referrer-policy"), SECURITY_HEADERS["Referrer-Policy"], rule)
                    self.assertIsNone(answer.header("access-control-allow-origin"), rule)
                    if rule not in SECRET_FREE:
                        self.assertEqual(answer.header("cache-control"), "no-store", (rule, answer.status))

    def test_no_page_carries_inline_code(self) -> None:
        for method, rule in routes(self.door):
            if method == "GET":
                body = self.tab.get(path_of(rule)).body.decode("utf-8", "replace")
                if "<html" in body:
                    self.assertNotRegex(body, r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=|javascript:", rule)

    def test_junk_is_answered_with_4xx(self) -> None:
        """Malformed bodies and types never cause 500."""
        token = self.csrf(self.tab)
        for method, rule in routes(self.door):
            if method not in UNSAFE or rule == "/logout":
                continue
            for kind, body in (
                ("application/json", b"{"),
                ("application/json", b"[]"),
                ("application/json", b"[" * 5000),
                ("application/json", b'{"username": 1, "password": [], "vaults": [[]], "mode": {}}'),
                ("application/x-www-form-urlencoded", b"\xff\xfe=%ff&a"),
                ("application/x-www-form-urlencoded", b"a=" * 3000),
                ("application/x-www-form-urlencoded", b"password=1&password=2&username=1&username=2&action=1&action=2"),
                ("text/plain", b"x"),
                ("", b"x"),
                ("multipart/form-data; boundary=x", b"--x\r\n\r\n--x--"),
            ):
                headers = {
                    "Content-Type": kind,
                    "Sec-Fetch-Site": "same-origin",
                    "X-Parachute-CSRF": token["X_Parachute_CSRF"],
                }
                answer = self.tab._ask(path_of(rule), method, headers, body)
                self.assertLess(answer.status, 500, (rule, kind, body[:40]))
        self.assertTrue(self.tab.get_json("/api/me")["hasSession"])


class SecretsTests(DoorCase):
    def test_nothing_secret_is_told(self) -> None:
        """Passwords, tokens and hashes are in no response and, in clear text, nowhere in the database."""
        token = self.boot()
        tab = BrowserTab(self.door)
        self.claim(tab, token)
        for method, rule in routes(self.door):
            if method == "GET":
                body = tab.get(path_of(rule)).body.decode("utf-8", "replace")
                for secret in (token, PASSWORD, tab.cookies["parachute_hub_session"], "$quick$"):
                    self.assertNotIn(secret, body, rule)
        for secret in (token, tab.cookies["parachute_hub_session"], tab.cookies["parachute_hub_device"]):
            self.assertNotIn(secret, self.dump())
