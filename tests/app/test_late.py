"""What is made after those who use it."""

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.app.late import Late


class LateTests(SynchronousTestCase):
    def test_it_is_there_once_it_was_kept(self) -> None:
        late = Late[str]()
        self.assertRaises(RuntimeError, late)
        waiting = [late.soon(), late.soon()]
        self.assertNoResult(waiting[0])
        self.assertEqual(late.keep("made"), "made")
        self.assertEqual([self.successResultOf(each) for each in [*waiting, late.soon()]], ["made"] * 3)
        self.assertEqual(late(), "made")
