import re
from typing import Any, Literal

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.admin.audit_events import JOBS, STATES, EventTrail
from parachute_hub.events import Bus, JobChanged, ModuleChanged, ProblemChanged
from parachute_hub.store.rows import Act
from parachute_hub.system.doer import Doer, acting, doer
from tests.support.documents import ROOT

Change = Literal["appeared", "changed", "dismissed", "cleared"]


class EventTrailTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.acts: list[Act] = []
        self.bus = Bus()
        self.bus.subscribe(EventTrail(note=self.acts.append, clock=lambda: 7.0).heard)

    def told(self) -> list[tuple[str, str, str, str]]:
        told = [(act.action, act.subject, act.outcome, act.why) for act in self.acts]
        self.acts.clear()
        return told

    def job(self, **more: Any) -> None:
        self.bus.emit(JobChanged({"id": "1", "kind": "install", "short": "vault", "outcome": None, "log": [], **more}))

    def test_an_operation_is_noted_once_when_it_has_ended(self) -> None:
        """An attempt that failed is not a deed."""
        self.job(status="running")
        self.assertEqual(self.told(), [])
        self.job(status="failed", outcome="failed", error="There is no such package.")
        self.job(status="failed", outcome="failed", error="There is no such package.")
        self.assertEqual(self.told(), [("module-install", "vault", "failed", "There is no such package.")])

    def test_how_an_operation_ended(self) -> None:
        for number, (outcome, told) in enumerate(
            (("succeeded", "ok"), ("failed", "failed"), ("cancelled", "cancelled"), ("interrupted", "failed"))
        ):
            self.job(id=str(number), status="succeeded" if told == "ok" else "failed", outcome=outcome)
            self.assertEqual(self.told(), [("module-install", "vault", told, "")], outcome)

    def test_each_kind_of_operation_and_each_state(self) -> None:
        for number, (kind, act) in enumerate(JOBS.items()):
            self.job(id=str(number), kind=kind, status="succeeded", outcome="succeeded")
            self.assertEqual(self.told(), [(act, "vault", "ok", "")], kind)
        for state, act in STATES.items():
            self.bus.emit(ModuleChanged("vault", {"state": state, "restarts": 1, "reason": "It exited."}))
            self.assertEqual(self.told(), [(act, "vault", "failed", "It exited.")], state)

    def test_what_became_of_a_version(self) -> None:
        """An upgrade may have found nothing newer, which is no update."""
        log = ["vault answers.", "vault 1.0.0 is the newest version. Nothing was changed."]
        for kind, why in (("upgrade", log[-1]), ("rollback", log[-1]), ("install", "")):
            self.job(id=kind, kind=kind, status="succeeded", outcome="succeeded", log=log)
            self.assertEqual(self.told(), [(JOBS[kind], "vault", "ok", why)])
        self.job(kind="upgrade", status="failed", outcome="failed", error="It did not answer.", log=log)
        self.assertEqual(self.told(), [("module-upgrade", "vault", "failed", "It did not answer.")])

    def test_a_backup_has_no_module(self) -> None:
        self.job(kind="backup", short="backup", status="succeeded", outcome="succeeded")
        self.assertEqual(self.told(), [("backup-made", "", "ok", "")])

    def test_crashes_are_noted_as_they_happen(self) -> None:
        for state, restarts, noted in (
            ("ready", 0, []),
            ("backoff", 1, [("module-crashed", "vault", "failed", "It exited.")]),
            ("backoff", 1, []),
            ("starting", 1, []),
            ("backoff", 2, [("module-crashed", "vault", "failed", "It exited.")]),
            ("parked", 2, [("module-parked", "vault", "failed", "It exited.")]),
            ("stopped", 0, []),
            ("held", 0, [("module-held", "vault", "failed", "It exited.")]),
        ):
            status = {"state": state, "restarts": restarts, "reason": "It exited."}
            self.bus.emit(ModuleChanged("vault", status))
            self.assertEqual(self.told(), noted, (state, restarts))

    def test_problems_are_noted_with_the_sentences_of_home(self) -> None:
        disk = {"title": "The disk is almost full", "text": "9 MB are left.", "severity": "error"}
        table: tuple[tuple[Change, str, list[tuple[str, str, str, str]]], ...] = (
            ("appeared", "error", [("problem-found", disk["title"], "failed", disk["text"])]),
            ("appeared", "info", [("problem-found", disk["title"], "ok", disk["text"])]),
            ("changed", "warning", []),
            ("dismissed", "warning", []),
            ("cleared", "error", [("problem-solved", disk["title"], "ok", "")]),
        )
        for change, severity, noted in table:
            self.bus.emit(ProblemChanged(change, {**disk, "severity": severity}))
            self.assertEqual(self.told(), noted, (change, severity))

    def test_a_problem_is_not_the_act_of_who_made_the_hub_look(self) -> None:
        found: list[Doer] = []
        self.bus.subscribe(EventTrail(note=lambda act: found.append(doer()), clock=lambda: 7.0).heard)
        problem = {"title": "t", "text": "t", "severity": "error"}
        acting(Doer("ana", "command"), self.bus.emit, ProblemChanged("appeared", problem))
        self.assertEqual(found, [Doer()])

    def test_every_kind_of_operation_has_an_act(self) -> None:
        """Every `jobs.start("<kind>", ...)` of the package, and a sentence for each act in the admin app."""
        sources = [path.read_text() for path in (ROOT / "parachute_hub").rglob("*.py")]
        kinds = {kind for text in sources for kind in re.findall(r'jobs\.start\(\s*"([\w-]+)"', text)}
        self.assertGreater(len(kinds), 6)
        self.assertEqual(kinds, set(JOBS))
