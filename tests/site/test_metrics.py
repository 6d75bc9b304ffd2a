from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.metrics import Metrics
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.metrics import MetricsArea
from tests.support.asking import ask
from tests.support.operators import operator

OWNER = {"Authorization": "Bearer the-token"}


class NumbersTests(SynchronousTestCase):
    def setUp(self) -> None:
        metrics = Metrics()
        metrics.of("vault").add(200, 0.002, 100, 10)
        who = Authenticator([operator("the-token")])
        self.resource = MetricsArea(who, metrics.render, metrics.as_json).app.resource()

    def test_the_owner_reads_them_in_both_forms(self) -> None:
        """For a collector and for the admin app."""
        text = ask(self.resource, "/metrics", headers=OWNER)
        self.assertEqual(text.status, 200)
        self.assertIn('"vault"', text.body.decode())
        self.assertIn("vault", ask(self.resource, "/api/metrics", headers=OWNER).json()["modules"])

    def test_nobody_else_does(self) -> None:
        """Usage of modules is private."""
        self.assertEqual(ask(self.resource, "/metrics").status, 401)
        self.assertEqual(ask(self.resource, "/api/metrics").status, 401)
