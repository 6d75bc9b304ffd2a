"""Who may see which part of a module."""

import doctest
import re

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy import audience
from parachute_hub.proxy.audience import Rank
from parachute_hub.proxy.routes import Mount, Table
from tests.support.sockets import Rig, get

WHOLE = Mount("surface", b"/surface", 2001, strip=True, open_paths=(b"/surface/.parachute/info",))
APP = Mount("surface", b"/surface", 2001, strip=True, part=b"/app", audience="hub-users")
DEEP = Mount(
    "surface", b"/surface", 2001, part=b"/app/deep", audience="hub-users", scopes_required=("vault:*:read", "hub:x")
)
DESK = Mount("surface", b"/surface", 2001, part=b"/desk", audience="operator")
OPEN = Mount("surface", b"/surface", 2001, part=b"/app/open")
MOUNTS = (WHOLE, APP, DEEP, DESK, OPEN)
GOOD, BARE = (f"Authorization: Bearer eyJhbGciOi.eyJ{word}.c2ln" for word in ("good", "bare"))
MEMBER, ADMIN = "Cookie: parachute_hub_session=member", "Cookie: a=1; parachute_hub_session=admin"


class People:
    """Two sessions and two tokens."""

    def rank(self, cookie: bytes, secure: bool) -> Rank:
        if b"session=admin" in cookie:
            return "admin"
        return "member" if b"session=member" in cookie else "nobody"

    def scopes(self, token: str) -> frozenset[str] | None:
        if ".eyJgood." in token:
            return frozenset({"vault:work:read", "hub:x"})
        return frozenset({"hub:x"}) if ".eyJbare." in token else None


class AudienceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = Rig(MOUNTS, visitors=People())

    def asked(self, path: str, *lines: str, method: str = "GET") -> str:
        """`passed`, or status and word of the refusal."""
        before = len(self.rig.modules.sockets)
        accept = () if any(line.startswith("Accept") for line in lines) else ("Accept: application/json",)
        taken = self.rig.ask(get(path, *lines, *accept, method=method)).take().decode("latin-1")
        if len(self.rig.modules.sockets) > before:
            return "passed"
        error = re.search(r'"error": "(\w+)"', taken)
        return f"{taken.split()[1]} {error[1]}" if error else taken.split()[1]

    def test_who_may_have_what(self) -> None:
        closed, strange = "401 unauthenticated", "Authorization: Bearer eyJhbGciOi.eyJother.c2ln"
        for path, lines, expected in (
            ("/surface/app", (), closed),
            ("/surface/app/x?y", (strange,), closed),
            ("/surface/app/x", ("Authorization: Bearer pvt_abc",), closed),
            ("/surface/app/x", (MEMBER,), "passed"),
            ("/surface/app/x", (BARE,), "passed"),
            ("/surface/app/deep", (BARE,), "403 insufficient_scope"),
            ("/surface/app/deep", (GOOD,), "passed"),
            ("/surface/app/deep", (BARE, MEMBER), "passed"),
            ("/surface/desk/", (MEMBER,), "403 not_admin"),
            ("/surface/desk/", (GOOD,), closed),
            ("/surface/desk/", (ADMIN,), "passed"),
            ("/surface/app/open/x", (), "passed"),
            ("/surface/appendix", (), "passed"),
            ("/surface/", (), "passed"),
        ):
            self.assertEqual(self.asked(path, *lines), expected, (path, lines))

    def test_every_method_but_a_browsers_question(self) -> None:
        for method in ("HEAD", "POST", "DELETE", "OPTIONS"):
            self.assertEqual(self.asked("/surface/app/x", method=method)[:3], "401", method)
        self.assertEqual(self.asked("/surface/app", "Access-Control-Request-Method: POST", method="OPTIONS"), "passed")

    def test_no_other_spelling_opens_a_part(self) -> None:
        for path in (
            "/surface/%61pp/x",
            "/surface//app/x",
            "/surface/./app",
            "/surface/app/open/../x",
            "/surface/a/../app",
        ):
            self.assertEqual(self.asked(path, MEMBER), "400 ambiguous_path", path)

    def test_a_browser_goes_to_sign_in_and_comes_back(self) -> None:
        taken = self.rig.ask(get("/surface/app/x?a=1&b=%20", "Accept: text/html,*/*")).take()
        self.assertIn(b" 302 ", taken)
        self.assertIn(b"Location: /login?next=/surface/app/x%3Fa%3D1%26b%3D%2520\r\n", taken)
        self.assertIn(b"Cache-Control: no-store", taken)
        self.assertEqual(self.asked("/surface/app", "Accept: text/html", method="POST"), "401")
        self.assertEqual(self.asked("/surface/desk", "Accept: text/html", MEMBER), "403")

    def test_without_a_database_it_stays_closed(self) -> None:
        self.rig = Rig(MOUNTS)
        for path in ("/surface/app", "/surface/desk"):
            self.assertEqual(self.asked(path, ADMIN, GOOD), "401 unauthenticated")
        self.assertEqual(self.asked("/surface/x"), "passed")

    def test_the_whole_mount_may_have_an_audience(self) -> None:
        closed = Mount("own", b"/own", 2002, audience="operator", open_paths=(b"/own/.parachute/info",))
        self.rig = Rig((closed,), visitors=People())
        self.assertEqual(self.asked("/own/x", MEMBER), "403 not_admin")
        self.assertEqual(self.asked("/own/.parachute/info"), "passed")

    def test_a_part_is_sent_on_as_the_mount_is(self) -> None:
        self.rig.ask(get("/surface/app/x?y", MEMBER))
        sent = self.rig.modules.newest.take()
        self.assertEqual(sent.partition(b"\r\n")[0], b"GET /app/x?y HTTP/1.1")
        self.assertNotIn(b"parachute_hub_session", sent)

    def test_a_part_of_somebody_elses_mount_is_left_out(self) -> None:
        stray = Mount("other", b"/surface", 2009, part=b"/mine")
        table = Table.build((WHOLE, stray), (), "http://hub.test")
        self.assertEqual(table.shadowed, (stray,))
        self.assertIs(table.place(b"/surface/mine"), table.place(b"/surface"))

    def test_docstring_examples_hold(self) -> None:
        self.assertEqual(doctest.testmod(audience)[0], 0)
