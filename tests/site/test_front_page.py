from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.site.front_page import FrontPage, Tile, Visitor
from tests.support.asking import ask

OWNER = Visitor(name="Ada", is_admin=True, csrf="token")
FRIEND = evolve(OWNER, name="Jürgen 🌷", is_admin=False)
NOTES = Tile(name="Notes", tagline="Write", state="ready", url="/notes/", icon="/notes/icon.svg", writes="/notes/#/new")
SURFACE = Tile(name="Blog", tagline="Read", state="parked", url="/surface/blog")


class FrontPageTests(SynchronousTestCase):
    def body(self, *tiles: Tile, who: Visitor | None = OWNER) -> str:
        page = FrontPage(lambda: tiles, lambda request: who)
        answer = ask(page.app.resource(), "/", headers={"Accept": "text/html"})
        self.assertEqual((answer.status, answer.header("Content-Type")), (200, "text/html; charset=utf-8"))
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        return answer.body.decode()

    def test_an_empty_hub_says_what_to_do(self) -> None:
        self.assertIn('href="/admin/modules"', self.body())
        self.assertIn("Ask the person who runs this hub", self.body(who=FRIEND))

    def test_strangers_see_nothing_but_the_way_in(self) -> None:
        body = self.body(NOTES, SURFACE, who=None)
        self.assertIn('href="/login?next=/"', body)
        for word in ("Notes", "Blog", "failing", "/admin"):
            self.assertNotIn(word, body)

    def test_a_friend_finds_everything(self) -> None:
        body = self.body(NOTES, SURFACE, who=FRIEND)
        for words in ("Hello, Jürgen 🌷", 'href="/notes/#/new"', 'src="/notes/icon.svg"', 'href="/surface/blog"'):
            self.assertIn(words, body)
        for path in ("/account/connect", "/account", "/logout"):
            self.assertIn(f'"{path}"', body)

    def test_a_phone_is_let_in_where_it_can_come(self) -> None:
        self.assertIn('href="/account/phone?next=/notes/"', self.body(NOTES, who=evolve(FRIEND, phone=True)))
        self.assertIn('href="/account/phone"', self.body(SURFACE, who=evolve(FRIEND, phone=True)))
        self.assertNotIn("/account/phone", self.body(NOTES, who=FRIEND))

    def test_only_owners_see_how_modules_are(self) -> None:
        self.assertIn("Keeps failing", self.body(NOTES, SURFACE))
        self.assertIn("Manage the hub", self.body(NOTES, SURFACE))
        body = self.body(NOTES, SURFACE, who=FRIEND)
        self.assertNotIn("Keeps failing", body)
        self.assertNotIn("/admin", body)

    def test_what_a_module_says_of_itself_is_only_text(self) -> None:
        """Names and taglines come from packages and are escaped."""
        body = self.body(
            Tile(name="<script>alert(1)</script>", tagline='"><img src=x>', state="ready", url='/x"onx=', icon='"><b>')
        )
        self.assertNotIn("<script>alert", body)
        self.assertNotIn("<img src=x", body)
        self.assertIn("&lt;script&gt;", body)
