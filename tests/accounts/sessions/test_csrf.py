"""CSRF tokens bound to a cookie, and where a browser says a request comes from."""

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.sessions import csrf

OURS = ("http://hub.test", "https://hub.example")


class SourceTests(SynchronousTestCase):
    def test_the_source_follows_from_the_headers(self) -> None:
        for fetch_site, origin, expected in (
            ("same-origin", None, "ours"),
            ("same-origin", "https://evil.example", "ours"),  # a browser never says both
            ("none", None, "ours"),
            ("same-site", "http://hub.test", "foreign"),
            ("cross-site", "http://hub.test", "foreign"),
            ("nonsense", None, "foreign"),
            (None, "http://hub.test", "ours"),
            (None, "https://hub.example", "ours"),
            (None, "http://hub.test:8080", "foreign"),
            (None, "https://hub.test", "foreign"),
            (None, "null", "foreign"),
            (None, "", "foreign"),
            (None, None, "unsaid"),
        ):
            self.assertEqual(csrf.source(fetch_site, origin, OURS), expected, (fetch_site, origin))


class TokenTests(SynchronousTestCase):
    def test_bound_to_its_cookie(self) -> None:
        self.assertTrue(csrf.token_matches("a", csrf.token_for("a")))
        for wrong in (None, "", csrf.token_for("b"), "a"):
            self.assertFalse(csrf.token_matches("a", wrong))

    def test_does_not_give_the_cookie_away(self) -> None:
        self.assertNotIn("secret-value", csrf.token_for("secret-value"))
