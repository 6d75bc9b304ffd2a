"""What is sent when: once an hour for a cause, not in quiet hours, and "resolved" after each."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.notices.outbox import HOUR, Due, Outbox, is_quiet


class OutboxTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.outbox = Outbox()

    def due(self, now: float, *, quiet: bool = False, least: Any = "warning") -> list[tuple[str, str]]:
        return [(one.headline, one.change) for one in self.outbox.due(now, quiet=quiet, least=least)]

    def test_a_problem_and_its_end(self) -> None:
        self.outbox.appeared("disk", "The disk is full", "error")
        self.assertEqual(self.due(0), [("The disk is full", "problem")])
        self.assertEqual(self.due(1), [])
        self.outbox.gone("disk")
        self.assertEqual(self.due(2), [("The disk is full", "resolved")])
        self.assertEqual(self.due(3), [])

    def test_one_that_comes_and_goes_is_told_once_an_hour(self) -> None:
        sent = []
        for second in range(0, 7200, 60):
            self.outbox.appeared("crash", "It crashes", "error")
            sent += [(second, change) for _, change in self.due(second)]
            self.outbox.gone("crash")
            sent += [(second, change) for _, change in self.due(second + 30)]
        self.assertEqual(sent, [(0, "problem"), (0, "resolved"), (3600, "problem"), (3600, "resolved")])

    def test_one_that_changes_within_the_hour_is_told_after_it(self) -> None:
        self.outbox.appeared("disk", "The disk fills up", "warning")
        self.assertEqual(len(self.due(0)), 1)
        self.outbox.appeared("disk", "The disk is full", "error")
        self.assertEqual(self.due(HOUR - 1), [])
        self.assertEqual(self.due(HOUR), [("The disk is full", "problem")])

    def test_one_that_changed_unheard_and_ends_is_resolved(self) -> None:
        self.outbox.appeared("disk", "The disk fills up", "warning")
        self.due(0)
        self.outbox.appeared("disk", "The disk is full", "error")
        self.outbox.gone("disk")
        self.assertEqual(self.due(1), [("The disk is full", "resolved")])

    def test_quiet_hours_hold_back_what_lasts_and_drop_what_does_not(self) -> None:
        self.outbox.appeared("known", "Known before", "error")
        self.due(0)
        self.outbox.appeared("lasts", "It lasts", "error")
        self.outbox.appeared("short", "It was short", "error")
        self.outbox.gone("short")
        self.outbox.gone("known")
        self.outbox.appeared("known", "Known before", "error")
        self.assertEqual(self.due(10, quiet=True), [])
        self.assertEqual(self.due(2 * HOUR), [("It lasts", "problem")])

    def test_what_is_less_serious_than_asked_for_is_not_told(self) -> None:
        for severity, least, told in (
            ("info", "warning", 0),
            ("warning", "warning", 1),
            ("warning", "error", 0),
            ("info", "info", 1),
        ):
            self.outbox.appeared(f"{severity} {least}", "It", severity)  # type: ignore[arg-type]
            self.assertEqual(len(self.due(0, least=least)), told, (severity, least))
            self.outbox.gone(f"{severity} {least}")
            self.assertEqual(len(self.due(1, least=least)), told, (severity, least))

    def test_what_was_sent_survives_a_restart(self) -> None:
        self.outbox.appeared("disk", "The disk is full", "error")
        self.due(0)
        self.outbox = Outbox.from_json(self.outbox.to_json())
        self.outbox.gone("disk")
        self.assertEqual(self.due(5), [("The disk is full", "resolved")])

    def test_what_is_over_is_forgotten(self) -> None:
        self.outbox.appeared("disk", "The disk is full", "error")
        self.due(0)
        self.outbox.gone("disk")
        self.due(1)
        self.assertIn("disk", self.outbox.causes)
        self.due(HOUR)
        self.assertEqual(self.outbox.causes, {})

    @settings(max_examples=150, derandomize=True, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from(("appear", "gone", "tick", "night")), st.integers(1, 1500)), max_size=40))
    def test_any_course_keeps_to_the_hour_and_alternates(self, course: list[tuple[str, int]]) -> None:
        """Problems of one cause are an hour apart, and each "resolved" follows a problem that was told."""
        outbox, now = Outbox(), 0.0
        sent: list[tuple[float, Due]] = []
        for act, pause in course:
            now += pause
            if act == "appear":
                outbox.appeared("x", "It", "error")
            elif act == "gone":
                outbox.gone("x")
            sent += [(now, one) for one in outbox.due(now, quiet=act == "night", least="error")]
        told = [at for at, one in sent if one.change == "problem"]
        self.assertTrue(all(after - before >= HOUR for before, after in zip(told, told[1:], strict=False)))
        open_now = False
        for _, one in sent:
            self.assertFalse(one.change == "resolved" and not open_now)
            open_now = one.change == "problem"


class QuietTests(SynchronousTestCase):
    def test_spans_of_a_day(self) -> None:
        for minute, span, quiet in (
            (0, None, False),
            (22 * 60, (22 * 60, 7 * 60), True),
            (7 * 60, (22 * 60, 7 * 60), False),
            (3 * 60, (22 * 60, 7 * 60), True),
            (12 * 60, (22 * 60, 7 * 60), False),
            (13 * 60, (12 * 60, 14 * 60), True),
            (14 * 60, (12 * 60, 14 * 60), False),
        ):
            self.assertEqual(is_quiet(minute, span), quiet, (minute, span))
