from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.system import timestamps


class MomentsTests(SynchronousTestCase):
    def test_a_moment_is_told_in_utc_with_a_z(self) -> None:
        """Truncated, not rounded: a time is never reported before it came."""
        self.assertEqual(timestamps.to_the_second(1_700_000_000.9996), "2023-11-14T22:13:20Z")
        self.assertEqual(timestamps.to_the_millisecond(1_700_000_000.25), "2023-11-14T22:13:20.250Z")
