"""When the owner is asked."""

import doctest

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.jobs.runner import JobFailed
from parachute_hub.modules.definition.permissions import Permissions
from parachute_hub.modules.operations import agreement
from parachute_hub.modules.operations.agreement import agree, agree_to_init


class AgreementTests(SynchronousTestCase):
    def test_docstring_examples_hold(self) -> None:
        self.assertEqual(doctest.testmod(agreement).failed, 0)

    def test_more_is_asked_for(self) -> None:
        """The response contains what to send back to agree."""
        asked = Permissions(programs=("ffmpeg",), folders=("~/Music",))
        with self.assertRaises(JobFailed) as caught:
            agree("scribe", "@x/scribe", asked, Permissions())
        self.assertIn("scribe wants to read and change ~/Music and run ffmpeg.", str(caught.exception))
        detail = caught.exception.detail
        assert detail is not None
        self.assertEqual(detail["error_type"], "more_permissions")
        agree("scribe", "@x/scribe", asked, Permissions.parse(detail["permissions"]))

    def test_as_much_or_less_is_not_asked_for(self) -> None:
        agree("scribe", "@x/scribe", Permissions(network="none"), Permissions())
        agree("scribe", "@x/scribe", Permissions(memory=4096), Permissions())

    def test_a_command_of_its_own_is_a_question_once(self) -> None:
        """Whatever the owner decided goes on; without a decision nothing runs."""
        with self.assertRaises(JobFailed) as caught:
            agree_to_init("toy", ("toy", "set up"), None)
        self.assertIn("toy 'set up'", str(caught.exception))
        self.assertEqual(caught.exception.detail, {"error_type": "init_command", "command": ["toy", "set up"]})
        for decided in (True, False):
            agree_to_init("toy", ("toy", "set up"), decided)
