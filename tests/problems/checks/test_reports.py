from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.problems.checks.reports import KEPT_SECONDS, Reports


class ReportsTests(SynchronousTestCase):
    def test_a_report_stays_for_a_day_after_it_was_last_heard(self) -> None:
        clock = Clock()
        reports = Reports(clock=clock.seconds)
        reports.report("The row of vault vanished and was restored.")
        clock.advance(10)
        reports.report("The row of notes vanished and was restored.")
        self.assertEqual(len({one.key for one in reports.look()}), 2)
        clock.advance(KEPT_SECONDS - 5)
        self.assertEqual([one.detail for one in reports.look()], ["The row of notes vanished and was restored."])

    def test_a_flood_is_bounded(self) -> None:
        reports = Reports(clock=lambda: 0.0)
        for number in range(500):
            reports.report(f"Row {number}.")
        self.assertEqual([len(reports.look()), reports.look()[-1].detail], [50, "Row 499."])
