"""What is done again and again."""

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.system.timers import every


class EveryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.calls = 0

    def test_a_failure_is_told_and_ends_nothing(self) -> None:
        """Neither an exception nor a Deferred that fails."""

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

    def test_one_at_a_time(self) -> None:
        """The next call waits for the end of a slow one."""
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
