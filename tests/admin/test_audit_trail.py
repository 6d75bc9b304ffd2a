from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from parachute_hub.admin.audit_trail import Recorded, deed
from parachute_hub.app.request_caller import RequestCaller
from parachute_hub.site.auth import Authenticator
from parachute_hub.store.rows import Act
from tests.support.asking import ask
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
            ("POST", "/api/modules/vault/install", ("module-install", "vault")),
            ("POST", "/api/modules/vault/delete-data/", ("module-delete-data", "vault")),
            ("POST", "/api/modules/install", ("module-install", "")),
            ("PUT", "/api/modules/scribe/config", ("module-config", "scribe")),
            ("POST", "/api/auth/mint-token", ("mint-token", "")),
            ("DELETE", "/api/grants/https://app.test/a", ("app-disconnected", "https://app.test/a")),
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
            ("POST", "/api/oauth/clients/https://app.test/a/approve", ("app-approved", "https://app.test/a")),
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
        act = Act(at=5.0, actor="sam", action="module-stop", subject="vault", address="192.0.2.7")
        self.assertEqual(self.noted(202), [act])
        self.assertEqual(self.noted(200), [act])

    def test_what_was_installed_by_its_name(self) -> None:
        """The path does not say what was installed; unreadable bodies add nothing, and the text is one short line."""
        opened = self.noted(200, path="/api/auth/open-settings", body=b'{"module": "scribe"}')
        self.assertEqual(opened[0].subject, "scribe")
        for body, subject in (
            (b'{"package": "@a/clock@1.0.0"}', "@a/clock@1.0.0"),
            (b'{"source": "/home/sam/clock"}', "/home/sam/clock"),
            (b'{"package": "a\\nb' + b"c" * 500 + b'"}', "ab" + "c" * 198),
            (b'["package"]', ""),
            (b"{not json", ""),
            (b'{"package": 7}', ""),
            (b"[" * 60_000, ""),
        ):
            acts = self.noted(202, path="/api/modules/install", body=body)
            self.assertEqual([(act.action, act.subject) for act in acts], [("module-install", subject)])

    def test_what_did_not_happen_is_not_noted(self) -> None:
        """Refusals and reads."""
        self.assertEqual(self.noted(403), [])
        self.assertEqual(self.noted(401, bearer="forged"), [])
        self.assertEqual(self.noted(401, bearer=None), [])
        self.assertEqual(self.noted(303, bearer=None), [], "sent to sign in")
        self.assertEqual(self.noted(200, method="GET"), [])
