from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from parachute_hub.app.request_caller import RequestCaller
from parachute_hub.site.errors import Refused
from parachute_hub.site.root import SECURITY_HEADERS, STRICT_TRANSPORT, MountedArea, Root
from tests.support.asking import ask


class Says(Resource):
    isLeaf = True

    def __init__(self, text: bytes) -> None:
        super().__init__()
        self.text = text

    def render(self, request: object) -> bytes:
        return self.text


class Closed:
    def check(self, method: bytes, path: bytes, html: bool) -> Refused | None:
        if path == b"/health":
            return None
        return Refused(302, "setup_required", "Set up first.", headers={"Location": "/admin/setup"})


class RootTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.root = Root(
            [
                MountedArea(("/",), Says(b"front")),
                MountedArea(("/api",), Says(b"api")),
                MountedArea(("/api/modules", "/health"), Says(b"modules")),
            ],
            is_secure=RequestCaller().is_secure,
        )

    def test_longest_prefix_on_segment_borders_answers(self) -> None:
        """`/api/modules/x` is not `/api`, and `/api/modulesx` is not `/api/modules`."""
        answers = {path: ask(self.root, path).body for path in ("/", "/api/modules/x", "/api/modulesx", "/api")}
        self.assertEqual(
            answers,
            {"/": b"front", "/api/modules/x": b"modules", "/api/modulesx": b"api", "/api": b"api"},
        )

    def test_the_root_area_does_not_answer_for_everything(self) -> None:
        """An unknown path is 404, not the front page."""
        answer = ask(self.root, "/admin/unknown")
        self.assertEqual((answer.status, answer.json()["error"]), (404, "not_found"))

    def test_every_answer_carries_the_security_headers(self) -> None:
        """Including refusals: a 404 page must not be framable either."""
        for path in ("/", "/admin/unknown"):
            answer = ask(self.root, path)
            for name, value in SECURITY_HEADERS.items():
                self.assertEqual(answer.headers.getRawHeaders(name), [value])

    def test_the_wrong_method_and_a_path_of_no_text_are_told_in_json(self) -> None:
        """Instead of Twisted's or Klein's text, and without an error in the log."""

        class Reads(Resource):
            isLeaf = True

            def render_GET(self, request: object) -> bytes:
                return b"read"

        root = Root([MountedArea(("/admin",), Reads())], is_secure=RequestCaller().is_secure)
        answer = ask(root, "/admin/x", method="POST")
        self.assertEqual((answer.status, answer.json()["error"]), (405, "method_not_allowed"))
        self.assertEqual(answer.header("Allow"), "GET, HEAD")
        for path in ("/admin/%ff", "/admin/a%C3"):
            answer = ask(root, path)
            self.assertEqual((answer.status, answer.json()["error"]), (400, "bad_path"), path)
        self.assertEqual(ask(root, "/admin/%C3%A9").body, b"read")

    def test_browsers_are_told_to_stay_on_https_once_they_came_by_it(self) -> None:
        """Over plain http the header would have no effect, and on a laptop be wrong."""
        self.assertIsNone(ask(self.root, "/").header("Strict-Transport-Security"))
        self.assertEqual(ask(self.root, "/", https=True).header("Strict-Transport-Security"), STRICT_TRANSPORT)

    def test_no_page_is_given_out_as_a_service_worker(self) -> None:
        """A module's script cannot install a worker from our addresses."""
        answer = ask(self.root, "/", headers={"Service-Worker": "script"})
        self.assertEqual((answer.status, answer.json()["error"]), (403, "no_service_worker"))

    def test_the_worker_for_push_messages_is_the_one_exception(self) -> None:
        for path, status in (("/admin/push.js", 200), ("/admin/push.js/x", 403), ("/admin/", 403)):
            root = Root([MountedArea(("/admin",), Says(b"x"))], is_secure=RequestCaller().is_secure)
            self.assertEqual(ask(root, path, headers={"Service-Worker": "script"}).status, status, path)

    def test_a_closed_gate_answers_first(self) -> None:
        """The gate's refusal is sent as it is; everything else is served."""
        self.root.gate = Closed()
        answer = ask(self.root, "/api")
        self.assertEqual((answer.status, answer.header("Location")), (302, "/admin/setup"))
        self.assertEqual(ask(self.root, "/health").body, b"modules")
