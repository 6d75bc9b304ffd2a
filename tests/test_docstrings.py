"""The examples in docstrings work."""

import doctest
import pkgutil

from twisted.trial.unittest import SynchronousTestCase

import parachute_hub
from tests.support.whole import whole


class ExampleTests(SynchronousTestCase):
    def test_every_example_holds(self) -> None:
        attempted = 0
        for found in pkgutil.walk_packages(parachute_hub.__path__, "parachute_hub."):
            with self.subTest(found.name):
                result = doctest.testmod(whole(found.name), optionflags=doctest.ELLIPSIS)
                self.assertEqual(result.failed, 0)
                attempted += result.attempted
        self.assertGreater(attempted, 60)
