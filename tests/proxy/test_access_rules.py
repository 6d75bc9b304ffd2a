"""Who may pass to a module."""

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.routes import ErrorResponse, Mount
from tests.support.sockets import Rig, get

SCRIBE = Mount(
    "scribe", b"/scribe", 2001, exposure="auth-required", open_paths=(b"/scribe/health", b"/scribe/.parachute/info")
)
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln"


class Guard:
    """Refuses the token `TOKEN` and records what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, bytes, str]] = []

    def refusal(self, mount: Mount, path: bytes, token: str) -> ErrorResponse | None:
        self.asked.append((mount.short, path, token))
        if token != TOKEN:
            return None
        return ErrorResponse(
            401, "invalid_token", "It was revoked.", (("WWW-Authenticate", 'Bearer error="invalid_token"'),)
        )


class ExposureTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = Rig((SCRIBE,), has_session=lambda cookie, secure: b"parachute_hub_session=good" in cookie)

    def passes(self, path: str, *lines: str, method: str = "GET") -> bool:
        """Whether the request reaches the module; otherwise it got 401."""
        before = len(self.rig.modules.sockets)
        client = self.rig.ask(get(path, "Accept: application/json", *lines, method=method))
        passed = len(self.rig.modules.sockets) > before
        if not passed:
            taken = client.take()
            self.assertIn(b" 401 ", taken)
            self.assertIn(b"WWW-Authenticate: Bearer", taken)
        return passed

    def test_no_credential_at_all(self) -> None:
        for lines in (
            (),
            ("Cookie: a=1",),
            ("Cookie: parachute_hub_session=old",),
            ("Authorization: ",),
            ("X-API-Key:",),
        ):
            self.assertFalse(self.passes("/scribe/v1?keys=1&key=", *lines), lines)

    def test_any_credential_passes_for_the_module_to_judge(self) -> None:
        for line in ("Authorization: Bearer nonsense", "X-API-Key: k", "Cookie: parachute_hub_session=good"):
            self.assertTrue(self.passes("/scribe/v1", line), line)
        self.assertTrue(self.passes("/scribe/v1?a=b&key=k"))

    def test_how_the_browser_came_is_told_with_its_cookie(self) -> None:
        """It decides which cookie counts; only a trusted proxy can say https."""
        for hops, proto, told in ((1, "https", True), (1, "wss", True), (1, "http", False), (0, "https", False)):
            asked: list[bool] = []

            def has_session(cookie: bytes, secure: bool, asked: list[bool] = asked) -> bool:
                asked.append(secure)
                return True

            rig = Rig((SCRIBE,), has_session=has_session, hops=hops)
            rig.ask(get("/scribe/v1", "Cookie: a=1", "X-Forwarded-For: 1.2.3.4", f"X-Forwarded-Proto: {proto}"))
            self.assertEqual(asked, [told], (hops, proto))

    def test_what_is_open_to_all(self) -> None:
        self.assertTrue(self.passes("/scribe/health"))
        self.assertTrue(self.passes("/scribe/.parachute/info?x"))
        for path in ("/scribe/health/", "/scribe/healthz", "/scribe/x?/scribe/health"):
            self.assertFalse(self.passes(path), path)

    def test_a_browsers_question_before_the_question(self) -> None:
        self.assertTrue(self.passes("/scribe/v1", "Access-Control-Request-Method: POST", method="OPTIONS"))
        self.assertFalse(self.passes("/scribe/v1", method="OPTIONS"))
        self.assertFalse(self.passes("/scribe/v1", "Access-Control-Request-Method: POST"))

    def test_a_browser_is_shown_where_to_sign_in(self) -> None:
        self.assertIn(b'href="/login"', self.rig.ask(get("/scribe/", "Accept: text/html")).take())


class TokenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.guard = Guard()
        self.rig = Rig((Mount("notes", b"/notes", 2001),), tokens=self.guard)

    def test_a_refused_token_does_not_reach_the_module(self) -> None:
        taken = self.rig.ask(get("/notes/a?b", f"Authorization: bearer  {TOKEN}", "Accept: application/json")).take()
        self.assertIn(b" 401 ", taken)
        self.assertIn(b'WWW-Authenticate: Bearer error="invalid_token"', taken)
        self.assertIn(b'"error": "invalid_token"', taken)
        self.assertEqual(self.guard.asked, [("notes", b"/notes/a", TOKEN)])
        self.assertEqual(self.rig.modules.sockets, [])

    def test_a_refused_token_passes_in_no_other_place(self) -> None:
        """A vault looks for a token in each of these."""
        for path, *lines in (
            ("/notes/", f"X-API-Key: {TOKEN}"),
            ("/notes/", f"X-API-Key: {TOKEN}", "Authorization: Basic eDp5"),
            (f"/notes/?key={TOKEN}",),
            (f"/notes/?a=b&k%65y=%65{TOKEN[1:]}", "Authorization: Bearer pvt_abcdef"),
            ("/notes/?" + "a=&" * 500 + f"key={TOKEN}",),
            ("/notes/", f"Authorization: Bearer\t{TOKEN}"),
        ):
            self.assertIn(b" 401 ", self.rig.ask(get(path, *lines)).take(), (path, lines))
        self.assertEqual(self.rig.modules.sockets, [])

    def test_a_token_in_a_form_that_only_others_read_is_judged_too(self) -> None:
        for token in (TOKEN + "=", TOKEN + "!", TOKEN + " AA", TOKEN + "\xff", TOKEN + "+/"):
            self.rig.ask(get("/notes/", f"Authorization: Bearer {token}"))
            self.assertEqual(self.guard.asked[-1][2], token)

    def test_a_program_gets_no_page(self) -> None:
        """A request with a credential gets JSON unless it asks for HTML by name."""
        for accept, page in (("Accept: */*", False), ("X-None: 1", False), ("Accept: text/html,*/*", True)):
            taken = self.rig.ask(get("/notes/", f"Authorization: Bearer {TOKEN}", accept)).take()
            self.assertEqual(b"Content-Type: text/html" in taken, page, accept)
            self.assertEqual(b"Content-Type: application/json" in taken, not page, accept)

    def test_other_credentials_are_the_modules_business(self) -> None:
        for value in ("Bearer pvt_abcdef", "Basic eyJhbGci.eyJ4", f"Token {TOKEN}", "Bearer eyJnodots", "Bearer"):
            self.rig.ask(get("/notes/", f"Authorization: {value}"))
        self.assertEqual(self.guard.asked, [])
        for query in ("key=pvt_abc", "keys=" + TOKEN, "a=" + TOKEN, "a%=%41"):
            self.rig.ask(get(f"/notes/?{query}", "X-API-Key: pvt_abc"))
        self.assertEqual(self.guard.asked, [])
        self.rig.ask(get("/notes/", f"Authorization: Bearer {TOKEN}x"))
        self.assertEqual(len(self.guard.asked), 1)
        self.assertIn(TOKEN.encode(), self.rig.modules.newest.take())
