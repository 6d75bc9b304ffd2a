from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.module_cookies import MOST_PER_MODULE, MOST_PER_RESPONSE, CookieLedger, scoped
from parachute_hub.proxy.routes import Mount
from tests.proxy.test_headers import Case
from tests.support.sockets import Rig


class Scopes(SynchronousTestCase):
    def test_a_cookie_is_kept_to_the_mount_and_the_host(self) -> None:
        for case, value, strip, wanted in (
            ("no path", b"a=1", False, b"a=1; Path=/notes"),
            ("the whole hub", b"a=1; Path=/", False, b"a=1; Path=/notes"),
            ("a sibling", b"a=1; Path=/vault/default", False, b"a=1; Path=/notes"),
            ("a name that begins alike", b"a=1; Path=/notesx", False, b"a=1; Path=/notes"),
            ("below", b"a=1; Path=/notes/x; Secure", False, b"a=1; Secure; Path=/notes/x"),
            ("out of it", b"a=1; Path=/notes/../admin", False, b"a=1; Path=/notes"),
            ("two paths", b"a=1; Path=/notes/a; PATH=/", False, b"a=1; Path=/notes"),
            ("a domain", b"a=1; domain=hub.test; Path=/notes", False, b"a=1; Path=/notes"),
            ("stripped", b"a=1; Path=/x", True, b"a=1; Path=/notes/x"),
            ("stripped, root", b"a=1; Path=/", True, b"a=1; Path=/notes"),
            ("stripped, knowing", b"a=1; Path=/notes/x", True, b"a=1; Path=/notes/x"),
        ):
            with self.subTest(case):
                self.assertEqual(scoped(value, b"/notes", strip=strip)[2], wanted)

    @given(st.binary(max_size=60), st.booleans())
    def test_whatever_is_set_stays_below(self, value: bytes, strip: bool) -> None:
        _, path, line = scoped(value, b"/notes", strip=strip)
        self.assertTrue(path == b"/notes" or path.startswith(b"/notes/"))
        self.assertTrue(line.endswith(b"Path=" + path))
        self.assertNotIn(b"domain=", line.partition(b";")[2].lower().replace(b" ", b""))

    def test_a_module_has_only_so_many(self) -> None:
        ledger = CookieLedger()
        admitted = [ledger.admits("odd", b"%d" % number, b"/odd") for number in range(MOST_PER_MODULE + 5)]
        self.assertEqual(admitted, [True] * MOST_PER_MODULE + [False] * 5)
        self.assertTrue(ledger.admits("odd", b"3", b"/odd"), "one that was set before may change")
        self.assertTrue(ledger.admits("notes", b"a", b"/notes"))


class Flood(Case):
    def test_hundreds_of_cookies_leave_room_for_the_session(self) -> None:
        seen: set[str] = set()
        for number in range(40):
            lines = [f"Set-Cookie: c{number}-{index}=x; Path=/odd/{index}; Domain={self.issuer}" for index in range(50)]
            got = [line for line in self.answered(*lines, path="/odd/") if line.startswith("Set-Cookie")]
            self.assertLessEqual(len(got), MOST_PER_RESPONSE)
            seen.update(line.partition("=")[0] for line in got)
        self.assertEqual(len(seen), MOST_PER_MODULE)

    def test_cookies_of_a_stripped_mount(self) -> None:
        self.rig = Rig((Mount("scribe", b"/scribe", 2004, strip=True),), issuer=self.issuer)
        self.assertIn("Set-Cookie: a=1; Path=/scribe/x", self.answered("Set-Cookie: a=1; Path=/x", path="/scribe/"))
