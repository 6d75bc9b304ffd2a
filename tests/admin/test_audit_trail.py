import re
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from parachute_hub.admin.audit_trail import _INTERNAL as INTERNAL
from parachute_hub.admin.audit_trail import Attempts, Refusals, deed
from parachute_hub.app.request_caller import RequestCaller
from parachute_hub.site.area import area
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.errors import Refused
from parachute_hub.site.route_table import ROWS
from parachute_hub.store.rows import Act
from parachute_hub.system.doer import Doer, doer
from tests.support.asking import ADDRESS, ask
from tests.support.operators import owner
from tests.support.sockets import HOST, Rig


class Answers:
    """An area that answers everything with this status, or raises `error`."""

    app = area()

    def __init__(self, status: int, error: Exception | None = None) -> None:
        self.status = status
        self.error = error

    @app.route("/<path:anything>", methods=["GET", "POST", "PUT", "DELETE", "PATCH"])
    def answer(self, request: Any, anything: str) -> bytes:
        if self.error is not None:
            raise self.error
        request.setResponseCode(self.status)
        return b"done"


class DeedTests(SynchronousTestCase):
    def test_what_is_a_deed(self) -> None:
        for method, path, found in (
            ("POST", "/api/modules/vault/start", ("module-start", "vault")),
            ("POST", "/api/modules/vault/heal-port/", ("module-heal-port", "vault")),
            ("POST", "/api/modules/vault/install", ("module-install", "vault")),
            ("POST", "/api/modules/install", ("module-install", "")),
            ("PUT", "/api/modules/scribe/config", ("module-config", "scribe")),
            ("POST", "/api/auth/mint-token", ("mint-token", "")),
            ("DELETE", "/api/grants/https://app.test/a", ("app-disconnected", "https://app.test/a")),
            ("GET", "/admin/module-token/scribe", ("module-token", "scribe")),
            ("GET", "/account/token", None),
            ("GET", "/api/modules/vault/install", None),
            ("POST", "/api/modules/operations/cancel", None),
            ("POST", "/api/modules/disk/clear", ("disk-cleared", "")),
            ("POST", "/api/modules/vault/other", None),
            # An invitation that is refused may still be good, and the link of a download, too.
            ("POST", "/account/setup/its-secret", ("invite-redeemed", "")),
            ("GET", "/api/backups/download/its-secret", ("backup-downloaded", "")),
        ):
            row = deed(method.encode(), path.encode())
            told = (row[0].records, row[1]) if row is not None else None
            self.assertEqual(told, found, f"{method} {path}")


class AttemptsTests(SynchronousTestCase):
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
        area = Attempts(
            Answers(status).app.resource(),
            who=Authenticator([owner("sam")]),
            note=acts.append,
            caller=RequestCaller(),
            clock=lambda: 5.0,
            refusals=Refusals(lambda: 5.0),
        )
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        answer = ask(area, path, method=method, headers=headers, body=body, address="192.0.2.7")
        self.assertEqual((answer.status, answer.body), (status, b"done"))
        return acts

    def test_who_tried_what_to_what_from_where(self) -> None:
        act = Act(at=5.0, actor="sam", action="module-stop", subject="vault", address="192.0.2.7", means="session")
        self.assertEqual(self.noted(409), [evolve(act, outcome="refused")])

    def test_every_row_of_the_table(self) -> None:
        """The first act of the row, and the first variable as the subject, unless that is a secret."""
        rows = [row for row in ROWS if row.records]
        self.assertGreater(len(rows), 90)
        for row in rows:
            action = row.records.split()[0]
            path = re.sub(r"<(path:)?\w+>", "thing", row.rule)
            subject = "thing" if re.search(r"<(?!token>)", row.rule) else ""
            told = [(act.action, act.subject, act.means) for act in self.noted(409, method=row.method, path=path)]
            elsewhere = action in ("sign-in", "second-factor", "confirm")
            self.assertEqual(told, [] if elsewhere else [(action, subject, "session")], row.rule)

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
            acts = self.noted(409, path="/api/auth/open-settings", body=body)
            self.assertEqual([(act.action, act.subject) for act in acts], [("open-settings", subject)])

    def test_what_was_not_refused_is_left_to_who_did_it(self) -> None:
        """Also reads, and who was sent to sign in."""
        self.assertEqual(self.noted(200), [])
        self.assertEqual(self.noted(202), [])
        self.assertEqual(self.noted(303, bearer=None), [], "sent to sign in")
        self.assertEqual(self.noted(404, method="GET"), [])

    def attempts(self, error: Exception, acts: list[Act]) -> Attempts:
        return Attempts(
            Answers(200, error).app.resource(),
            who=Authenticator([owner("sam")]),
            note=acts.append,
            caller=RequestCaller(),
            clock=lambda: 5.0,
            refusals=Refusals(lambda: 5.0),
        )

    def test_refused_and_failed_attempts_with_their_reason(self) -> None:
        """Not what a page asks for again, nor wrong passwords, which their services note."""
        busy = Refused(409, "busy", "It is being updated.")
        for path, error, told in (
            ("/api/modules/vault/stop", busy, [("module-stop", "vault", "refused", "It is being updated.")]),
            ("/api/modules/vault/install", busy, [("module-install", "vault", "refused", "It is being updated.")]),
            ("/api/users", Refused(403, "insufficient_scope", "No."), [("user-created", "", "refused", "No.")]),
            ("/vaults", Refused(507, "disk_full", "Full."), [("vault-made", "", "failed", "Full.")]),
            ("/vaults", RuntimeError("secret"), [("vault-made", "", "failed", INTERNAL)]),
            ("/vaults", Refused(403, "step_up_required", "Confirm."), []),
            ("/vaults", Refused(400, "invalid_request", "Give a name."), []),
            ("/login", Refused(401, "wrong", "Wrong."), []),
            ("/oauth/register", Refused(400, "invalid", "Wrong."), []),
        ):
            acts: list[Act] = []
            ask(self.attempts(error, acts), path, method="POST", headers={"Authorization": "Bearer sam"})
            found = [(act.action, act.subject, act.outcome, act.why) for act in acts]
            self.assertEqual(found, told, (path, error))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_nobody_fills_the_log_with_refusals(self) -> None:
        """20 an hour from one network, 100 from all strangers together; a signed-in user has a limit of his own."""
        acts: list[Act] = []
        area = self.attempts(Refused(401, "unauthenticated", "Sign in."), acts)
        for number in range(130):
            ask(area, "/vaults", method="POST", address=f"192.0.{number % 10}.7")
        self.assertEqual(len(acts), 100)
        for _ in range(25):
            ask(area, "/vaults", method="POST", headers={"Authorization": "Bearer sam"}, address="192.0.2.7")
        self.assertEqual([act.actor for act in acts[100:]], ["sam"] * 20)

    def test_an_attempt_whose_client_has_left_is_noted(self) -> None:
        """The handler runs to its end."""
        acts: list[Act] = []
        waiting: Deferred[bytes] = Deferred()

        class Slow:
            app = area()

            @app.route("/vaults", methods=["POST"])
            def slow(self, request: Any) -> Any:
                return waiting

        attempts = Attempts(
            Slow().app.resource(),
            who=Authenticator([owner("sam")]),
            note=acts.append,
            caller=RequestCaller(),
            clock=lambda: 5.0,
            refusals=Refusals(lambda: 5.0),
        )
        rig = Rig((), resource=attempts)
        head = f"POST /vaults HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\nAuthorization: Bearer sam\r\n\r\n"
        client = rig.ask(head.encode(), ADDRESS)
        client.hang_up()
        self.assertEqual(acts, [])
        waiting.errback(Refused(409, "busy", "It is being updated."))
        rig.stop()
        self.assertEqual([(act.action, act.outcome) for act in acts], [("vault-made", "refused")])

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

        area = Attempts(
            Area(),
            who=Authenticator([owner("sam")]),
            note=lambda act: None,
            caller=RequestCaller(),
            clock=lambda: 5.0,
            refusals=Refusals(lambda: 5.0),
        )
        for bearer, who in (("sam", Doer("sam", "session", ADDRESS)), ("", Doer("", "page", ADDRESS))):
            heard.clear()
            waiting = Deferred()
            headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
            ask(area, "/login", method="POST", headers=headers, address=ADDRESS)
            waiting.callback(None)
            self.assertEqual(heard, [who, who])
        self.assertEqual(doer(), Doer("", "hub", ""))
