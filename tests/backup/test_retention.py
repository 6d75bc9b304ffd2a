"""Which backups are kept."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.backup.retention import DAILY, MONTHLY, WEEKLY, Kept, to_prune
from tests.proxy.few import few

DAY = 86400.0


def daily(days: int, verified: bool = True) -> list[Kept]:
    return [Kept(f"day {day}", day * DAY, verified) for day in range(days)]


class PruneTests(SynchronousTestCase):
    def test_a_year_of_daily_backups(self) -> None:
        gone = to_prune(daily(365))
        kept = [one.name for one in daily(365) if one.name not in gone]
        self.assertEqual(kept[-DAILY:], [f"day {day}" for day in range(358, 365)])
        self.assertLessEqual(len(kept), DAILY + WEEKLY + MONTHLY)
        self.assertGreaterEqual(len(kept), DAILY + MONTHLY)

    def test_nothing_goes_without_a_verified_backup(self) -> None:
        self.assertEqual(to_prune(daily(100, verified=False)), [])

    def test_nothing_goes_that_is_newer_than_the_newest_verified_one(self) -> None:
        backups = [*daily(30), *(Kept(f"new {day}", day * DAY, False) for day in range(30, 60))]
        self.assertNotIn("new", " ".join(to_prune(backups)))

    def test_unverified_ones_that_are_older_go(self) -> None:
        self.assertEqual(to_prune([Kept("old", 0.0, False), Kept("new", DAY, True)]), ["old"])

    @few(100)
    @given(st.lists(st.tuples(st.floats(0, 1e9), st.booleans()), max_size=60))
    def test_the_newest_verified_one_always_stays(self, found: list[tuple[float, bool]]) -> None:
        backups = [Kept(str(number), at, verified) for number, (at, verified) in enumerate(found)]
        gone = set(to_prune(backups))
        verified = [one for one in backups if one.verified]
        if verified:
            newest = max(one.at for one in verified)
            self.assertTrue(any(one.at == newest and one.name not in gone for one in verified))
            self.assertFalse(any(one.name in gone for one in backups if one.at > newest))
        else:
            self.assertEqual(gone, set())
