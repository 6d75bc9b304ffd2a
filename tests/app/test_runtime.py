"""What the module runtime makes of events."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.app.runtime import end_rest
from parachute_hub.events import Event, LogHead, ModuleChanged, Notice, NumberedEvent, ProblemChanged, RegistryChanged
from parachute_hub.system.timers import Rest


class RestTests(SynchronousTestCase):
    def test_a_change_ends_the_rest_and_a_line_in_a_log_does_not(self) -> None:
        cases: tuple[tuple[Event, bool], ...] = (
            (LogHead("vault", "ready"), True),
            (ModuleChanged("vault", {}), False),
            (RegistryChanged(), False),
            (Notice("registry", "It changed."), False),
            (ProblemChanged("appeared", {}), False),
        )
        for event, goes_on in cases:
            clock = Clock()
            rest = Rest(clock, after=10.0)
            clock.advance(11.0)
            end_rest(rest, NumberedEvent(1, event))
            self.assertEqual(rest.is_resting, goes_on, event)
