"""Ports that differ from the registered one: every kind, and its fix."""

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.reconcile.port_drift import NoRemedy, PortState, Remedy, kind, remedy
from parachute_hub.supervise.model import LISTENS

WELL = PortState(row=1940, given=1940, error={}, well=True)
ELSEWHERE = PortState(row=1940, given=1940, error={"error_type": "started_but_unbound", LISTENS: [3000]}, well=False)
SQUATTED = PortState(row=1940, given=None, error={"error_type": "port_squatter"}, well=False)
MOVED_ROW = PortState(row=1955, given=1940, error={}, well=True)


def nothing_is_busy(port: int) -> bool:
    return False


class DriftTests(SynchronousTestCase):
    def refused(self, standing: PortState, *listens: int) -> str:
        with self.assertRaises(NoRemedy) as caught:
            remedy("toy", standing, listens, {1939, 1942}, nothing_is_busy)
        return str(caught.exception)

    def test_where_it_should_be(self) -> None:
        self.assertIsNone(kind(WELL))
        self.assertIn("nothing to repair", self.refused(WELL, 1940))

    def test_one_that_only_starts_has_not_drifted(self) -> None:
        starting = PortState(row=1940, given=1941, error={}, well=False)
        silent = PortState(row=1940, given=1940, error={"error_type": "started_but_unbound"}, well=False)
        self.assertEqual([kind(starting), kind(silent)], [None, None])

    def test_one_that_does_not_heed_its_port_is_looked_for_where_it_is(self) -> None:
        self.assertEqual(kind(ELSEWHERE), "elsewhere")
        found = remedy("toy", ELSEWHERE, [3000], {1939, 1942}, nothing_is_busy)
        self.assertEqual(found.port, 3000)
        self.assertIn("3000", found.text)

    def test_a_foreign_port_is_not_taken(self) -> None:
        """Neither another module's nor the hub's own; only the remaining ones."""
        self.assertEqual(remedy("toy", ELSEWHERE, [1942, 3000, 1939], {1939, 1942}, nothing_is_busy).port, 3000)
        self.assertIn("no port", self.refused(ELSEWHERE, 1942, 1939))
        self.assertIn("no port", self.refused(ELSEWHERE))

    def test_of_several_the_hub_does_not_choose(self) -> None:
        self.assertIn("3000, 3001", self.refused(ELSEWHERE, 3001, 3000))

    def test_a_foreign_program_keeps_the_port_and_the_module_gets_another(self) -> None:
        """A free one that nobody else owns."""
        found = remedy("toy", SQUATTED, [], {1939, 1941}, lambda port: port == 1944)
        self.assertEqual(found, Remedy(1945, "Another program has port 1940, so toy gets 1945."))

    def test_a_row_that_was_changed_is_followed(self) -> None:
        """The owner edited the row; the module restarts on that port."""
        self.assertEqual(kind(MOVED_ROW), "row")
        found = remedy("toy", MOVED_ROW, [1940], {1939}, nothing_is_busy)
        self.assertIsNone(found.port)
        self.assertIn("1955", found.text)
