from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.problems.checks.machine import MB
from parachute_hub.problems.checks.vaults import LeavingVault, LeavingVaults, QuotaRoom, UsedRoom
from tests.support.always import always


class LeavingTests(SynchronousTestCase):
    def test_owners_hear_in_time(self) -> None:
        """Notices carry title and key elsewhere: no name is in them."""
        for days, words in ((4.9, "5 days"), (1.2, "1 day "), (0.1, "1 day ")):
            (found,) = LeavingVaults(leaving=always([LeavingVault(vault="kim", days=days)])).look()
            self.assertIn(f"deleted in {words}", f"{found.text} ")
            self.assertNotIn("kim", f"{found.key} {found.title} {found.text}")
            self.assertEqual(found.detail, "It is the vault kim.")
            (keep, _) = found.fixes
            self.assertEqual((keep.method, keep.path, keep.safe), ("DELETE", "/vaults/kim/deletion", False))

    def test_a_failure_says_why(self) -> None:
        """Somebody who dismissed the warning hears of it."""
        soon, failed = (
            LeavingVaults(leaving=always([LeavingVault(vault="kim", days=0, failure=failure)])).look()[0]
            for failure in ("", "There is no such command.")
        )
        self.assertIn("There is no such command.", failed.detail)
        self.assertFalse(failed.same_as(soon))


class QuotaTests(SynchronousTestCase):
    def test_from_eighty_percent_on(self) -> None:
        for used, title in ((79, None), (80, "A vault has little room left"), (100, "A vault has no room left")):
            largest = [("its files", 60 * MB), ("its notes", 20 * MB)]
            found = QuotaRoom(rooms=always([UsedRoom("kim", "vault", used * MB, 100 * MB, largest)])).look()
            self.assertEqual([one.title for one in found], [title] if title else [], used)
            for one in found:
                self.assertNotIn("kim", f"{one.key} {one.title} {one.text}")
                self.assertEqual(
                    one.detail, "It is kim. The most room is taken by its files (60 MB), its notes (20 MB)."
                )
