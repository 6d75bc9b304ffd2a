import re
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from parachute_hub.admin.audit_trail import Recorded, deed
from parachute_hub.app.request_caller import RequestCaller
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.route_table import noted
from parachute_hub.store.rows import Act
from parachute_hub.system.doer import Doer, doer
from tests.support.asking import ADDRESS, ask
from tests.support.operators import owner


class Answers(Resource):
    isLeaf = True

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status

    def render(self, request: Any) -> bytes:
        request.setResponseCode(self.status)
        return b"done"


class DeedTests(SynchronousTestCase):
    def test_what_is_a_deed(self) -> None:
        for method, path, found in (
            ("POST", "/api/modules/vault/start", ("module-start", "vault")),
            ("POST", "/api/modules/vault/heal-port/", ("module-heal-port", "vault")),
            ("POST", "/api/modules/vault/install", None),
            ("POST", "/api/modules/install", None),
            ("POST", "/api/modules/upgrade-all", None),
            ("PUT", "/api/modules/scribe/config", ("module-config", "scribe")),
            ("POST", "/api/auth/mint-token", ("mint-token", "")),
            ("DELETE", "/api/grants/https://app.test/a", None),
            ("GET", "/admin/module-token/scribe", ("module-token", "scribe")),
            ("POST", "/account/vault-token/home", ("vault-token", "home")),
            ("POST", "/admin/host-admin-token", ("host-admin-token", "")),
            ("POST", "/account/token", ("account-token", "")),
            ("POST", "/api/auth/open-settings", ("open-settings", "")),
            ("GET", "/account/token", None),
            ("GET", "/api/modules/vault/install", None),
            ("POST", "/api/modules/operations/cancel", None),
            ("POST", "/api/modules/disk/clear", ("disk-cleared", "")),
            ("PUT", "/api/modules/channel", ("channel-changed", "")),
            ("POST", "/api/modules/vault/other", None),
            ("POST", "/login", None),
        ):
            self.assertEqual(deed(method.encode(), path.encode()), found, f"{method} {path}")


class RecordedTests(SynchronousTestCase):
    def noted(
        self,
        status: int,
        *,
        method: str = "POST",
        bearer: str | None = "sam",
        path: str = "/api/modules/vault/stop",
        body: bytes = b"",
    ) -> list[Act]:
        """The audit entry of one request with this response."""
        acts: list[Act] = []
        area = Recorded(
            Answers(status),
            who=Authenticator([owner("sam")]),
            note=acts.append,
            caller=RequestCaller(),
            clock=lambda: 5.0,
        )
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        answer = ask(area, path, method=method, headers=headers, body=body, address="192.0.2.7")
        self.assertEqual((answer.status, answer.body), (status, b"done"))
        return acts

    def test_who_did_what_to_what_from_where(self) -> None:
        act = Act(at=5.0, actor="sam", action="module-stop", subject="vault", address="192.0.2.7", means="session")
        self.assertEqual(self.noted(202), [act])
        self.assertEqual(self.noted(200), [act])

    def test_every_row_that_is_audited_by_request(self) -> None:
        """Through the area, as a request: the act of the table, and its first variable as the subject."""
        rows = list(noted())
        self.assertGreater(len(rows), 30)
        for row in rows:
            path = re.sub(r"<(path:)?\w+>", "thing", row.rule)
            (act,) = self.noted(200, method=row.method, path=path)
            subject = "thing" if "<" in row.rule else ""
            self.assertEqual((act.action, act.subject, act.means), (row.records, subject, "session"), row.rule)

    def test_what_was_named_in_the_body(self) -> None:
        """Unreadable bodies add nothing, and the text is one short line."""
        for body, subject in (
            (b'{"module": "scribe"}', "scribe"),
            (b'{"module": "a\\nb' + b"c" * 500 + b'"}', "ab" + "c" * 198),
            (b'["module"]', ""),
            (b"{not json", ""),
            (b'{"module": 7}', ""),
            (b"[" * 60_000, ""),
        ):
            acts = self.noted(200, path="/api/auth/open-settings", body=body)
            self.assertEqual([(act.action, act.subject) for act in acts], [("open-settings", subject)])

    def test_what_did_not_happen_is_not_noted(self) -> None:
        """Refusals and reads."""
        self.assertEqual(self.noted(403), [])
        self.assertEqual(self.noted(401, bearer="forged"), [])
        self.assertEqual(self.noted(401, bearer=None), [])
        self.assertEqual(self.noted(303, bearer=None), [], "sent to sign in")
        self.assertEqual(self.noted(200, method="GET"), [])

    def test_the_area_acts_on_behalf_of_the_caller(self) -> None:
        """Also in a coroutine and in a database write that go on after the handler has returned."""
        heard: list[Doer] = []

        class Area(Resource):
            isLeaf = True

            def render(self, request: Any) -> bytes:
                heard.append(doer())
                Deferred.fromCoroutine(later())
                return b"done"

        waiting: Deferred[None] = Deferred()

        async def later() -> None:
            await waiting
            heard.append(doer())

        area = Recorded(
            Area(), who=Authenticator([owner("sam")]), note=lambda act: None, caller=RequestCaller(), clock=lambda: 5.0
        )
        for bearer, who in (("sam", Doer("sam", "session", ADDRESS)), ("", Doer("", "page", ADDRESS))):
            heard.clear()
            waiting = Deferred()
            headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
            ask(area, "/login", method="POST", headers=headers, address=ADDRESS)
            waiting.callback(None)
            self.assertEqual(heard, [who, who])
        self.assertEqual(doer(), Doer("", "hub", ""))
