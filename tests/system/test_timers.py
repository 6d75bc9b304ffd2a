"""Periodic tasks."""

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.system.timers import FailureLog, every


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
