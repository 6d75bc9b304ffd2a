from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.site import rate_limit
from parachute_hub.site.errors import Refused
from parachute_hub.site.rate_limit import RateLimit


class RateLimitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.limit = RateLimit(times=2, seconds=60.0, clock=self.clock.seconds)

    def test_over_the_limit_the_answer_says_when_to_come_back(self) -> None:
        self.limit.use("a")
        self.clock.advance(10.0)
        self.limit.use("a")
        self.assertEqual(self.limit.wait("a"), 50.0)
        refused = self.assertRaises(Refused, self.limit.use, "a")
        self.assertEqual((refused.status, refused.headers["Retry-After"]), (429, "51"))

    def test_the_window_slides(self) -> None:
        self.limit.use("a")
        self.clock.advance(30.0)
        self.limit.use("a")
        self.clock.advance(30.0)
        self.limit.use("a")
        self.assertEqual(self.limit.wait("a"), 30.0)

    def test_keys_do_not_share_a_limit(self) -> None:
        self.limit.use("a")
        self.limit.use("a")
        self.limit.use("b")
        self.assertEqual(self.limit.wait("b"), 0.0)

    def test_counts_beyond_the_limit_prolong_the_wait(self) -> None:
        for _ in range(5):
            self.clock.advance(1.0)
            self.limit.count("a")
        self.assertEqual(self.limit.wait("a"), 59.0)

    def test_memory_is_bounded(self) -> None:
        self.patch(rate_limit, "MOST_KEYS", 3)
        for key in "abcd":
            self.limit.count(key)
        self.assertEqual(list(self.limit._used), ["b", "c", "d"])
