"""Runs test files in several processes at once, each file in one process, and gathers what they report.

Tests that run at the same time must not share anything of the machine: live tests take their ports from
`tests/live/ports.py`, and what is built or fetched once is built under a lock. Files that have to run one after the
other are a group of `GROUPS`.
"""

import faulthandler
import io
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, cast
from unittest import TestCase, TestSuite

from attrs import define, field, frozen
from twisted.python.failure import Failure
from twisted.trial.itrial import ITestCase
from twisted.trial.reporter import Reporter, TreeReporter
from twisted.trial.runner import ErrorHolder, TestLoader, TrialRunner
from twisted.trial.unittest import decorate
from zope.interface import implementer

from tools.failing_case import failing_case

# Everything below one of these runs in one process.
GROUPS = ("tests.live.container", "tests.live.faults")
# Long ones first, so that the short ones fill the gaps at the end. Browsers use processors, live tests mostly wait.
_BROWSER, _LIVE = "tests.browser.", "tests.live."
_LIVE_FOR_EACH_BROWSER = 2
# Seconds for one file; a group has twice as many.
LIMIT = 420
_TESTS = Path(__file__).parents[1] / "tests"


@frozen
class Tally:
    """Numbers of tests. `left_out` maps the reason why tests were skipped to their number, `seconds` are by test."""

    passed: int = 0
    failed: int = 0
    left_out: Counter[str] = field(factory=Counter)
    seconds: dict[str, float] = field(factory=dict)

    def verdict(self, strict: bool) -> tuple[int, int]:
        """Passed and failed tests. A run without a single test has failed; `strict` fails what was left out, too."""
        failed = self.failed + (self.left_out.total() if strict else 0)
        return self.passed, failed or int(self.passed + self.left_out.total() == 0)

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.passed + other.passed,
            self.failed + other.failed,
            self.left_out + other.left_out,
            {**self.seconds, **other.seconds},
        )

    def slowest(self, number: int) -> list[str]:
        """The tests that took longest, one a line."""
        ordered = sorted(self.seconds.items(), key=lambda each: -each[1])
        return [f"{seconds:7.1f} s  {name}" for name, seconds in ordered[:number]]


class TestReporter(TreeReporter):
    """trial's tree, how long each test took, and in which turn of a loop it failed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.seconds: dict[str, float] = {}
        self._began = 0.0

    def startTest(self, test: Any) -> None:
        self._began = time.monotonic()
        super().startTest(test)

    def stopTest(self, test: Any) -> None:
        super().stopTest(test)
        self.seconds[test.id()] = time.monotonic() - self._began

    def addFailure(self, test: Any, fail: Any) -> None:
        super().addFailure(test, fail)
        self._name_case(self.failures[-1][1])

    def addError(self, test: Any, error: Any) -> None:
        super().addError(test, error)
        self._name_case(self.errors[-1][1])

    def _name_case(self, failure: Any) -> None:
        """Put the case under the test's line, and into the message that is repeated at the end."""
        case = failing_case(failure.getTracebackObject(), _TESTS) if isinstance(failure, Failure) else ""
        if case:
            self._stream.write(f"      in the case {case}\n")
            if isinstance(failure.value, AssertionError):
                failure.value.args = (f"{failure.value} [in the case {case}]",)


def tally(result: Reporter) -> Tally:
    """What trial's reporter counted."""
    failed = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    seconds = result.seconds if isinstance(result, TestReporter) else {}
    return Tally(result.successes, failed, Counter(str(reason) for _, reason in result.skips), seconds)


def units(suite: TestSuite) -> list[tuple[str, ...]]:
    """The test files of a suite, those of a group together."""
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(_file(test) for test in _cases(suite)):
        group = next((group for group in GROUPS if name.startswith(f"{group}.")), name)
        found.setdefault(group, []).append(name)
    names = [name for name in found if not name.startswith((*GROUPS, _BROWSER, _LIVE))]
    live = [name for name in found if name.startswith(_LIVE) and name not in GROUPS]
    mixed = []
    for browser in [name for name in found if name.startswith(_BROWSER)]:
        mixed += [browser, *live[:_LIVE_FOR_EACH_BROWSER]]
        del live[:_LIVE_FOR_EACH_BROWSER]
    ordered = [*[group for group in GROUPS if group in found], *mixed, *live, *names]
    return [tuple(found[name]) for name in ordered]


def same_examples() -> None:
    """Test properties with the same examples in each run, on a machine of any speed, as Hypothesis does for CI alone.

    Tests that are imported afterwards have it.
    """
    from hypothesis import settings

    settings.load_profile("ci")


def run_here(suite: TestSuite) -> Tally:
    """Run the suite in this process."""
    return tally(cast(Reporter, TrialRunner(TestReporter).run(suite)))


def run_in_processes(waiting: Sequence[tuple[str, ...]], number: int, limit: float = LIMIT) -> Tally:
    """Run these files in `number` processes.

    A process that dies, or takes longer than `limit` seconds for a unit, counts as one failed test, and another one
    takes its place. What it had passed before is not counted.
    """
    todo, workers, total = list(waiting), [Worker.start(limit) for _ in range(number)], Tally()
    last_words = []
    for worker in workers:
        worker.give(todo.pop(0) if todo else None)
    while running := {worker.pipe: worker for worker in workers if worker.running}:
        for pipe in wait(list(running)):
            worker = running[cast("Connection[Any, Any]", pipe)]
            report = worker.hear()
            print(report.text, end="", flush=True)
            if report.tally is not None:
                total += report.tally
                last_words.append(report.last_words)
            if worker.running:
                worker.give(todo.pop(0) if todo else None)
            elif worker.unit and todo:
                workers.append(Worker.start(limit))
                workers[-1].give(todo.pop(0))
    print(*last_words, sep="")
    return total


@frozen
class Report:
    """What a worker said after a unit. Its last report has `tally` and `last_words`, which repeat its failures."""

    text: str
    tally: Tally | None = None
    last_words: str = ""


@define
class Worker:
    """A process that runs one unit after another."""

    pipe: "Connection[Any, Any]"
    process: Any
    unit: tuple[str, ...] | None = None
    running: bool = True

    @classmethod
    def start(cls, limit: float) -> "Worker":
        """A process that ends itself, and prints what it was at, after `limit` seconds with one unit."""
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, limit))
        process.start()
        theirs.close()
        return cls(ours, process)

    def give(self, unit: tuple[str, ...] | None) -> None:
        """The next unit; None ends the worker."""
        self.unit = unit
        self.pipe.send(unit)

    def hear(self) -> Report:
        """Wait for a report. One of a failure when the process has died."""
        try:
            report: Report = self.pipe.recv()
        except EOFError:
            self.process.join()
            text = f"A test process ended with {self.process.exitcode} in {' '.join(self.unit or ('its end',))}\n"
            report = Report(text, Tally(failed=1), text)
        self.running = report.tally is None
        if not self.running:
            self.process.join()
        return report


@implementer(ITestCase)
class _Units(TestCase):
    """All units that this worker is given, as one test for trial's runner: after a run, trial ends the reactor."""

    skip = None

    def __init__(self, pipe: "Connection[Any, Any]", stream: io.StringIO, limit: float) -> None:
        super().__init__("run")
        self.pipe = pipe
        self.stream = stream
        self.limit = limit

    def run(self, result: Any = None) -> None:
        while (unit := self.pipe.recv()) is not None:
            faulthandler.dump_traceback_later(self.limit * min(len(unit), 2), exit=True)
            suite = decorate(TestLoader().loadByNames(list(unit), recurse=True), ITestCase)
            suite.run(result)
            faulthandler.cancel_dump_traceback_later()
            self.pipe.send(Report(_taken(self.stream)))


def _work(pipe: "Connection[Any, Any]", limit: float) -> None:
    """The life of a worker."""
    same_examples()
    stream = io.StringIO()
    result = TrialRunner(TestReporter, stream=stream).run(_Units(pipe, stream, limit))
    text = _taken(stream)
    pipe.send(Report("", tally(cast(Reporter, result)), text if not result.wasSuccessful() else ""))


def _file(test: Any) -> str:
    """The module of a test; a module that cannot be imported is itself one of trial's tests."""
    return str(test.id()) if isinstance(test, ErrorHolder) else type(test).__module__


def _taken(stream: io.StringIO) -> str:
    text = stream.getvalue()
    stream.seek(0)
    stream.truncate()
    return text


def _cases(suite: Iterable[Any]) -> Iterator[Any]:
    for each in suite:
        if isinstance(each, Iterable):
            yield from _cases(each)
        else:
            yield each
