from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.events import RING, Bus, Notice, Numbered


class BusTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bus = Bus()
        self.heard: list[Numbered] = []

    def test_listeners_hear_events_in_order_with_numbers(self) -> None:
        """Numbers begin at 1 and have no gaps."""
        self.bus.subscribe(self.heard.append)
        self.bus.emit(Notice("a", "first"))
        self.bus.emit(Notice("b", "second"))
        self.assertEqual([(one.number, one.event) for one in self.heard], [
            (1, Notice("a", "first")),
            (2, Notice("b", "second")),
        ])  # fmt: skip

    def test_a_failing_listener_keeps_nobody_else_from_hearing(self) -> None:
        """It is logged and passed over."""

        def fail(_: Numbered) -> None:
            raise RuntimeError("broken listener")

        self.bus.subscribe(fail)
        self.bus.subscribe(self.heard.append)
        self.bus.emit(Notice("a", "news"))
        self.assertEqual(len(self.heard), 1)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_an_ended_subscription_hears_nothing_more(self) -> None:
        """Ending twice is harmless."""
        end = self.bus.subscribe(self.heard.append)
        end()
        end()
        self.bus.emit(Notice("a", "news"))
        self.assertEqual(self.heard, [])

    def test_who_was_away_catches_up(self) -> None:
        """From the number last seen, or from the oldest still remembered."""
        for number in range(RING + 5):
            self.bus.emit(Notice("n", str(number)))
        self.assertEqual([one.number for one in self.bus.since(RING + 3)], [RING + 4, RING + 5])
        self.assertEqual(len(self.bus.since(0)), RING)
        self.assertEqual(self.bus.latest, RING + 5)
