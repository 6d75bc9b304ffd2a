"""What cannot be done is said before somebody gives a password for it."""

import json
from pathlib import Path
from typing import Any

from attrs import define
from klein import Klein
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IRequest

from parachute_hub.admin.backups_api import BackupsApi
from parachute_hub.admin.links_api import LinksArea
from parachute_hub.admin.notices_api import NoticesApi
from parachute_hub.elsewhere.linking import Linking
from parachute_hub.events import Bus
from parachute_hub.notices.outbound import Outbound
from parachute_hub.notices.records import NoticesFile
from parachute_hub.notices.senders import Ntfy
from parachute_hub.notices.service import Notices
from parachute_hub.site.auth import Authenticator, Principal
from parachute_hub.site.errors import Refused
from tests.support.asking import Answer, ask
from tests.support.operators import owner

CODE = "012-345-678-9AB-CDE-FGH-JKM-NPQ"
ASKED = (403, "step_up_required")


class NoProof:
    """Nobody has given a password yet."""

    def prove(self, request: IRequest, principal: Principal, operation: str) -> None:
        """Raises Refused."""
        raise Refused(403, "step_up_required", "Repeat your password to do this.")


@define
class OneModule:
    """A hub with a vault, which is not linked; nothing is done with it."""

    def row(self, short: str) -> str | None:
        return short if short == "vault" else None

    def link(self, short: str) -> None:
        return None

    def active(self, short: str) -> None:
        return None


@define
class Files:
    directory: OneModule


@define
class Modules:
    jobs: OneModule
    files: Files


class BeforeThePasswordTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.needed: dict[str, Any] = {"who": Authenticator([owner()]), "step_up": NoProof()}

    def answer(self, app: Klein, method: str, path: str, body: dict[str, Any], who: str = "owner") -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {who}"}
        found: Answer = ask(app.resource(), path, method=method, headers=headers, body=json.dumps(body).encode())
        return found.status, found.json()["error"]

    def test_a_link(self) -> None:
        one: Any = OneModule()
        modules: Any = Modules(jobs=one, files=Files(one))
        linking = Linking(links=one, new_id=lambda: "f" * 16)
        unused: dict[str, Any] = dict.fromkeys(("mover", "supervisor", "done"), lambda: None)
        app = LinksArea(links=one, linking=lambda: linking, modules=modules, **unused, **self.needed).app
        host, upstream = "10.0.0.5", "https://notes.test"
        for method, path, body, expected in (
            ("POST", "vault/pair", {"address": host, "code": CODE}, ASKED),
            ("POST", "vault/pair", {"address": host, "code": "1234"}, (400, "invalid_code")),
            ("POST", "vault/pair", {"address": host, "code": CODE.replace("A", "U")}, (400, "invalid_code")),
            ("POST", "vault/pair", {"address": "no address", "code": CODE}, (400, "invalid_address")),
            ("POST", "scribe/pair", {"address": host, "code": CODE}, (404, "not_found")),
            ("PUT", "vault", {"address": upstream}, ASKED),
            ("PUT", "vault", {"address": "10.0.0.5"}, (400, "invalid_address")),
            ("PUT", "vault", {"address": upstream, "pin": "x"}, (400, "invalid_address")),
            ("PUT", "vault", {"address": upstream, "ca": "x"}, (400, "invalid_ca")),
            ("DELETE", "vault", {}, ASKED),
            ("DELETE", "scribe", {}, (404, "not_found")),
            ("POST", "vault/move", {"to": "there"}, ASKED),
            ("POST", "vault/move", {"to": "away"}, (400, "invalid_request")),
        ):
            self.assertEqual(self.answer(app, method, f"/api/links/{path}", body), expected)
            self.assertEqual(self.answer(app, method, f"/api/links/{path}", body, "stranger")[0], 401)

    def test_a_destination_of_notices(self) -> None:
        unused: dict[str, Any] = dict.fromkeys(("seals", "page", "minute", "now", "new_id", "in_thread", "done"))
        ntfy = Ntfy(Outbound(reactor=None, resolve=self.fail))
        notices = Notices(file=NoticesFile(Path(self.mktemp())), senders=lambda: {"ntfy": ntfy}, bus=Bus(), **unused)
        app = NoticesApi(notices=notices, **self.needed).app
        for body, expected in (
            ({"kind": "ntfy", "url": "https://ntfy.test/topic"}, ASKED),
            ({"kind": "ntfy", "url": "ntfy.test"}, (400, "invalid_address")),
            ({"kind": "pigeon"}, (400, "invalid_kind")),
        ):
            self.assertEqual(self.answer(app, "POST", "/api/notices/destinations", body), expected)

    def test_a_destination_of_backups(self) -> None:
        given: dict[str, Any] = {
            "backups": None,
            "clock": lambda: 0.0,
            "random": lambda size: bytes(size),
            "new_id": lambda: "f" * 16,
        }
        app = BackupsApi(**given, **self.needed).app
        for body, expected in (
            ({"kind": "folder", "path": "/mnt/disk"}, ASKED),
            ({"kind": "folder", "path": "disk"}, (400, "invalid_path")),
            ({"kind": "s3", "endpoint": "bucket.test"}, (400, "invalid_request")),
        ):
            self.assertEqual(self.answer(app, "POST", "/api/backups/places", body), expected)
