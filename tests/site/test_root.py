from collections.abc import Callable
from pathlib import Path

from klein import Klein
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from parachute_hub.app.request_caller import RequestCaller
from parachute_hub.site.errors import Refused
from parachute_hub.site.root import SECURITY_HEADERS, STRICT_TRANSPORT, MountedArea, Root, later
from parachute_hub.system import loading
from tests.support.asking import ask
from tests.support.late_code import LateCase
from tests.support.sockets import Rig, get


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


class LaterTests(LateCase):
    """Areas whose code is loaded with their first request."""

    def setUp(self) -> None:
        self.written({"late_area": "from klein import Klein\nTEXT = b'hello'\nif BROKEN: raise OSError\n"})
        self.jobs: list[Callable[[], object]] = []
        self.made = 0

    def root(self, broken: bool = False) -> Root:
        code = self.late("late_area")
        code.BROKEN = broken  # type: ignore[attr-defined]

        def make() -> Klein:
            self.made += 1
            app = Klein()
            app.route("/api/late", methods=["GET", "HEAD"])(lambda request: code.TEXT)
            return app

        def in_thread(work: Callable[..., object], *args: object) -> Deferred[object]:
            done: Deferred[object] = Deferred()
            self.jobs.append(lambda: maybeDeferred(work, *args).chainDeferred(done))
            return done

        return Root([later(("/api/late",), code, make)], is_secure=RequestCaller().is_secure, in_thread=in_thread)

    def load(self) -> None:
        while self.jobs:
            self.jobs.pop(0)()

    def test_the_first_request_waits_and_the_next_does_not(self) -> None:
        rig = Rig((), resource=self.root())
        first, second = rig.ask(get("/api/late")), rig.ask(get("/api/late"))
        self.assertEqual((first.take(), second.take(), self.made), (b"", b"", 0))
        self.load()
        self.assertIn(b"hello", first.take())
        self.assertIn(b"hello", second.take())
        self.assertIn(b"hello", rig.ask(get("/api/late")).take())
        self.assertEqual((self.made, self.jobs), (1, []))

    def test_a_head_request_gets_no_body(self) -> None:
        client = Rig((), resource=self.root()).ask(get("/api/late").replace(b"GET", b"HEAD"))
        self.load()
        head, _, body = client.take().partition(b"\r\n\r\n")
        self.assertEqual((head.split(b" ")[1], body), (b"200", b""))

    def test_whoever_leaves_meanwhile_does_not_matter(self) -> None:
        rig = Rig((), resource=self.root())
        rig.ask(get("/api/late")).hang_up()
        self.load()
        self.assertEqual(self.made, 0)
        self.assertIn(b"hello", rig.ask(get("/api/late")).take())

    def test_the_gate_is_asked_again_when_the_code_is_there(self) -> None:
        root = self.root()
        client = Rig((), resource=root).ask(get("/api/late"))
        root.gate = Closed()
        self.load()
        self.assertIn(b" 302 ", client.take())

    def test_a_closed_gate_loads_nothing(self) -> None:
        root = self.root()
        root.gate = Closed()
        self.assertIn(b" 302 ", Rig((), resource=root).ask(get("/api/late")).take())
        self.assertEqual(self.jobs, [])

    def test_code_that_cannot_be_loaded_is_500_and_is_tried_again(self) -> None:
        rig = Rig((), resource=self.root(broken=True))
        for _ in range(2):
            client = rig.ask(get("/api/late"))
            self.load()
            self.assertIn(b" 500 ", client.take())
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 2)

    def test_a_newer_version_on_the_disk_needs_a_restart(self) -> None:
        rig = Rig((), resource=self.root())
        file = self.late("late_area").__file__
        assert file is not None
        Path(file).write_text("TEXT = b'of a newer version'\n")
        client = rig.ask(get("/api/late"))
        self.load()
        self.assertIn(b" 503 ", client.take())
        self.assertEqual(len(self.flushLoggedErrors(loading.Replaced)), 1)
