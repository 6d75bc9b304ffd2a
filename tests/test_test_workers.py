"""Test files in several processes."""

import io
import sys
from collections import Counter
from contextlib import redirect_stdout
from pathlib import Path

from twisted.trial.runner import TestLoader
from twisted.trial.unittest import SynchronousTestCase

from tools.test_workers import Tally, TestReporter, run_in_processes, units

_FILE = """
import os
import threading
from hypothesis import settings
from twisted.internet import reactor
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SkipTest, TestCase

class {name}Tests(TestCase):
    def test_waits(self):
        return deferLater(reactor, 0.01)

    async def test_thread(self):
        await deferToThread(os.getpid)

    def test_last(self):
        {body}
"""
_BODIES = {
    "passing": "pass",
    "failing": "self.fail('as it must')",
    "skipping": "raise SkipTest('not today')",
    "dying": "os._exit(7)",
    "hanging": "threading.Event().wait()",
    "property": "self.assertEqual((settings.default.derandomize, settings.default.deadline), (True, None))",
}


class UnitsTests(SynchronousTestCase):
    def test_a_group_is_one_unit_and_browsers_are_mixed_with_live_tests(self) -> None:
        names = ["tests.test_events", *(f"tests.live.test_{name}" for name in ("https", "audit", "export", "metrics"))]
        names += ["tests.live.faults.test_faults", "tests.test_nowhere", "tests.browser.test_backups"]
        found = units(TestLoader().loadByNames(names))
        self.assertEqual(
            found,
            [
                ("tests.live.faults.test_faults",),
                ("tests.browser.test_backups",),
                ("tests.live.test_https",),
                ("tests.live.test_audit",),
                ("tests.live.test_export",),
                ("tests.live.test_metrics",),
                ("tests.test_events",),
                ("tests.test_nowhere",),
            ],
        )


class ProcessesTests(SynchronousTestCase):
    """On files that are made for it; a reactor and a thread in each."""

    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        for name, body in _BODIES.items():
            (folder / f"worker_{name}.py").write_text(_FILE.format(name=name.title(), body=body))
        sys.path.insert(0, str(folder))
        self.addCleanup(sys.path.remove, str(folder))

    def run_these(self, *names: str, workers: int = 2, limit: float = 60) -> tuple[Tally, str]:
        out = io.StringIO()
        with redirect_stdout(out):
            found = run_in_processes([(f"worker_{name}",) for name in names], workers, limit)
        return found, out.getvalue()

    def test_results_are_merged_and_failures_repeated_at_the_end(self) -> None:
        found, text = self.run_these("failing", "passing", "skipping")
        self.assertEqual((found.passed, found.failed, found.left_out), (7, 1, Counter({"not today": 1})), text)
        self.assertEqual(len(found.seconds), 9)
        tree, _, end = text.rpartition("[FAIL]\n")
        self.assertIn("worker_passing\n", tree)
        self.assertIn("as it must", end)
        self.assertIn("worker_failing.FailingTests.test_last", end)

    def test_a_process_that_dies_is_a_failure_and_the_others_go_on(self) -> None:
        found, text = self.run_these("dying", "passing", "failing")
        self.assertEqual((found.passed, found.failed), (5, 2), text)
        self.assertEqual(text.count("A test process ended with 7 in worker_dying"), 2, text)

    def test_another_process_takes_the_place_of_one_that_died(self) -> None:
        found, text = self.run_these("dying", "passing", workers=1)
        self.assertEqual((found.passed, found.failed), (3, 1), text)

    def test_properties_have_the_same_examples_in_each_run(self) -> None:
        """Not only where CI=true says so, which Hypothesis looks at."""
        found, text = self.run_these("property", workers=1)
        self.assertEqual((found.passed, found.failed), (3, 0), text)

    def test_a_file_that_never_ends_has_failed(self) -> None:
        found, text = self.run_these("hanging", "passing", workers=1, limit=6)
        self.assertEqual((found.passed, found.failed), (3, 1), text)
        self.assertIn("in worker_hanging", text)


class ReporterTests(SynchronousTestCase):
    def test_a_failure_in_a_loop_names_the_case(self) -> None:
        class Table(SynchronousTestCase):
            def test_sums(self) -> None:
                for (left, right), expected in {(1, 1): 2, (2, 2): 5}.items():
                    self.assertEqual(left + right, expected)

        stream = io.StringIO()
        reporter = TestReporter(stream)
        Table("test_sums").run(reporter)
        reporter.done()
        case = "in the case left = 2, right = 2, expected = 5"
        self.assertEqual(stream.getvalue().count(case), 2, stream.getvalue())
        self.assertEqual(list(reporter.seconds), [Table("test_sums").id()])


class TallyTests(SynchronousTestCase):
    def test_the_slowest(self) -> None:
        found = Tally(seconds={"a": 0.5, "b": 12.0}) + Tally(seconds={"c": 3.25})
        self.assertEqual(found.slowest(2), ["   12.0 s  b", "    3.2 s  c"])
