"""What a hub without an owner answers before all of it is loaded."""

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource

from parachute_hub.accounts.setup.gate import SetupGate
from parachute_hub.app.closed import Closed
from parachute_hub.app.entrance import EarlyWizard, FirstQuestion
from parachute_hub.app.request_caller import RequestCaller
from parachute_hub.site.root import MountedArea, Open, Root
from tests.support.asking import ask
from tests.support.sockets import Rig, get


class Users:
    def count(self) -> int:
        return 0


class Wizard(Resource):
    isLeaf = True

    def render(self, request: IRequest) -> bytes:
        return b"%s answers %s" % (request.path, request.content.read())


class FirstQuestionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.early = EarlyWizard(Wizard())
        self.root = Root(
            [MountedArea(("/admin/setup",), self.early), MountedArea(("/health", "/static/hub"), Wizard())],
            FirstQuestion(SetupGate(Users())),  # type: ignore[arg-type]
            is_secure=RequestCaller().is_secure,
        )

    def test_what_is_answered(self) -> None:
        page = {"Accept": "text/html"}
        for method, path, status, told in (
            ("GET", "/admin/setup", 200, ""),
            ("HEAD", "/admin/setup/", 200, ""),
            ("GET", "/static/hub/pages.css", 200, ""),
            ("GET", "/health", 200, ""),
            ("GET", "/", 302, "/admin/setup"),
            ("GET", "/admin", 503, "starting"),
            ("GET", "/admin/setups", 503, "starting"),
            ("GET", "/static/hubs", 503, "starting"),
            ("GET", "/api/modules", 503, "starting"),
            ("POST", "/oauth/token", 503, "starting"),
            ("GET", "/.well-known/jwks.json", 503, "starting"),
        ):
            with self.subTest(method=method, path=path):
                answer = ask(self.root, path, method=method, headers=page)
                self.assertEqual(answer.status, status)
                if status == 503:
                    self.assertEqual(answer.headers.getRawHeaders("retry-after"), ["1"])
                if status == 302:
                    self.assertEqual(answer.headers.getRawHeaders("location"), [told])

    def test_an_answer_to_the_question_waits_for_the_rest_of_the_hub(self) -> None:
        rig = Rig((), resource=self.root)
        post = get("/admin/setup/account", "Content-Length: 3", method="POST") + b"ada"
        first, gone = rig.ask(post), rig.ask(post)
        self.assertEqual(first.take(), b"")
        gone.hang_up()
        self.root.open([MountedArea(("/admin/setup",), Wizard())], Open())
        self.early.go_on(self.root)
        self.assertIn(b"/admin/setup/account answers ada", first.take())
        self.assertEqual(gone.take(), b"")

    def test_a_start_that_fails_answers_what_was_kept(self) -> None:
        rig = Rig((), resource=self.root)
        waiting = rig.ask(get("/admin/setup/account", "Content-Length: 0", method="POST"))
        self.root.gate = Closed("failed")
        self.early.go_on(self.root)
        self.assertIn(b" 503 ", waiting.take())
