"""The hub's cookies: names, prefixes and reading."""

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.site import cookies


class NameTests(SynchronousTestCase):
    def test_both_spellings(self) -> None:
        self.assertEqual(len(cookies.HUB_COOKIES), 8)
        for name in (cookies.SESSION, cookies.CSRF, cookies.PENDING_LOGIN, cookies.DEVICE):
            for secure in (True, False):
                self.assertIn(cookies.on_the_wire(name, secure=secure), cookies.HUB_COOKIES)


class FindTests(SynchronousTestCase):
    def test_table(self) -> None:
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
