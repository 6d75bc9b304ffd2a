"""When backups are due."""

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.backup.schedule import DAY, HOUR, UNPACK_EVERY, History, backup_due, overdue, unpacking_due

DUE = 100 * DAY + 3 * HOUR


class ScheduleTests(SynchronousTestCase):
    def test_once_a_day_and_caught_up_after_sleep(self) -> None:
        for what, history, now, due in (
            ("never made", History(), DUE, True),
            ("made yesterday, not yet time", History(made_at=DUE - DAY), DUE - 1, False),
            ("made yesterday, time", History(made_at=DUE - DAY), DUE, True),
            ("made just now", History(made_at=DUE), DUE + 1, False),
            ("asleep for three days", History(made_at=DUE - 3 * DAY), DUE + 5 * HOUR, True),
        ):
            self.assertEqual(backup_due(history, 3, now), due, what)

    def test_failures_are_tried_again_after_longer_and_longer_pauses(self) -> None:
        for failures, pause in ((1, 15 * 60), (2, HOUR), (3, 4 * HOUR), (9, 4 * HOUR)):
            history = History(tried_at=DUE, failures=failures)
            self.assertEqual(
                [backup_due(history, 3, DUE + pause + late) for late in (-1, 0)], [False, True], f"{failures} failures"
            )

    def test_a_clock_that_was_set_back_does_not_stop_them(self) -> None:
        self.assertTrue(backup_due(History(tried_at=DUE + 400 * DAY, failures=1), 3, DUE))

    def test_the_newest_is_restored_for_practice_each_week(self) -> None:
        made, long_ago = DUE - HOUR, DUE - UNPACK_EVERY
        for what, history, due in (
            ("no good backup", History(unpacked_at=long_ago), False),
            ("a place that is new", History(since=DUE - DAY, made_at=made), False),
            ("never in a week", History(since=long_ago, made_at=made), True),
            ("done yesterday", History(made_at=made, unpacked_at=DUE - DAY), False),
            ("done a week ago", History(made_at=made, unpacked_at=long_ago), True),
            ("failed just now", History(made_at=made, unpacked_at=long_ago, tried_at=DUE - 60, failures=1), False),
            ("failed a while ago", History(made_at=made, unpacked_at=long_ago, tried_at=made, failures=1), True),
        ):
            self.assertEqual(unpacking_due(history, DUE), due, what)

    def test_three_days_without_one_need_the_owner(self) -> None:
        for what, history, since, late in (
            ("added today", History(), DUE, False),
            ("added last week, none yet", History(), DUE - 7 * DAY, True),
            ("made yesterday", History(made_at=DUE - DAY), 0.0, False),
            ("made four days ago, unpacked today", History(made_at=DUE - 4 * DAY, unpacked_at=DUE), 0.0, True),
        ):
            self.assertEqual(overdue(history, since, DUE), late, what)
