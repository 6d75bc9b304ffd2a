"""Log lines of modules as events."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.app.log_heads import EVERY_SECONDS, LENGTH, LogHeads
from parachute_hub.events import LogHead


class LogHeadsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.told: list[LogHead] = []
        self.heads = LogHeads(self.clock, self.told.append)

    def test_the_newest_line_of_each_module_once_a_second(self) -> None:
        """A flood becomes one line."""
        for number in range(1000):
            self.heads.heard("vault", f"line {number}")
        self.heads.heard("scribe", "listening")
        self.assertEqual(self.told, [])
        self.clock.advance(EVERY_SECONDS)
        self.assertEqual(self.told, [LogHead("vault", "line 999"), LogHead("scribe", "listening")])

    def test_a_silent_module_causes_no_events(self) -> None:
        """No timer runs while there is no output."""
        self.heads.heard("vault", "one")
        self.clock.advance(EVERY_SECONDS)
        self.assertEqual((len(self.told), self.clock.getDelayedCalls()), (1, []))
        self.heads.heard("vault", "two")
        self.clock.advance(EVERY_SECONDS)
        self.assertEqual(self.told[1:], [LogHead("vault", "two")])

    def test_a_long_line_is_cut(self) -> None:
        """The log itself has all of it."""
        self.heads.heard("vault", "x" * 5000)
        self.clock.advance(EVERY_SECONDS)
        self.assertEqual(len(self.told[0].text), LENGTH)
