"""The order of file writes, and what callers see of them."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.system.file_writer import FileWriter
from tests.support.at_once import at_once
from tests.support.later import Later


class FileWriterTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.later = Later()
        self.files = FileWriter(self.later)
        self.done: list[str] = []

    def write(self, what: str) -> "Deferred[None]":
        return self.files(self.done.append, what)

    def test_the_order_of_calls_is_the_order_on_disk(self) -> None:
        waiting = [self.write(what) for what in "abc"]
        self.assertEqual(self.done, [])
        self.later.go()
        self.assertEqual(self.done, ["a", "b", "c"])
        for deferred in waiting:
            self.successResultOf(deferred)

    def test_what_was_submitted_runs_though_its_caller_was_cancelled(self) -> None:
        """The undo of a cancelled step is submitted next, and must come after the step."""
        followed: list[str] = []
        waiting = self.files.change(lambda: self.done.append("step"), lambda _: followed.append("step"))
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.write("undo")
        self.later.go()
        self.assertEqual((self.done, followed), (["step", "undo"], ["step"]))

    def test_failures_reach_the_caller(self) -> None:
        def fail() -> None:
            raise OSError(28, "No space left on device")

        for failing in (
            self.files(fail),
            self.files.surely(fail),
            self.files.change(self.done.copy, lambda _: fail()),
        ):
            self.later.go()
            self.failureResultOf(failing, OSError)
        self.assertEqual(self.done, [])

    def test_a_failure_after_the_caller_left_is_logged(self) -> None:
        waiting = self.files.change(self.done.copy, lambda _: 1 / 0)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        self.later.go()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_inline_without_an_executor(self) -> None:
        self.assertEqual(at_once(FileWriter()(lambda: 3)), 3)
