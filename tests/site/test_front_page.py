from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.site.front_page import FrontPage, Tile
from tests.support.asking import ask


class FrontPageTests(SynchronousTestCase):
    def body(self, *tiles: Tile) -> str:
        answer = ask(FrontPage(lambda: tiles).app.resource(), "/", headers={"Accept": "text/html"})
        self.assertEqual((answer.status, answer.header("Content-Type")), (200, "text/html; charset=utf-8"))
        self.assertEqual(answer.header("Cache-Control"), "no-store")
        return answer.body.decode()

    def test_an_empty_hub_says_what_to_do(self) -> None:
        """Rather than a blank page."""
        body = self.body()
        self.assertIn("Nothing is installed yet", body)
        self.assertIn('href="/admin/"', body)

    def test_modules_are_shown_with_their_state_in_words(self) -> None:
        """Those with a page can be opened; the others cannot."""
        body = self.body(
            Tile(name="Notes", tagline="Write", state="ready", url="/notes/"),
            Tile(name="Scribe", tagline="Hear", state="parked"),
        )
        self.assertIn('<a href="/notes/">Notes</a>', body)
        self.assertIn("keeps failing", body)
        self.assertNotIn(">Scribe</a>", body)

    def test_what_a_module_says_of_itself_is_only_text(self) -> None:
        """Names and taglines come from packages and are escaped."""
        body = self.body(Tile(name="<script>alert(1)</script>", tagline='"><img src=x>', state="ready", url='/x"onx='))
        self.assertNotIn("<script>", body)
        self.assertNotIn("<img", body)
        self.assertIn("&lt;script&gt;", body)
