from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request

from parachute_hub.modules.launch.pages_seen import FRESH, SECONDS, ModuleAddress, PageChecks

HTML = "text/html; charset=utf-8"


class Toy(Resource):
    """A module: `answers` maps a path to status, content type and Location."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, tuple[int, str, str | None]] = {}
        self.asked: list[tuple[str, str | None]] = []

    def render(self, request: Request) -> bytes:
        path = request.path.decode()
        self.asked.append((path, request.getHeader("authorization")))
        status, kind, location = self.answers.get(path, (404, "text/plain", None))
        request.setResponseCode(status)
        request.setHeader("Content-Type", kind)
        if location is not None:
            request.setHeader("Location", location)
        return b"x"


class PagesSeenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.toy = Toy()
        self.agent = RequestTraversalAgent(self.toy)
        self.clock = Clock()
        self.where: ModuleAddress | None = ModuleAddress(port=2711, mounts=("/toy",), strip=False)
        self.changes = 0
        self.seen = PageChecks(agent=self.agent, clock=self.clock, where=lambda short: self.where, changed=self.changed)

    def changed(self) -> None:
        self.changes += 1

    def offered(self, link: str) -> str | None:
        self.seen.look("toy", [link])
        self.agent.flush()
        return self.seen.offered("toy", link)

    def test_what_is_a_page(self) -> None:
        for name, answer, page in (
            ("a page", (200, HTML, None), True),
            ("another spelling", (200, "TEXT/HTML", None), True),
            ("JSON", (200, "application/json", None), False),
            ("JSON that wants a key", (401, "application/json", None), False),
            ("a page that wants a key", (401, HTML, None), False),
            ("nothing", (404, HTML, None), False),
            ("a fault", (500, HTML, None), False),
            ("away to another module", (302, HTML, "/other/"), False),
            ("away to another machine", (302, HTML, "https://x.test/toy/"), False),
            ("round and round", (302, HTML, "/toy/page"), False),
            ("nowhere", (302, HTML, None), False),
        ):
            self.toy.answers["/toy/page"] = answer
            self.assertEqual(self.offered("/toy/page"), "/toy/page" if page else None, name)
        self.assertEqual({authorization for _, authorization in self.toy.asked}, {None})

    def test_an_icon_is_a_picture(self) -> None:
        """A page in its place, as plain pages of an app give for everything, is none."""
        for kind, shown in (("image/svg+xml", True), (HTML, False)):
            self.toy.answers["/toy/.parachute/icon.svg"] = (200, kind, None)
            self.assertEqual(self.offered("/toy/.parachute/icon.svg") is not None, shown, kind)

    def test_a_redirect_within_the_module_is_followed(self) -> None:
        self.toy.answers = {"/toy/admin": (301, "text/plain", "admin/"), "/toy/admin/": (200, HTML, None)}
        self.assertEqual(self.offered("/toy/admin"), "/toy/admin")

    def test_the_mount_is_left_out_for_a_module_that_wants_it_so(self) -> None:
        self.where = ModuleAddress(port=2711, mounts=("/toy",), strip=True)
        self.toy.answers = {"/admin": (200, HTML, None), "/": (200, HTML, None)}
        self.assertEqual(self.offered("/toy/admin"), "/toy/admin")
        self.assertEqual(self.offered("/toy"), "/toy")
        # To a browser this leads to the hub's own /admin.
        self.toy.answers["/old"] = (302, HTML, "/admin")
        self.assertIsNone(self.offered("/toy/old"))

    def test_only_paths_of_the_module_are_asked_for(self) -> None:
        self.assertIsNone(self.offered("/admin"))
        self.assertIsNone(self.offered("/toys"))
        self.assertEqual(self.toy.asked, [])

    def test_an_address_elsewhere_is_the_modules_own_word(self) -> None:
        self.assertEqual(self.seen.offered("toy", "https://x.test/"), "https://x.test/")
        self.assertIsNone(self.seen.offered("toy", None))
        self.assertEqual(self.toy.asked, [])

    def test_a_card_is_json(self) -> None:
        self.toy.answers["/toy/.parachute/info"] = (200, "application/json", None)
        self.assertEqual(self.offered("/toy/.parachute/info"), "/toy/.parachute/info")

    def test_an_answer_is_cached_and_a_change_reported_once(self) -> None:
        self.toy.answers["/toy/"] = (200, HTML, None)
        self.assertEqual((self.offered("/toy/"), self.changes), ("/toy/", 1))
        self.clock.advance(FRESH - 1)
        self.seen.offered("toy", "/toy/")
        self.assertEqual(len(self.toy.asked), 1)
        self.clock.advance(1)
        self.seen.offered("toy", "/toy/")
        self.agent.flush()
        self.assertEqual((len(self.toy.asked), self.changes), (2, 1))
        self.toy.answers.clear()
        self.assertEqual((self.offered("/toy/"), self.changes), (None, 2))

    def test_a_stopped_module_is_not_asked(self) -> None:
        self.where = None
        self.assertIsNone(self.offered("/toy/"))
        self.assertEqual(self.toy.asked, [])

    def test_one_that_never_answers_has_no_page(self) -> None:
        class Silent:
            def request(self, *_: object, **__: object) -> Deferred[None]:
                return Deferred()

        seen = PageChecks(agent=Silent(), clock=self.clock, where=lambda _: self.where, changed=self.changed)  # type: ignore[arg-type]
        self.assertEqual((seen.offered("toy", "/toy/"), self.changes), (None, 0))
        self.clock.advance(SECONDS)
        self.assertEqual((seen.offered("toy", "/toy/"), self.changes), (None, 1))
