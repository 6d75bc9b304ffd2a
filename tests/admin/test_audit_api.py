import csv
import io
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.admin.audit_api import PAGE, AuditApi
from parachute_hub.site.auth import Authenticator
from parachute_hub.store.audit import MOST_TEXT, Audit
from parachute_hub.store.rows import Act
from parachute_hub.system.doer import Doer, acting
from tests.support.asking import Answer, ask
from tests.support.databases import new_database
from tests.support.operators import owner


class AuditApiTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.database = new_database(Path(self.mktemp()) / "parachute.db")
        self.addCleanup(self.database.close)
        self.audit = Audit(self.database)
        self.resource = AuditApi(who=Authenticator([owner()]), audit=self.audit).app.resource()

    def note(self, action: str, at: float = 1.0, **more: str) -> None:
        with self.database.unit():
            self.audit.note(Act(at=at, action=action, **{"actor": "sam", **more}))

    def ask(self, query: str = "", token: str = "owner") -> Answer:
        return ask(self.resource, f"/api/audit{query}", headers={"Authorization": f"Bearer {token}"})

    def actions(self, query: str = "") -> list[str]:
        return [act["action"] for act in self.ask(query).json()["acts"]]

    def test_an_entry_says_who_by_what_from_where_what_and_why(self) -> None:
        act = Act(at=60.0, actor="", action="module-install", subject="toy", outcome="failed", why="No such package.")
        acting(Doer("sam", "token", "192.0.2.7"), self.noted_later, act)
        self.assertEqual(
            self.ask().json()["acts"],
            [
                {
                    "number": 1,
                    "at": "1970-01-01T00:01:00Z",
                    "actor": "sam",
                    "means": "token",
                    "address": "192.0.2.7",
                    "action": "module-install",
                    "subject": "toy",
                    "outcome": "failed",
                    "why": "No such package.",
                }
            ],
        )

    def noted_later(self, act: Act) -> None:
        """Through the database's writer, which keeps who acts."""
        self.successResultOf(self.database.write(self.audit.note, act))

    def test_filters(self) -> None:
        self.note("sign-in", at=1.0, address="192.0.2.7")
        self.note("module-install", at=2.0, subject="Scribe", outcome="failed", why="No such package.")
        self.note("module-start", at=3.0, actor="kim")
        for query, actions in (
            ("", ["module-start", "module-install", "sign-in"]),
            ("?q=SCRIBE", ["module-install"]),
            ("?q=such%20package", ["module-install"]),
            ("?q=192.0.2", ["sign-in"]),
            ("?q=%25", []),
            ("?actor=kim", ["module-start"]),
            ("?action=sign-in&action=module-start", ["module-start", "sign-in"]),
            ("?outcome=ok", ["module-start", "sign-in"]),
            ("?outcome=not-ok", ["module-install"]),
            ("?since=2&until=3", ["module-install"]),
            ("?before=3", ["module-install", "sign-in"]),
            ("?before=x", ["module-start", "module-install", "sign-in"]),
        ):
            self.assertEqual(self.actions(query), actions, query)

    def test_bad_filters_are_refused(self) -> None:
        for query in ("?outcome=maybe", "?since=yesterday", "/export?format=pdf"):
            self.assertEqual(self.ask(query).status, 400, query)

    def test_pages(self) -> None:
        for number in range(PAGE + 1):
            self.note("sign-in", at=float(number))
        first = self.ask().json()
        second = self.ask(f"?before={first['next_before']}").json()
        self.assertEqual([len(first["acts"]), len(second["acts"]), second["next_before"]], [PAGE, 1, None])

    def test_the_export_holds_what_matches(self) -> None:
        for number in range(PAGE + 1):
            self.note("sign-in", at=float(number))
        self.note("module-start")
        answer = self.ask("/export?action=sign-in")
        rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
        self.assertEqual((len(rows), {row["action"] for row in rows}), (PAGE + 1, {"sign-in"}))
        self.assertEqual(answer.header("content-type"), "text/csv; charset=utf-8")
        self.assertIn("attachment", answer.header("content-disposition") or "")
        self.assertEqual(len(self.ask("/export?format=json").json()["acts"]), PAGE + 2)

    def test_a_spreadsheet_computes_nothing(self) -> None:
        """A stranger chooses the name with which a sign-in fails."""
        for name in ("=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"):
            self.note("sign-in", actor=name, outcome="refused")
        rows = list(csv.DictReader(io.StringIO(self.ask("/export").body.decode(), newline="")))
        self.assertEqual({row["actor"][:1] for row in rows}, {"'"})

    def test_a_long_text_is_cut(self) -> None:
        self.note("x", why="y" * 5000, subject="z" * 5000)
        (act,) = self.ask().json()["acts"]
        self.assertEqual((len(act["why"]), len(act["subject"])), (MOST_TEXT, MOST_TEXT))

    def test_administrators_only(self) -> None:
        for path in ("", "/export"):
            self.assertEqual(self.ask(path, token="member").status, 401, path)
