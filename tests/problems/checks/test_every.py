"""No check without a fault test, and none that the hub does not run."""

import pkgutil
import re

from attrs import fields_dict
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.problems import checks
from tests.support.documents import ROOT
from tests.support.whole import whole

# The fault of notices is a destination that fails, which its service's tests have.
TESTS = (*(ROOT / "tests" / "problems" / "checks").glob("test_*.py"), ROOT / "tests" / "notices" / "test_service.py")


def found() -> list[type]:
    """The classes that look for something."""
    here = f"{checks.__name__}."
    modules = [whole(one.name) for one in pkgutil.iter_modules(checks.__path__, here)]
    classes = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    return [value for value in classes if value.__module__.startswith(here) and "look" in vars(value)]


class EveryCheckTests(SynchronousTestCase):
    def test_each_has_a_fault_test_and_runs(self) -> None:
        names = {check.__name__ for check in found()}
        self.assertGreater(len(names), 25)
        for paths in (TESTS, (ROOT / "parachute_hub" / "app" / "problems.py",)):
            # Below the imports.
            used = " ".join(path.read_text().rpartition("\nfrom ")[2] for path in paths)
            self.assertEqual(names - {*re.findall(r"\w+", used)}, set())

    def test_each_wakes_on_what_there_is(self) -> None:
        acts = re.findall(r"^\| `([\w-]+)` \|", (ROOT / "docs" / "activity.md").read_text(), re.MULTILINE)
        wakes = {wake for check in found() for wake in fields_dict(check)["wakes"].default or ()}
        self.assertIn("module-config", wakes)
        self.assertEqual(wakes - {"modules", "jobs", "reports", *acts}, set())
