"""Delays of the reactor."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import EventLoggingObserver
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from parachute_hub.system.reactor_lag import LagProbe, stack_of

REAL: Any = reactor


class LagTests(TestCase):
    def test_a_delay_is_logged_with_its_length(self) -> None:
        """Half a millisecond is ignored, and 80, which nobody notices; 120 ms is logged."""
        events = EventLoggingObserver.createWithCleanup(self, globalLogPublisher)
        clock = Clock()
        probe = LagProbe(clock=clock, now=clock.seconds)
        probe.startService()
        self.addCleanup(probe.stopService)
        for step in (0.05, 0.05, 0.0505, 0.13, 0.17, 0.05):
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

    def test_it_rests_while_nobody_uses_the_hub(self) -> None:
        """A request, or work without one, keeps it awake."""
        clock = Clock()
        used = 0.0
        probe = LagProbe(clock=clock, now=clock.seconds, used=lambda: used)

        def rests(seconds: int, *, work: float = 0.0) -> bool:
            """Whether beats are more than a second apart at the end of this time."""
            nonlocal used
            pauses = []
            for _ in range(seconds * 20):
                used += work * 0.05
                clock.advance(0.05)
                (call,) = clock.getDelayedCalls()
                pauses.append(call.getTime() - clock.seconds())
            return max(pauses[-45:]) > 1

        probe.startService()
        self.addCleanup(probe.stopService)
        probe.attend()
        self.assertFalse(rests(4))
        self.assertTrue(rests(12))
        probe.attend()
        self.assertFalse(rests(3))
        self.assertFalse(rests(22, work=0.1))
        self.assertTrue(rests(12))
        self.assertFalse(rests(11, work=0.5))

    def test_a_long_delay_counts_while_it_rests_too(self) -> None:
        clock = Clock()
        probe = LagProbe(clock=clock, now=clock.seconds, used=lambda: 0.0, quiet_after=0.0)
        probe.startService()
        self.addCleanup(probe.stopService)
        clock.advance(0.05)
        clock.advance(10.0)
        probe.worst = 0.0
        clock.advance(11.0)
        self.assertAlmostEqual(probe.worst, 1.0)


class _StandingClock(Clock):
    """One that was put back, and goes on: seen from a clock that nobody sets it is further and further behind."""

    def __init__(self) -> None:
        super().__init__()
        self.told: Deferred[Callable[[], object]] = Deferred()

    def callFromThread(self, call: Callable[[], object]) -> None:
        REAL.callFromThread(self._tell, call)

    def _tell(self, call: Callable[[], object]) -> None:
        if not self.told.called:
            self.told.callback(call)


class StepTests(TestCase):
    async def test_timers_are_moved_when_the_clock_was_put_back(self) -> None:
        """The reactor is idle meanwhile, and no timer of its own would tell."""
        clock = _StandingClock()
        probe = LagProbe(clock=clock, now=time.monotonic, used=lambda: 0.0)
        probe.startService()
        self.addCleanup(probe.stopService)
        moved = clock.callLater(0.9, lambda: None)
        (await clock.told)()
        self.assertTrue(moved.getTime() <= clock.seconds())


class StackTests(SynchronousTestCase):
    def blocked_in(self, function: str, depth: int = 0, meanwhile: Sequence[threading.Thread] = ()) -> str | None:
        """The stack of a thread that waits in a function of this name, below `depth` more calls; others start after
        it.
        """
        waits, ends = threading.Event(), threading.Event()
        names: dict[str, Any] = {"waits": waits, "ends": ends}
        code = f"def {function}(): waits.set(); ends.wait()\ndef down(n): down(n - 1) if n else {function}()"
        exec(code, names)
        thread = threading.Thread(target=names["down"], args=(depth,))
        thread.start()
        try:
            waits.wait()
            for other in meanwhile:
                other.start()
            return stack_of(thread.ident or 0)
        finally:
            ends.set()
            thread.join()

    def test_the_innermost_calls_of_another_thread(self) -> None:
        found = self.blocked_in("hashing") or ""
        self.assertIn("<string>:1 hashing > threading.py:", found)
        self.assertEqual(found.count(" > "), 3)

    def test_more_calls_than_a_dump_holds(self) -> None:
        self.assertIn("<string>:1 hashing > ", self.blocked_in("hashing", depth=900) or "")

    def test_among_many_threads(self) -> None:
        """Their dump is larger than a pipe is by itself."""
        waits = threading.Event()

        def down(n: int) -> None:
            down(n - 1) if n else waits.wait()

        threads = [threading.Thread(target=down, args=(200,)) for _ in range(60)]
        try:
            # The oldest thread comes last in a dump.
            self.assertIn("<string>:1 hashing > ", self.blocked_in("hashing", meanwhile=threads) or "")
        finally:
            waits.set()
            for thread in threads:
                thread.join()

    def test_a_thread_that_is_gone(self) -> None:
        self.assertIsNone(stack_of(1))
