"""Modules that take more of the processor than they may."""

import signal
from collections.abc import Mapping, Sequence

from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.supervise.memory.brake import ProcessorBrake
from parachute_hub.supervise.memory.guard import RunningModule
from parachute_hub.supervise.memory.processor import ProcessorDebt
from parachute_hub.supervise.model import Allowance
from tests.support.processes import FakeSystem, at_once

STEP = 0.01


@define
class Machine(FakeSystem):
    """One module with the group 7, which wants so many processors, and gets them while it is not stopped."""

    wants: float = 0.0
    taken: float = 0.0
    stopped: bool = False
    signals: list[int] = field(factory=list)
    longest: float = 0.0
    still: float = 0.0

    def processor(self, members: Mapping[str, Sequence[int]]) -> dict[str, float]:
        return dict.fromkeys(members, self.taken)

    def signal_group(self, group: int, number: int) -> None:
        assert group == 7
        self.signals.append(number)
        self.stopped = number == signal.SIGSTOP

    def works(self) -> None:
        self.taken += 0.0 if self.stopped else self.wants * STEP
        self.still = self.still + STEP if self.stopped else 0.0
        self.longest = max(self.longest, self.still)


class BrakeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.machine = Clock(), Machine()
        self.allowance, self.lives = Allowance(processor=0.25), True
        self.brake = ProcessorBrake(
            meter=self.machine,
            signal_group=self.machine.signal_group,
            in_thread=at_once,
            clock=self.clock,
            alive=lambda: [RunningModule("scribe", 7, self.allowance)] if self.lives else [],
        )

    def share(self, seconds: float) -> float:
        """What it takes of a processor in this time."""
        before = self.machine.taken
        for step in range(round(seconds / STEP)):
            self.clock.advance(STEP)
            self.machine.works()
            if step % 200 == 199:
                self.brake.look({"scribe": (self.machine.taken - before) / ((step + 1) * STEP)}, {"scribe": [7]})
        return (self.machine.taken - before) / seconds

    def test_it_gets_its_share_and_answers_all_the_time(self) -> None:
        for wants in (1.0, 2.0, 0.3):
            self.setUp()
            self.machine.wants = wants
            self.share(4)
            self.assertLess(abs(self.share(20) - 0.25), 0.02, wants)
            self.assertLessEqual(self.machine.longest, 0.6, wants)
        self.brake.stop()
        self.assertFalse(self.machine.stopped)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_many_processes_get_little_and_answer(self) -> None:
        """It is never stopped for more than half a second, so what takes 16 processors has a little more."""
        self.machine.wants = 16.0
        self.share(4)
        self.assertLess(self.share(20), 2.0)
        self.assertLessEqual(self.machine.longest, 0.6)

    def test_nothing_is_measured_while_it_keeps_to_its_share(self) -> None:
        self.machine.wants = 0.25
        self.share(10)
        self.assertEqual((self.machine.signals, self.clock.getDelayedCalls()), ([], []))
        self.machine.wants = 1.0
        self.share(10)
        self.assertIn(signal.SIGSTOP, self.machine.signals)
        self.machine.wants = 0.1
        self.share(12)
        self.assertEqual((self.machine.stopped, self.clock.getDelayedCalls()), (False, []))

    def test_what_is_not_limited_any_more_runs(self) -> None:
        """By the owner's word, or because it ends: then no signal comes in between."""
        for ends in (False, True):
            self.setUp()
            self.machine.wants = 1.0
            self.share(4)
            while not self.machine.stopped:
                self.share(STEP)
            self.lives, self.allowance = not ends, Allowance()
            self.share(0.1)
            self.assertFalse(self.machine.stopped, ends)
            self.machine.signals.clear()
            self.assertLess(abs(self.share(10) - 1.0), 0.01, ends)
            self.assertEqual((self.machine.signals, self.clock.getDelayedCalls()), ([], []), ends)

    def test_another_process_of_it_begins_anew(self) -> None:
        self.machine.wants = 1.0
        self.share(4)
        self.brake.alive = lambda: [RunningModule("scribe", 8, self.allowance)]
        self.share(0.1)
        self.machine.signals.clear()
        self.share(1)
        self.assertEqual((self.machine.signals, self.clock.getDelayedCalls()), ([], []))

    def test_a_process_that_just_ended(self) -> None:
        def gone(group: int, number: int) -> None:
            raise ProcessLookupError(3, "No such process")

        self.machine.wants = 1.0
        self.brake.signal_group = gone
        self.assertLess(abs(self.share(20) - 1.0), 0.01)


class DebtTests(SynchronousTestCase):
    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.tuples(st.floats(0.01, 10), st.floats(0, 8)), max_size=20), st.floats(0.05, 8))
    def test_whoever_keeps_to_the_share_never_pauses(self, turns: list[tuple[float, float]], share: float) -> None:
        """A pause is 0 to half a second, and 0 for whoever takes less than the share in each turn."""
        modest, greedy = ProcessorDebt(), ProcessorDebt()
        now, little, much = 0.0, 0.0, 0.0
        for seconds, wants in turns:
            now, little, much = now + seconds, little + seconds * min(wants, share * 0.99), much + seconds * wants
            self.assertEqual(modest.pause(now, little, share), 0.0)
            self.assertTrue(0.0 <= greedy.pause(now, much, share) <= 0.5)
