"""Delays of the reactor."""

from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import TestCase

from parachute_hub.system.reactor_lag import LagProbe


class LagTests(TestCase):
    def test_a_delay_is_logged_with_its_length(self) -> None:
        """Half a millisecond is ignored, 120 ms is logged."""
        events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        clock = Clock()
        probe = LagProbe(clock=clock, now=clock.seconds)
        probe.startService()
        self.addCleanup(probe.stopService)
        for step in (0.05, 0.05, 0.0505, 0.17, 0.05):
            clock.advance(step)
        self.assertEqual([event["late"] for event in events if "late" in event], [120])
        self.assertAlmostEqual(probe.worst, 0.12)

    def test_the_probe_stops(self) -> None:
        clock = Clock()
        probe = LagProbe(clock=clock, now=clock.seconds)
        probe.startService()
        probe.stopService()
        probe.stopService()
        self.assertEqual(clock.getDelayedCalls(), [])
