"""The hub's cookies: names, prefixes and reading."""

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.site import cookies
from parachute_hub.site.cookies import Jar
from parachute_hub.system.own_names import COOKIE_PREFIX


class NameTests(SynchronousTestCase):
    def test_every_name_begins_in_the_way_that_the_proxy_withholds(self) -> None:
        for name in (cookies.SESSION, cookies.CSRF, cookies.PENDING_LOGIN, cookies.DEVICE):
            for tag in ("", "1a2b3c4d"):
                self.assertTrue(Jar(tag).on_the_wire(name, secure=False).startswith(COOKIE_PREFIX), name)
                self.assertTrue(Jar(tag).on_the_wire(name, secure=True).startswith("__Host-" + COOKIE_PREFIX), name)

    def test_two_hubs_on_one_host_have_names_of_their_own(self) -> None:
        for secure in (True, False):
            names = {Jar(tag).on_the_wire(cookies.SESSION, secure=secure) for tag in ("aaaaaaaa", "bbbbbbbb")}
            self.assertEqual(len(names), 2)


class FindTests(SynchronousTestCase):
    def test_a_cookie_is_found_unless_ambiguous(self) -> None:
        for header, expected in (
            (None, None),
            (b"", None),
            (b"a=1", "1"),
            (b"b=2; a=1", "1"),
            (b"b=2;a=1;c=3", "1"),
            (b'a="1"', "1"),
            (b"a=1; a=1", "1"),
            (b"a=1; a=2", None),  # somebody else set one of them
            (b"aa=1", None),
            (b"A=1", None),
            (b"a", None),
            (b"a=x=y", "x=y"),
            (b"a=" + b"x" * 20000, None),
            (b"\xff=1; a=1", "1"),
        ):
            self.assertEqual(cookies.find(header, "a"), expected, header)
