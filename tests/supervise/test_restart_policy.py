"""Delays after crashes."""

import doctest

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.supervise import restart_policy
from parachute_hub.supervise.limits import Timing
from parachute_hub.supervise.restart_policy import CrashHistory, Park, RestartAfter, after_crash

TIMING = Timing()


class AfterCrashTests(SynchronousTestCase):
    def crash(self, *times: tuple[float, float | None]) -> list[RestartAfter | Park]:
        history, verdicts = CrashHistory(), []
        for now, ready_for in times:
            history, verdict = after_crash(history, now, ready_for, TIMING, 0.5)
            verdicts.append(verdict)
        return verdicts

    def test_docstring_examples_hold(self) -> None:
        self.assertEqual(doctest.testmod(restart_policy).failed, 0)

    def test_delays_double(self) -> None:
        """Crashes too far apart for parking still wait longer each time, up to a minute."""
        verdicts = self.crash(*((number * 100.0, 5.0) for number in range(1, 11)))
        self.assertEqual([v.delay for v in verdicts], [0.0, 0.5, 1, 2, 4, 8, 16, 32, 60, 60])

    def test_a_good_while_forgives(self) -> None:
        """The back-off resets after a minute of being ready."""
        verdicts = self.crash((0, None), (1, None), (2, None), (200, 100.0), (201, None))
        self.assertEqual([v.delay for v in verdicts], [0.5, 1, 2, 0.0, 0.5])

    def test_five_in_two_minutes(self) -> None:
        verdicts = self.crash(*((number * 29.0, 20.0) for number in range(5)))
        self.assertEqual(verdicts[-1], Park(300.0, 5))
        verdicts = self.crash(*((number * 31.0, 20.0) for number in range(5)))
        self.assertIsInstance(verdicts[-1], RestartAfter)

    def test_on_trial_until_it_ran_well(self) -> None:
        history = CrashHistory(on_trial=True)
        self.assertIsInstance(after_crash(history, 1000, 30.0, TIMING, 0.5)[1], Park)
        later, verdict = after_crash(history, 1000, 61.0, TIMING, 0.5)
        self.assertEqual((verdict, later.on_trial), (RestartAfter(0.0), False))

    @settings(max_examples=200, derandomize=True, deadline=None)
    @given(
        st.lists(st.tuples(st.floats(0, 500), st.none() | st.floats(0, 500)), max_size=60),
        st.floats(0, 1),
    )
    def test_delays_and_restarts_are_always_bounded(
        self, crashes: list[tuple[float, float | None]], chance: float
    ) -> None:
        """Whatever happens, every delay has its bounds, and no window sees more than four of the short ones."""
        history, now, soon = CrashHistory(), 0.0, []
        for gap, ready_for in crashes:
            ready_for = None if ready_for is None else min(ready_for, gap)
            now += gap
            history, verdict = after_crash(history, now, ready_for, TIMING, chance)
            self.assertGreaterEqual(verdict.delay, 0)
            self.assertLessEqual(verdict.delay, 360)
            if isinstance(verdict, RestartAfter):
                self.assertLessEqual(verdict.delay, 72)
                soon.append(now)
            now += verdict.delay
            self.assertLess(len([at for at in soon if now - at < TIMING.window]), TIMING.crashes)
