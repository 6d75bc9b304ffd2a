import doctest

from twisted.trial.unittest import SynchronousTestCase

import parachute_hub.cli.commands
import parachute_hub.cli.progress
import parachute_hub.cli.tables
import parachute_hub.settings
import parachute_hub.site.about
import parachute_hub.site.answers
import parachute_hub.site.well_known
import parachute_hub.system.logs


class Examples(SynchronousTestCase):
    def test_the_examples_in_the_docstrings_are_true(self) -> None:
        """They are documentation that readers trust."""
        for module in (
            parachute_hub.cli.commands,
            parachute_hub.cli.progress,
            parachute_hub.cli.tables,
            parachute_hub.system.logs,
            parachute_hub.settings,
            parachute_hub.site.answers,
            parachute_hub.site.about,
            parachute_hub.site.well_known,
        ):
            result = doctest.testmod(module)
            self.assertGreater(result.attempted, 0, module.__name__)
            self.assertEqual(result.failed, 0, module.__name__)
