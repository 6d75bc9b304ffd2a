"""Periodic tasks."""

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.system.timers import ClockSteps, FailureLog, Rest, every


class EveryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.calls = 0

    def test_a_failure_is_told_and_ends_nothing(self) -> None:
        """Neither an exception nor a failing Deferred."""

        def work() -> Deferred[None] | None:
            self.calls += 1
            if self.calls == 1:
                raise OSError("the disk is full")
            return fail(OSError("still full")) if self.calls == 2 else None

        call = every(self.clock, 10.0, work)
        self.clock.pump([10.0] * 3)
        self.assertEqual(self.calls, 3)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 2)
        call.stop()
        self.clock.advance(10.0)
        self.assertEqual(self.calls, 3)

    def test_tasks_of_one_period_have_their_turns_together(self) -> None:
        """An idle process then wakes up once for all of them."""
        turns: list[float] = []
        for late in (0.0, 0.25, 0.5):
            self.clock.advance(late)
            every(self.clock, 2.0, lambda: turns.append(self.clock.seconds()))
        self.clock.pump([0.25] * 24)
        self.assertEqual([at for at in turns if at > 3.0], [4.0, 4.0, 4.0, 6.0, 6.0, 6.0])

    def test_one_at_a_time(self) -> None:
        """The next call waits for a slow one."""
        slow: Deferred[None] = Deferred()

        def work() -> Deferred[None]:
            self.calls += 1
            return slow

        every(self.clock, 10.0, work)
        self.clock.pump([10.0] * 3)
        self.assertEqual(self.calls, 1)
        slow.callback(None)
        self.clock.advance(10.0)
        self.assertEqual(self.calls, 2)

    def test_a_failure_that_lasts_is_logged_once(self) -> None:
        """And again after the task has worked."""
        broken = True

        def work() -> None:
            if broken:
                raise OSError("the disk is full")

        every(self.clock, 10.0, work)
        self.clock.pump([10.0] * 5)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        broken = False
        self.clock.advance(10.0)
        broken = True
        self.clock.pump([10.0] * 5)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)


class FailuresTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.failures = FailureLog()
        self.broken = {"a", "b"}
        self.reached: list[str] = []

    def work(self, item: str) -> None:
        self.reached.append(item)
        if item == "a" and item in self.broken:
            raise KeyError(item)
        if item == "b" and item in self.broken:
            raise OSError(item)

    def logged(self) -> int:
        return len(self.flushLoggedErrors(KeyError, OSError))

    def test_items_that_fail_keep_none_of_the_others_from_their_turn(self) -> None:
        self.failures.each("task", self.work, "abc")
        self.assertEqual(self.reached, ["a", "b", "c"])
        self.assertEqual(self.logged(), 2)

    def test_items_that_fail_differently_are_each_logged_once(self) -> None:
        """Alternating failures are not logged as new."""
        for _ in range(5):
            self.failures.each("task", self.work, "abc")
        self.assertEqual(self.logged(), 2)

    def test_causes_that_take_turns_are_each_logged_once(self) -> None:
        for item in "ababab":
            self.assertFalse(self.failures.attempt("task", self.work, item))
        self.assertEqual(self.logged(), 2)

    def test_a_task_that_worked_is_logged_when_it_fails_again(self) -> None:
        self.failures.each("task", self.work, "abc")
        self.broken.clear()
        self.failures.each("task", self.work, "abc")
        self.broken.add("a")
        self.assertEqual(self.logged(), 2)
        self.failures.each("task", self.work, "abc")
        self.assertEqual(self.logged(), 1)

    def test_one_task_says_nothing_about_another(self) -> None:
        self.assertFalse(self.failures.attempt("first", self.work, "a"))
        self.assertTrue(self.failures.attempt("second", self.work, "c"))
        self.assertFalse(self.failures.attempt("first", self.work, "a"))
        self.assertEqual(self.logged(), 1)


class RestTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.turns: list[float] = []
        self.rest = Rest(self.clock, after=10.0)
        self.task = self.rest.every(1.0, 5.0, lambda: self.turns.append(self.clock.seconds()), "Looking")

    def pass_(self, seconds: int) -> list[float]:
        """The turns that a task has meanwhile."""
        self.turns.clear()
        self.clock.pump([0.5] * seconds * 2)
        return list(self.turns)

    def test_turns_are_rarer_while_nobody_uses_the_hub(self) -> None:
        self.assertEqual(self.pass_(10), [float(at) for at in range(1, 11)])
        self.assertTrue(self.rest.is_resting)
        self.assertEqual(self.pass_(20), [15.0, 20.0, 25.0, 30.0])

    def test_they_are_frequent_again_at_once_and_in_step(self) -> None:
        self.pass_(21)
        self.clock.advance(0.3)
        self.rest.attend()
        self.assertFalse(self.rest.is_resting)
        turns = self.pass_(5)
        self.assertEqual(len(turns), 5)
        self.assertLessEqual(turns[0] - 21.3, 1.0)

    def test_use_keeps_the_hub_awake(self) -> None:
        for _ in range(10):
            self.assertEqual(len(self.pass_(5)), 5)
            self.rest.attend()

    def test_a_task_that_begins_or_has_ended_in_the_rest(self) -> None:
        self.pass_(15)
        late: list[float] = []
        self.rest.every(1.0, 5.0, lambda: late.append(self.clock.seconds()), "Looking, too")
        self.task.stop()
        self.assertEqual((self.pass_(10), late), ([], [20.0, 25.0]))
        self.rest.attend()
        self.pass_(3)
        self.assertEqual(len(late), 5)

    def test_a_slow_turn_is_not_repeated(self) -> None:
        slow: Deferred[None] = Deferred()
        began: list[float] = []

        def work() -> Deferred[None]:
            began.append(self.clock.seconds())
            return slow

        self.rest.every(1.0, 5.0, work, "Slow")
        self.pass_(15)
        self.rest.attend()
        self.pass_(5)
        self.assertEqual(len(began), 1)
        slow.callback(None)
        self.pass_(2)
        self.assertEqual(len(began), 3)


class ClockStepTests(SynchronousTestCase):
    """The machine's clock is set while timers wait."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(100_000)
        self.elapsed = 0.0
        self.steps = ClockSteps(self.clock, lambda: self.elapsed)

    def pass_(self, seconds: int) -> None:
        for _ in range(seconds):
            self.elapsed += 1
            self.clock.advance(1)

    def test_timers_go_on_when_it_is_put_back(self) -> None:
        turns: list[float] = []
        once: list[float] = []
        task = every(self.clock, 2.0, lambda: turns.append(self.elapsed))
        self.addCleanup(task.stop)
        self.clock.callLater(3, lambda: once.append(self.elapsed))
        self.clock.callLater(3, once.append, 0).cancel()
        self.pass_(1)
        self.clock.rightNow -= 7200
        self.assertTrue(self.steps.put_back)
        self.steps.look()
        self.assertFalse(self.steps.put_back)
        self.pass_(9)
        self.assertEqual((once, len(turns)), ([3.0], 5))

    def test_it_may_be_put_back_again(self) -> None:
        once: list[float] = []
        self.clock.callLater(5, lambda: once.append(self.elapsed))
        for _ in range(3):
            self.pass_(1)
            self.clock.rightNow -= 3600
            self.steps.look()
        self.pass_(3)
        self.assertEqual(once, [5.0])

    def test_what_is_no_step_back_moves_nothing(self) -> None:
        """A correction by less than a second, a jump ahead, as after a sleep, and none."""
        for step in (-0.5, 86_400 * 3, 0):
            call = self.clock.callLater(1_000_000, lambda: None)
            due = call.getTime()
            self.clock.rightNow += step
            self.assertFalse(self.steps.put_back, step)
            self.steps.look()
            self.assertEqual(call.getTime(), due, step)
            call.cancel()
