import errno

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource

from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused
from parachute_hub.site.pages import refuse
from parachute_hub.system.storage_trouble import StorageBusy
from tests.support.asking import ask
from tests.support.sockets import HOST, Rig


class Shop:
    def __init__(self) -> None:
        self.waiting: Deferred[None] = Deferred()
        self.done = False

    app: Klein = area()

    @app.route("/api/thing", methods=["GET", "PUT"])
    def thing(self, request: IRequest) -> bytes:
        return as_json(request, {"got": read_json(request, limit=20)})

    @app.route("/api/form", methods=["POST"])
    def form(self, request: IRequest) -> bytes:
        return as_json(request, {})

    @app.route("/api/refused", methods=["GET"])
    def refused(self, request: IRequest) -> bytes:
        raise Refused(409, "busy", "Wait.", headers={"Retry-After": "3"}, detail={"operation_id": "x"})

    @app.route("/api/broken", methods=["GET"])
    def broken(self, request: IRequest) -> bytes:
        raise RuntimeError("the secret is 1234")

    @app.route("/api/full", methods=["GET"])
    def full(self, request: IRequest) -> bytes:
        raise OSError(errno.ENOSPC, "No space left on device")

    @app.route("/api/busy", methods=["GET"])
    def busy(self, request: IRequest) -> bytes:
        raise StorageBusy("too many")

    @app.route("/api/slow", methods=["GET", "POST"])
    async def slow(self, request: IRequest) -> bytes:
        await self.waiting
        self.done = True
        return b""


class Refuser(Resource):
    """Refuses everything with this error."""

    isLeaf = True

    def __init__(self, text: str, status: int = 400, error: str = "bad") -> None:
        super().__init__()
        self.refused = Refused(status, error, text)

    def render(self, request: IRequest) -> bytes:
        return refuse(request, self.refused)


class AreaTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.shop = Shop().app.resource()

    def test_a_refusal_is_answered_in_its_own_words(self) -> None:
        """Status, headers and JSON."""
        answer = ask(self.shop, "/api/refused")
        self.assertEqual((answer.status, answer.header("Retry-After")), (409, "3"))
        self.assertEqual(answer.json(), {"error": "busy", "error_description": "Wait.", "operation_id": "x"})

    def test_a_refusal_is_a_page_only_for_who_asks_for_one(self) -> None:
        """Browsers name HTML in Accept; scripts and programs do not."""
        for accept, page in (
            ("text/html,application/xhtml+xml,*/*;q=0.8", True),
            ("*/*", False),
            ("", False),
            ("application/json", False),
            ("text/event-stream", False),
        ):
            for path in ("/api/refused", "/api/other", "/api/thing"):
                answer = ask(self.shop, path, method="DELETE", headers={"Accept": accept})
                kind = "text/html; charset=utf-8" if page else "application/json"
                self.assertEqual((answer.header("Content-Type"), answer.header("Vary")), (kind, "Accept"), accept)
                self.assertEqual(answer.header("Cache-Control"), "no-store")

    def test_the_page_of_a_refusal_escapes_what_it_says(self) -> None:
        request = ask(Refuser('<script>"'), "/", headers={"Accept": "text/html"})
        self.assertEqual(request.status, 400)
        self.assertIn(b'&lt;script&gt;"', request.body)
        self.assertNotIn(b"<script>", request.body)

    def test_trouble_with_the_disk_is_said_as_what_it_is(self) -> None:
        answers = [ask(self.shop, path) for path in ("/api/full", "/api/busy")]
        self.assertEqual([answer.status for answer in answers], [507, 503])
        self.assertEqual([answer.header("Retry-After") for answer in answers], [None, "2"])
        self.assertEqual([answer.json()["error"] for answer in answers], ["disk_full", "busy"])
        self.flushLoggedErrors(OSError, StorageBusy)

    def test_every_503_says_when_to_come_back(self) -> None:
        for error, heading in (
            ("not_running", "One moment, please"),
            ("failed", "This hub cannot start"),
            ("db_unavailable", "This hub needs repair"),
        ):
            page = ask(Refuser("Wait.", 503, error), "/", headers={"Accept": "text/html"})
            self.assertEqual((page.status, page.header("Retry-After")), (503, "60"))
            self.assertIn(f"<h1>{heading}</h1>".encode(), page.body)
            self.assertIn(b'href="">Try again</a>', page.body)
        self.assertEqual(Refused(503, "starting", "Wait.", headers={"Retry-After": "1"}).headers, {"Retry-After": "1"})

    def test_a_change_goes_on_when_its_client_hangs_up(self) -> None:
        """A read does not: nobody needs the response."""
        for method, done in (("POST", True), ("GET", False)):
            with self.subTest(method):
                shop = Shop()
                rig = Rig((), resource=shop.app.resource())
                client = rig.ask(f"{method} /api/slow HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n".encode())
                client.hang_up()
                shop.waiting.addErrback(lambda failure: None)
                if not shop.waiting.called:
                    shop.waiting.callback(None)
                self.assertEqual(shop.done, done)
                rig.stop()

    def test_another_method_is_told_which_ones_there_are(self) -> None:
        """RFC 9110 15.5.6."""
        answer = ask(self.shop, "/api/thing", method="DELETE")
        self.assertEqual((answer.status, answer.header("Allow")), (405, "GET, HEAD, PUT"))

    def test_a_forms_address_is_a_page_to_a_browser_that_opens_it(self) -> None:
        """After a reload or from the history. Not JSON, and what to do."""
        answer = ask(self.shop, "/api/form", headers={"Accept": "text/html"})
        self.assertEqual((answer.status, answer.header("Content-Type")), (405, "text/html; charset=utf-8"))
        self.assertIn("Go back to the page with the form", answer.body.decode())

    def test_an_unknown_path_is_not_found(self) -> None:
        """In JSON instead of the framework's HTML."""
        self.assertEqual(ask(self.shop, "/api/other").json()["error"], "not_found")

    def test_a_fault_is_logged_and_tells_nothing(self) -> None:
        """Details go to the log only."""
        answer = ask(self.shop, "/api/broken")
        self.assertEqual((answer.status, answer.json()["error"]), (500, "internal_error"))
        self.assertNotIn(b"1234", answer.body)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_bodies_are_bounded_json_objects(self) -> None:
        """Too long, not JSON, not an object, deeply nested: each has its error; an empty body is an empty object."""
        for body, status in ((b"x" * 21, 413), (b"{", 400), (b"[1]", 400), (b"", 200), (b'{"a": 1}', 200)):
            self.assertEqual(ask(self.shop, "/api/thing", method="PUT", body=body).status, status, body)
