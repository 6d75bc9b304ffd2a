"""No check without a fault test, and none that the hub does not run."""

import pkgutil
import re

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.problems import checks
from tests.support.documents import ROOT
from tests.support.whole import whole

# The fault of notices is a destination that fails, which its service's tests have.
TESTS = (*(ROOT / "tests" / "problems" / "checks").glob("test_*.py"), ROOT / "tests" / "notices" / "test_service.py")


def names() -> set[str]:
    """The classes that look for something."""
    here = f"{checks.__name__}."
    modules = [whole(one.name) for one in pkgutil.iter_modules(checks.__path__, here)]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    return {value.__name__ for value in found if value.__module__.startswith(here) and "look" in vars(value)}


class EveryCheckTests(SynchronousTestCase):
    def test_each_has_a_fault_test_and_runs(self) -> None:
        self.assertGreater(len(names()), 25)
        for paths in (TESTS, (ROOT / "parachute_hub" / "app" / "problems.py",)):
            # Below the imports.
            used = " ".join(path.read_text().rpartition("\nfrom ")[2] for path in paths)
            self.assertEqual(names() - {*re.findall(r"\w+", used)}, set())
