from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.problems.checks.access import ExpiringToken, ExpiringTokens, WaitingApps
from tests.support.always import always


class AccessCheckTests(SynchronousTestCase):
    def test_apps_that_wait_are_counted_not_named(self) -> None:
        """A stranger who registers a second app undoes no dismissal."""
        one, many = (WaitingApps(waiting=always(count)).look()[0] for count in (1, 3))
        self.assertEqual((one.severity, many.text[:6]), ("info", "3 apps"))
        self.assertTrue(one.same_as(many))
        self.assertEqual(WaitingApps(waiting=lambda: 0).look(), [])

    def test_tokens_that_expire(self) -> None:
        tokens = [ExpiringToken(token_id="a", days=6.2), ExpiringToken(token_id="b", days=0.4)]
        (both,) = ExpiringTokens(expiring=lambda: tokens).look()
        (one,) = ExpiringTokens(expiring=lambda: tokens[:1]).look()
        self.assertIn("2 tokens stop working soon, the first today.", both.text)
        self.assertIn("in 6 days", one.text)
        self.assertFalse(one.same_as(both), "another token is news")
        self.assertEqual(ExpiringTokens(expiring=lambda: []).look(), [])
