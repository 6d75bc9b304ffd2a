"""The examples in docstrings are true."""

import doctest
import pkgutil
from importlib import import_module

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub import accounts
from parachute_hub.site import cookies


class ExampleTests(SynchronousTestCase):
    def test_examples(self) -> None:
        modules = [
            import_module(f"{accounts.__name__}.{found.name}") for found in pkgutil.iter_modules(accounts.__path__)
        ]
        results = [doctest.testmod(module) for module in (*modules, cookies)]
        self.assertEqual(sum(result.failed for result in results), 0)
        self.assertGreater(sum(result.attempted for result in results), 15)
