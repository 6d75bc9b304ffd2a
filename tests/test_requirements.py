"""What tests need, and what happens where it is missing."""

from pathlib import Path

from twisted.trial.reporter import TestResult
from twisted.trial.unittest import SynchronousTestCase

from tests import requirements
from tests.requirements import PROGRAMS, RIGHTS, Need, cgroup_folder, names_in, program, requires, right, why_skip

_MET = Need("met", lambda: True, "")
_MISSING = Need("nothing like it", lambda: False, "buy one", "a-package")


class RequirementTests(SynchronousTestCase):
    def test_a_test_without_its_need_is_skipped_and_says_which(self) -> None:
        reason = why_skip((_MISSING, _MET))
        self.assertEqual(reason, "needs nothing like it")
        self.assertEqual(names_in(str(reason)), ["nothing like it"])
        self.assertEqual(names_in("not today"), [])
        self.assertIsNone(why_skip((_MET,)))

    def test_trial_skips_it_and_runs_its_neighbour(self) -> None:
        self.addCleanup(requirements._declared.discard, _MISSING)

        class Some(SynchronousTestCase):
            @requires(_MET, _MISSING)
            def test_it(self) -> None:
                raise AssertionError("it must be skipped")

            def test_neighbour(self) -> None:
                self.assertTrue(_MET.met())

        result = TestResult()
        for name in ("test_it", "test_neighbour"):
            Some(name).run(result)
        self.assertEqual((result.successes, [reason for _, reason in result.skips]), (1, ["needs nothing like it"]))
        self.assertIn(_MISSING, requirements.lacking())

    def test_every_row_of_the_tables_is_a_need_with_a_remedy(self) -> None:
        for name in PROGRAMS:
            self.assertIn(PROGRAMS[name], program(name).remedy, name)
        for name in RIGHTS:
            self.assertTrue(right(name).remedy, name)
            self.assertIsInstance(right(name).met(), bool, name)
        self.assertRaises(KeyError, program, "no such program")

    def test_every_row_of_the_tables_is_used(self) -> None:
        """Otherwise `make test` would install what no test needs."""
        folder = Path(__file__).parent
        text = "".join(
            path.read_text()
            for path in folder.rglob("*.py")
            if path.name not in ("test_requirements.py", "requirements.py")
        )
        declared = [f'"{name}"' for name in (*PROGRAMS, *RIGHTS)]
        self.assertEqual([each for each in declared if each not in text], [])

    def test_cgroups_lie_in_a_folder_that_exists(self) -> None:
        self.assertEqual(cgroup_folder("no-such-controller"), Path("/sys/fs/cgroup"))
