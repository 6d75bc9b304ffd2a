"""What a hub without an owner answers."""

from tests.accounts.doors import DoorCase
from tests.support.front_door import BrowserTab

OPEN = (
    "/robots.txt",
    "/health",
    "/api/ready",
    "/.well-known/jwks.json",
    "/admin/setup",
    "/admin/setup/account",
    "/static/hub/hub.css",
)
CLOSED = (
    "/",
    "/hub.html",
    "/login",
    "/logout",
    "/admin",
    "/admin/",
    "/admin/setups",
    "/api/modules",
    "/api/readyx",
    "/oauth/register",
    "/oauth/authorize",
    "/account",
    "/account/setup/x",
    "/vault/default/api/notes",
    "/healthy",
    "/.well-knownx",
)


class GateTests(DoorCase):
    def test_an_owned_hub_lets_everything_through(self) -> None:
        gate = self.door.accounts.gate
        self.assertTrue(gate.closed)
        for path in OPEN:
            for method in (b"GET", b"POST"):
                self.assertIsNone(gate.check(method, path.encode(), True), path)

    def test_a_fresh_hub_sends_browsers_to_the_wizard(self) -> None:
        for path in CLOSED:
            for method, html, status in ((b"GET", True, 302), (b"GET", False, 503), (b"POST", True, 503)):
                refused = self.door.accounts.gate.check(method, path.encode(), html)
                assert refused is not None, path
                expected = 503 if path.startswith("/api/") else status
                self.assertEqual(refused.status, expected, (path, method))
                self.assertEqual(refused.headers["Cache-Control"], "no-store")
                self.assertEqual(refused.body()["setup_url"], "/admin/setup") if expected == 503 else None

    def test_opens_with_the_owner(self) -> None:
        tab = BrowserTab(self.door)
        self.assertEqual(tab.get("/login").header("location"), "/admin/setup")
        self.owner()
        self.assertFalse(self.door.accounts.gate.closed)
        self.assertEqual(tab.get("/login").status, 200)

    def test_a_fresh_hub_answers_programs_with_503(self) -> None:
        answer = BrowserTab(self.door).get("/api/users", Accept="application/json")
        self.assertEqual(answer.status, 503)
        self.assertEqual(answer.json()["error"], "setup_required")
