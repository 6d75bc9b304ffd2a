import json
from pathlib import Path
from typing import Any

from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.admin.problems_api import ProblemsApi
from parachute_hub.events import Bus
from parachute_hub.problems.memory import ProblemsFile
from parachute_hub.problems.model import Problem, click, words
from parachute_hub.problems.service import Problems
from parachute_hub.site.auth import Authenticator
from tests.problems.test_service import FakeCheck
from tests.support.acts import HeardActs
from tests.support.asking import Answer, ask
from tests.support.operators import owner

CRASHING = Problem(
    key="module-state:vault",
    severity="error",
    title="Vault keeps crashing",
    text="ffmpeg is missing.",
    clears="It goes away once the module runs again.",
    found={"restarts": 5},
    fixes=(click("Start again", "POST", "/api/modules/vault/start", safe=True), words("Install ffmpeg.")),
    short="vault",
)


class ProblemsApiTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.check, self.heard = FakeCheck(found=[CRASHING]), HeardActs()
        problems = Problems(
            checks=[self.check],
            file=ProblemsFile(Path(self.mktemp())),
            bus=Bus(),
            clock=Clock(),
            now=lambda: 60.0,
            in_thread=lambda function, *args: succeed(function(*args)),
        )
        self.resource = ProblemsApi(
            who=Authenticator([owner()]), problems=problems, done=self.heard.done
        ).app.resource()

    def ask(self, path: str = "", body: Any = None, token: str = "owner") -> Answer:
        method, sent = ("GET", b"") if body is None else ("POST", json.dumps(body).encode())
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return ask(self.resource, f"/api/problems{path}", method=method, body=sent, headers=headers)

    def test_the_list_is_not_complete_before_the_checks_have_looked(self) -> None:
        self.assertEqual(self.ask().json(), {"problems": [], "complete": False})

    def test_a_problem_with_its_fixes(self) -> None:
        self.assertEqual(
            self.ask("/look", {}).json(),
            {
                "problems": [
                    {
                        "key": "module-state:vault",
                        "severity": "error",
                        "title": "Vault keeps crashing",
                        "text": "ffmpeg is missing.",
                        "detail": "",
                        "found": {"restarts": 5},
                        "clears": "It goes away once the module runs again.",
                        "fixes": [
                            {
                                "label": "Start again",
                                "page": None,
                                "request": {"method": "POST", "path": "/api/modules/vault/start", "body": None},
                                "safe": True,
                            },
                            {"label": "Install ffmpeg.", "page": None, "request": None, "safe": False},
                        ],
                        "short": "vault",
                        "since": "1970-01-01T00:01:00Z",
                        "dismissed": False,
                    }
                ],
                "complete": True,
            },
        )

    def test_dismissing_and_showing_again(self) -> None:
        self.ask("/look", {})
        for path, dismissed in (("/dismiss", True), ("/restore", False)):
            answer = self.ask(path, {"key": CRASHING.key})
            self.assertEqual([one["dismissed"] for one in answer.json()["problems"]], [dismissed], path)
        acts = [("problems-looked-for", ""), ("problem-dismissed", CRASHING.title)]
        self.assertEqual(self.heard.acts, [*acts, ("problem-shown-again", CRASHING.title)])

    def test_bad_keys_are_refused(self) -> None:
        for body, status in (({}, 400), ({"key": 3}, 400), ({"key": "other"}, 404)):
            self.assertEqual(self.ask("/dismiss", body).status, status, body)
        self.assertEqual(self.heard.acts, [])

    def test_administrators_only(self) -> None:
        for path, body in (("", None), ("/dismiss", {}), ("/restore", {}), ("/look", {})):
            self.assertEqual(self.ask(path, body, token="member").status, 401, path)
