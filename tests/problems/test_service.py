from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.events import Bus, NumberedEvent, ProblemChanged, RegistryChanged
from parachute_hub.problems.check import Wake
from parachute_hub.problems.memory import ProblemsFile
from parachute_hub.problems.model import Problem, Severity
from parachute_hub.problems.service import LONGEST_SECONDS, Problems


def problem(key: str = "disk", severity: Severity = "error", essence: str = "", text: str = "1 MB left.") -> Problem:
    return Problem(key=key, severity=severity, title="The disk is full", text=text, clears="-", essence=essence)


@define
class FakeCheck:
    """Finds what it is told to find, at once or, with `slow`, when that fires."""

    name: str = "disk"
    period: float = 60.0
    wakes: tuple[Wake, ...] = ()
    found: list[Problem] = field(factory=list)
    error: Exception | None = None
    slow: "Deferred[Sequence[Problem]] | None" = None
    looks: int = 0

    def look(self) -> "list[Problem] | Deferred[Sequence[Problem]]":
        self.looks += 1
        if self.error is not None:
            raise self.error
        return self.found if self.slow is None else self.slow


class ProblemsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.check, self.bus = Clock(), FakeCheck(), Bus()
        self.clock.advance(1000)
        self.path = Path(self.mktemp())
        self.told: list[tuple[str, str]] = []
        self.full = False
        self.bus.subscribe(self.hear)
        self.problems = self.begun()

    def hear(self, numbered: NumberedEvent) -> None:
        if isinstance(numbered.event, ProblemChanged):
            self.told.append((numbered.event.change, numbered.event.problem["key"]))

    def in_thread(self, function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        if self.full:
            raise OSError(28, "No space left on device")
        return succeed(function(*args))

    def begun(self, *checks: FakeCheck) -> Problems:
        return Problems(
            checks=checks or (self.check,),
            file=ProblemsFile(self.path),
            bus=self.bus,
            clock=self.clock,
            now=self.clock.seconds,
            in_thread=self.in_thread,
        )

    def looked(self, *found: Problem) -> list[tuple[str, float, bool]]:
        """What stands after the check found this; a second passes."""
        self.check.found = list(found)
        self.successResultOf(self.problems.look())
        self.clock.advance(1)
        return [(one.problem.key, one.since, one.dismissed) for one in self.problems.all()]

    def dismiss(self, key: str, dismissed: bool = True) -> bool:
        return self.successResultOf(ensureDeferred(self.problems.dismiss(key, dismissed))) is not None

    def test_a_problem_appears_stays_and_clears(self) -> None:
        """It keeps its time, and each change is told once."""
        self.assertEqual(self.looked(problem()), [("disk", 1000, False)])
        self.assertEqual(self.looked(problem(text="0 MB left.")), [("disk", 1000, False)])
        self.assertEqual(self.problems.all()[0].problem.text, "0 MB left.")
        self.assertEqual(self.looked(), [])
        self.assertEqual(self.told, [("appeared", "disk"), ("cleared", "disk")])

    def test_the_list_is_complete_once_every_check_has_looked(self) -> None:
        slow = FakeCheck("slow", slow=Deferred())
        self.problems = self.begun(self.check, slow)
        self.problems.tick()
        self.assertFalse(self.problems.complete)
        assert slow.slow is not None
        slow.slow.callback([])
        self.assertTrue(self.problems.complete)

    def test_a_check_that_found_something_may_look_again_sooner(self) -> None:
        answer: Deferred[Sequence[Problem]] = Deferred()
        self.check.period, self.check.slow = 6 * 3600.0, answer
        self.problems.tick()
        self.check.period, self.check.slow = 300.0, None
        answer.callback([problem()])
        for seconds, looks in ((0, 1), (280, 1), (20, 2)):
            self.clock.advance(seconds)
            self.problems.tick()
            self.assertEqual(self.check.looks, looks, seconds)

    def test_a_dismissal_holds_until_the_problem_changes(self) -> None:
        for name, changed in (("severity", problem(severity="warning")), ("essence", problem(essence="2.0"))):
            self.looked(problem())
            self.assertTrue(self.dismiss("disk"), name)
            self.assertEqual(self.problems.open(), [], name)
            self.assertTrue(self.looked(problem(text="0 MB left."))[0][2], name)
            self.assertFalse(self.looked(changed)[0][2], name)
            self.assertEqual(self.told[-2:], [("dismissed", "disk"), ("changed", "disk")], name)
            self.looked()

    def test_a_dismissed_problem_can_be_shown_again(self) -> None:
        self.looked(problem())
        self.dismiss("disk")
        self.dismiss("disk", False)
        self.assertEqual(len(self.problems.open()), 1)
        self.assertFalse(self.dismiss("unknown"))

    def test_a_problem_that_comes_back_is_new(self) -> None:
        self.looked(problem())
        self.dismiss("disk")
        self.looked()
        self.assertEqual(self.looked(problem()), [("disk", 1002, False)])

    def test_a_restart_keeps_times_and_dismissals_and_tells_nothing_twice(self) -> None:
        self.looked(problem("a"), problem("b"))
        self.dismiss("a")
        self.told.clear()
        self.problems = self.begun()
        self.assertEqual(self.looked(problem("a"), problem("b")), [("a", 1000, True), ("b", 1000, False)])
        self.assertEqual(self.told, [])

    def test_what_was_solved_while_the_hub_was_down_is_told(self) -> None:
        self.looked(problem())
        self.problems = self.begun()
        self.assertEqual(self.looked(), [])
        self.assertEqual(self.told, [("appeared", "disk"), ("cleared", "disk")])

    def test_what_no_check_looked_at_yet_is_kept_in_the_file(self) -> None:
        """A hub that is restarted twice in a minute forgets no dismissal."""
        self.looked(problem())
        self.dismiss("disk")
        other = FakeCheck("other", found=[problem("other")])
        self.problems = self.begun(FakeCheck(slow=Deferred()), other)
        self.problems.tick()
        self.problems = self.begun()
        self.assertEqual(self.looked(problem()), [("disk", 1000, True)])

    def test_a_change_while_the_hub_was_down_ends_the_dismissal(self) -> None:
        self.looked(problem(essence="1.0"))
        self.dismiss("disk")
        self.problems = self.begun()
        self.assertEqual(self.looked(problem(essence="2.0")), [("disk", 1000, False)])
        self.assertEqual(self.told[-1], ("changed", "disk"))

    def test_a_damaged_file_counts_as_empty(self) -> None:
        for content in (b"", b"{", b"[]", b'{"problems": [{"key": 1}]}', b'{"problems": [3]}', b'{"problems": null}'):
            self.path.write_bytes(content)
            self.assertEqual(ProblemsFile(self.path).read(), {}, content)

    def test_a_full_disk_does_not_silence_the_problems(self) -> None:
        self.full = True
        self.assertEqual(len(self.looked(problem())), 1)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)

    def test_a_check_that_fails_is_a_problem_and_its_findings_stay(self) -> None:
        self.looked(problem())
        self.check.error = ValueError("broken check")
        self.assertEqual([key for key, *_ in self.looked()], ["disk", "check-failed:disk"])
        self.assertEqual([key for key, *_ in self.looked()], ["disk", "check-failed:disk"])
        self.check.error = None
        self.assertEqual(self.looked(), [])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_a_check_that_hangs_is_a_problem_and_keeps_nobody_waiting(self) -> None:
        self.check.slow = Deferred()
        other = FakeCheck("other", found=[problem("other")])
        self.problems = self.begun(self.check, other)
        waiting = self.problems.look()
        self.assertNoResult(waiting)
        self.clock.advance(LONGEST_SECONDS)
        self.successResultOf(waiting)
        self.assertEqual([one.problem.key for one in self.problems.all()], ["other", "check-failed:disk"])
        self.assertEqual(self.problems.all()[1].problem.severity, "warning")
        self.flushLoggedErrors()

    def test_one_check_runs_once_at_a_time(self) -> None:
        slow: Deferred[Sequence[Problem]] = Deferred()
        self.check.slow = slow
        self.problems.tick()
        waiting = [self.problems.look(), self.problems.look()]
        self.assertEqual(self.check.looks, 1)
        self.check.slow = None
        slow.callback([])
        for one in waiting:
            self.successResultOf(one)

    def test_who_asks_is_told_what_is_there_now(self) -> None:
        """Not what a check found that had begun before."""
        slow: Deferred[Sequence[Problem]] = Deferred()
        self.check.slow = slow
        self.problems.tick()
        self.check.found, self.check.slow = [problem()], None
        asked = self.problems.look()
        self.assertNoResult(asked)
        slow.callback([])
        self.successResultOf(asked)
        self.assertEqual([one.problem.key for one in self.problems.all()], ["disk"])

    def test_checks_look_when_they_are_due_or_woken(self) -> None:
        self.check.wakes = ("modules",)
        looks = []
        for woken in (False, False, True, False):
            if woken:
                self.bus.emit(RegistryChanged())
            self.problems.tick()
            self.clock.advance(1)
            looks.append(self.check.looks)
        self.clock.advance(60)
        self.problems.tick()
        self.assertEqual([*looks, self.check.looks], [1, 1, 2, 2, 3])

    def test_a_check_looks_after_an_act_that_may_have_solved_its_problem(self) -> None:
        self.check.period, self.check.wakes = 900.0, ("module-config",)
        looks = []
        for action, outcome in (("confirm", "ok"), ("module-config", "failed"), ("module-config", "ok"), ("", "")):
            self.problems.acted(action, outcome)
            self.problems.tick()
            self.clock.advance(1)
            looks.append(self.check.looks)
        self.assertEqual(looks, [1, 1, 2, 2])

    def test_checks_look_again_when_the_clock_was_put_back(self) -> None:
        self.problems.tick()
        self.clock.rightNow -= 900
        looks = []
        for _ in range(2):
            self.problems.tick()
            looks.append(self.check.looks)
        self.assertEqual(looks, [2, 2])

    def test_the_most_serious_comes_first(self) -> None:
        found = [problem("c", "info"), problem("b", "warning"), problem("a", "error")]
        self.assertEqual([key for key, *_ in self.looked(*found)], ["a", "b", "c"])
