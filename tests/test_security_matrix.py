"""docs/security.md names a test for each check: every one of them exists."""

import re
from importlib import import_module
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import tests

PAGE = Path(tests.__file__).parent.parent / "docs" / "security.md"
_CHECK = re.compile(r"^\| \*\*(?P<name>[a-z0-9-]+)\*\* .+? \|(?P<shown>[^|]+)\|$", re.MULTILINE)
_TEST = re.compile(r"`(tests(?:\.\w+)+)`")


def exists(path: str) -> bool:
    """Whether a test with this dotted path exists."""
    module, _, rest = path.rpartition(".")
    module, _, case = module.rpartition(".")
    try:
        return callable(getattr(getattr(import_module(module), case), rest))
    except (ImportError, AttributeError):
        return False


class Matrix(SynchronousTestCase):
    def test_every_named_test_exists(self) -> None:
        named = _TEST.findall(PAGE.read_text())
        self.assertGreater(len(named), 5)
        for path in named:
            with self.subTest(path):
                self.assertTrue(exists(path))

    def test_every_check_names_a_test_and_has_a_name_of_its_own(self) -> None:
        checks = _CHECK.findall(PAGE.read_text())
        rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| **")]
        self.assertEqual(len(checks), len(rows))
        names = [name for name, _ in checks]
        self.assertEqual(len(set(names)), len(names))
        for name, shown in checks:
            with self.subTest(name):
                self.assertTrue(_TEST.search(shown))

    def test_a_test_that_is_gone_is_noticed(self) -> None:
        self.assertFalse(exists("tests.test_security_matrix.Matrix.test_of_no_such_name"))
        self.assertFalse(exists("tests.no_such_module.Matrix.test_x"))
