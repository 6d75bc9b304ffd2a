from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.events import RING, Bus, JobChanged, LogHead, ModuleChanged, Notice, NumberedEvent


class BusTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.bus = Bus()
        self.heard: list[NumberedEvent] = []

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
        """It is logged and skipped."""

        def fail(_: NumberedEvent) -> None:
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

    def test_a_talkative_module_pushes_nothing_out(self) -> None:
        """Only the newest line of its log is kept."""
        self.bus.emit(Notice("a", "news"))
        for number in range(RING * 2):
            self.bus.emit(LogHead("vault", str(number)))
            self.bus.emit(LogHead("scribe", str(number)))
        newest = str(RING * 2 - 1)
        kept = [Notice("a", "news"), LogHead("vault", newest), LogHead("scribe", newest)]
        self.assertEqual([one.event for one in self.bus.since(0)], kept)

    def test_of_a_state_only_the_newest_is_kept(self) -> None:
        """A job tells each step with its whole log; a thousand of them took tens of megabytes."""
        self.bus.emit(Notice("a", "news"))
        for number in range(RING * 2):
            self.bus.emit(JobChanged({"id": f"job-{number % 2}", "log": ["line"] * number}))
            self.bus.emit(ModuleChanged("vault", {"state": number}))
        kept = [(type(one.event), one.number) for one in self.bus.since(0)]
        end = RING * 4 + 1
        self.assertEqual(kept, [(Notice, 1), (JobChanged, end - 3), (JobChanged, end - 1), (ModuleChanged, end)])

    def test_what_was_pushed_out_is_forgotten_altogether(self) -> None:
        for number in range(RING * 3):
            self.bus.emit(JobChanged({"id": f"job-{number}"}))
        self.assertEqual(len(self.bus.since(0)), RING)
        self.assertEqual(len(self.bus._newest), RING)

    def test_a_log_line_that_was_pushed_out_is_no_trouble(self) -> None:
        """It is simply missing when the next one comes."""
        self.bus.emit(LogHead("vault", "old"))
        for number in range(RING):
            self.bus.emit(Notice("n", str(number)))
        self.bus.emit(LogHead("vault", "new"))
        self.assertEqual(self.bus.since(0)[-1].event, LogHead("vault", "new"))
