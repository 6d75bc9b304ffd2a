from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub import __version__
from parachute_hub.site.about import About, AboutHub, Ready, installed_as, readiness
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.health import Health, Phase
from tests.support.asking import ask
from tests.support.operators import operator


class HealthTests(SynchronousTestCase):
    def test_health_is_200_from_the_first_second(self) -> None:
        """While starting, and with a broken database: the platform must not restart the hub for that."""
        phase = Phase()
        resource = Health(phase, "nonce")
        answer = ask(resource, "/health")
        self.assertEqual((answer.status, answer.header("Cache-Control")), (200, "no-store"))
        self.assertEqual(
            answer.json(),
            {
                "status": "ok",
                "service": "parachute-hub",
                "version": __version__,
                "phase": "starting",
                "db": "unconfigured",
                "disk": "unconfigured",
                "instance": "nonce",
            },
        )
        phase.name = "up"
        phase.database = lambda: "error: damaged"
        self.assertEqual(ask(resource, "/health").json()["db"], "error: damaged")

    def test_health_tells_what_the_database_says_now(self) -> None:
        """Asked anew for each request."""
        answers = iter(["ok", "error: replaced"])
        resource = Health(Phase(database=lambda: next(answers)), "n")
        self.assertEqual([ask(resource, "/health").json()["db"] for _ in range(2)], ["ok", "error: replaced"])


class ReadyTests(SynchronousTestCase):
    def test_each_state_counts_for_one_side(self) -> None:
        """Ready and degraded answer; starting and back-off will; parked has given up; stopped and held do not count."""
        states = [
            ("a", "ready"),
            ("b", "degraded"),
            ("c", "starting"),
            ("d", "backoff"),
            ("e", "parked"),
            ("f", "stopped"),
            ("g", "held"),
        ]
        self.assertEqual(
            readiness(states),
            {
                "ready": False,
                "ready_modules": ["a", "b"],
                "transient_modules": ["c", "d"],
                "persistent_modules": ["e"],
            },
        )
        self.assertTrue(readiness([("a", "ready"), ("f", "stopped")])["ready"])

    def test_anyone_may_ask(self) -> None:
        """A waiting page has no account."""
        answer = ask(Ready(lambda: [("vault", "starting")]).app.resource(), "/api/ready")
        self.assertEqual((answer.status, answer.json()["transient_modules"]), (200, ["vault"]))


class AboutTests(SynchronousTestCase):
    def setUp(self) -> None:
        about = AboutHub(started_at="2026-01-01T00:00:00Z", source="container", facts={"render_commit": "abc"})
        self.resource = About(about, Authenticator([operator("the-token")]), lambda: 1.5).app.resource()

    def test_the_owner_learns_what_this_is(self) -> None:
        """Version, uptime in milliseconds, and facts about the platform."""
        answer = ask(self.resource, "/api/hub", headers={"Authorization": "bearer the-token"})
        self.assertEqual(answer.status, 200)
        self.assertEqual((answer.json()["uptime_ms"], answer.json()["render_commit"]), (1500, "abc"))

    def test_how_it_was_installed(self) -> None:
        for home, platform, clone, told in (
            ("/parachute", "local", False, "container"),
            ("/data", "fly", True, "container"),
            ("/home/ana/.parachute", "local", True, "checkout"),
            ("/home/ana/.parachute", "local", False, "pip"),
        ):
            self.assertEqual(installed_as(Path(home), platform, clone=clone), told)

    def test_nobody_else_does(self) -> None:
        """A missing and a wrong credential have different errors."""
        self.assertEqual(ask(self.resource, "/api/hub").json()["error"], "unauthenticated")
        wrong = ask(self.resource, "/api/hub", headers={"Authorization": "Bearer other"})
        self.assertEqual((wrong.status, wrong.json()["error"]), (401, "invalid_token"))
        self.assertIn("invalid_token", wrong.header("WWW-Authenticate") or "")
