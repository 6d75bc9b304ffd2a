"""Which turn of a loop failed."""

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tools.failing_case import failing_case

_HERE = Path(__file__).parent


def compare(left: int, right: int) -> None:
    for _unused in range(1):
        pass
    if left != right:
        raise AssertionError("they differ")


def table() -> None:
    for (name, _kind), expected in {("one", "x"): 1, ("two", "y"): 3}.items():
        for number in (expected,):
            compare(number, {"one": 1, "two": 2}[name])


async def rows() -> None:
    for row in ("first", "second"):
        await Deferred.fromCoroutine(fails_at(row))


async def fails_at(text: str) -> None:
    if text == "second":
        raise ValueError


class FailingCaseTests(SynchronousTestCase):
    def case_of(self, error: BaseException) -> str:
        return failing_case(error.__traceback__, _HERE)

    def test_all_loops_around_the_failing_line_are_named(self) -> None:
        error = self.assertRaises(AssertionError, table)
        self.assertEqual(self.case_of(error), "name = 'two', _kind = 'y', expected = 3, number = 3")

    def test_asynchronous_tests_as_well(self) -> None:
        error: Any = self.failureResultOf(Deferred.fromCoroutine(rows()), ValueError).value
        self.assertEqual(self.case_of(error), "row = 'second'")

    def test_nothing_is_said_without_a_loop(self) -> None:
        self.assertEqual(self.case_of(self.assertRaises(AssertionError, compare, 1, 2)), "")

    def test_code_of_others_is_not_looked_at(self) -> None:
        error = self.assertRaises(AssertionError, table)
        self.assertEqual(failing_case(error.__traceback__, _HERE / "browser"), "")
