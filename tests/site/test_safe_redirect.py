"""`next=` leads only to our own paths."""

from urllib.parse import urljoin, urlsplit

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.site.safe_redirect import login_url, safe_next

REFUSED = (
    None,
    "",
    "account",
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\/evil.example",
    "/\\/evil.example",
    "https://evil.example",
    "javascript:alert(1)",
    "/a\r\nLocation: //evil.example",
    "/\t/evil.example",
    "/a b",
    "/\x00",
    "/\u2028x",
    "/a\\b",
    " /account",
    "/" + "x" * 5000,
)
KEPT = ("/", "/account", "/oauth/authorize?a=b&c=https%3A%2F%2Fx", "/a//b", "/admin/#/modules", "/@evil.example")


class NextTests(SynchronousTestCase):
    def test_urls_of_other_sites_are_refused(self) -> None:
        for text in REFUSED:
            self.assertEqual(safe_next(text, "/home"), "/home", repr(text))

    def test_paths_of_the_hub_are_kept(self) -> None:
        for text in KEPT:
            self.assertEqual(safe_next(text, "/home"), text)

    @settings(max_examples=300, derandomize=True, deadline=None)
    @given(st.text(alphabet="/\\.:@?#%aE\t\n\r https", max_size=20))
    def test_never_another_origin(self, text: str) -> None:
        """The result stays on this host, also in browsers, which treat a backslash as a slash."""
        path = safe_next(text, "/")
        as_a_browser_reads_it = path.replace("\\", "/").replace("\t", "").replace("\n", "").replace("\r", "")
        self.assertEqual(urlsplit(urljoin("https://hub.example/x", as_a_browser_reads_it)).netloc, "hub.example")

    def test_login_url_carries_it_whole(self) -> None:
        self.assertEqual(login_url("/oauth/authorize?a=1&b=2#x"), "/login?next=/oauth/authorize%3Fa%3D1%26b%3D2%23x")
        self.assertEqual(login_url("//evil.example"), "/login?next=/")
