import doctest

from twisted.trial.unittest import SynchronousTestCase

import parachute_hub.command.actions
import parachute_hub.command.jobs
import parachute_hub.command.tables
import parachute_hub.logs
import parachute_hub.settings
import parachute_hub.site.about
import parachute_hub.site.answers
import parachute_hub.site.wellknown


class Examples(SynchronousTestCase):
    def test_the_examples_in_the_docstrings_are_true(self) -> None:
        """They are documentation that readers trust."""
        for module in (
            parachute_hub.command.actions,
            parachute_hub.command.jobs,
            parachute_hub.command.tables,
            parachute_hub.logs,
            parachute_hub.settings,
            parachute_hub.site.answers,
            parachute_hub.site.about,
            parachute_hub.site.wellknown,
        ):
            result = doctest.testmod(module)
            self.assertGreater(result.attempted, 0, module.__name__)
            self.assertEqual(result.failed, 0, module.__name__)
