from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.proxy.module_redirects import refresh, target
from parachute_hub.proxy.routes import Mount
from tests.proxy.test_headers import Case
from tests.support.sockets import Rig

OWN = (b"localhost:1939", b"localhost:1939")
# Spellings of another port of this machine, as browsers read them.
ELSEWHERE = (
    "http://localhost:1951/", "http://127.0.0.1:1951", "https://localhost:1951/x", "//localhost:1951/",
    "http://LOCALHOST:1951", "http://localhost.:1951", "http://a.localhost:1951/", "http://127.1:1951/",
    "http://2130706433:1951/", "http://0x7f000001:1951/", "http://0177.0.0.1:1951/", "http://0x7f.1:1951/",
    "http://[::1]:1951/", "http://[0:0:0:0:0:0:0:1]:1951/", "http://[::ffff:127.0.0.1]:1951/",
    "http://[::ffff:7f00:1]:1951/", "http://0.0.0.0:1951/", "http://0:1951/", "http://u:p@127.0.0.1:1951/",
    "http:\\\\localhost:1951/", "\\\\localhost:1951", "/\\localhost:1951", "http:localhost:1951/",
    "ht\ttp://localhost:1951/", " \x01http://localhost:1951/", "http://loc\nalhost:1951", "http://%6cocalhost:1951/",
    "http://\uff11\uff12\uff17.0.0.1:1951/", "http://localhost/", "http://localhost:80/", "ws://localhost:1951/",
    "http://localhost:01951/",
)  # fmt: skip


class Targets(SynchronousTestCase):
    def to(self, value: str, *, strip: bool = False, own: tuple[bytes, ...] = OWN) -> str | None:
        found = target(value.encode(), 2001, b"/notes", strip, own)
        return None if found is None else found.decode()

    def test_another_port_of_this_machine(self) -> None:
        for value in ELSEWHERE:
            with self.subTest(value):
                self.assertIsNone(self.to(value))

    def test_another_port_of_the_hubs_name(self) -> None:
        for own, value in (
            ((b"nas.lan:1939",), "http://nas.lan:8080/"),
            ((b"hub.test",), "https://hub.test:8443/"),
            ((b"192.168.1.5:1939",), "http://192.168.1.5:1951/"),
        ):
            with self.subTest(value):
                self.assertIsNone(self.to(value, own=own))

    def test_what_may_be_followed(self) -> None:
        for value in (
            "/notes/x", "x?y", "../x", "https://example.com/", "http://localhost:1939/notes", "http://127.0.0.1:1939/x",
            "//example.com:1951/", "myapp://localhost:1951/", "https://localhost.example.com:1951/", "", "#x",
            "http://10.0.0.1:1951/", "http://128.0.0.1:1951/", "http://[2001:db8::1]:1951/",
        ):  # fmt: skip
            with self.subTest(value):
                self.assertEqual(self.to(value), value)

    def test_its_own_port_is_the_public_address(self) -> None:
        for value, strip, wanted in (
            ("http://127.0.0.1:2001/notes/x?y=1#z", False, "/notes/x?y=1#z"),
            ("http://localhost:2001", False, "/"),
            ("http://127.0.0.1:2001/x", True, "/notes/x"),
            ("http://127.0.0.1:2001/notes/x", True, "/notes/x"),
            ("http://127.0.0.1:2001//evil.test/", False, "/evil.test/"),
            ("http://127.0.0.1:2001\\\\evil.test", False, "/evil.test"),
        ):
            with self.subTest(value):
                self.assertEqual(self.to(value, strip=strip), wanted)

    def test_refresh_headers_follow_the_same_rules(self) -> None:
        for value, kept in (
            (b"0;url=http://localhost:1951/", False),
            (b"0; URL='http://127.0.0.1:1951/'", False),
            (b"5, http://localhost:1951", False),
            (b"5", True),
            (b"0;url=/notes/next", True),
            (b"0;url=https://example.com/", True),
        ):
            with self.subTest(value):
                self.assertEqual(refresh(value, 2001, OWN), value if kept else None)

    @given(st.binary(max_size=40))
    def test_any_value_is_forwarded_or_dropped(self, value: bytes) -> None:
        target(value, 2001, b"/notes", True, OWN)
        refresh(value, 2001, OWN)


class Answers(Case):
    issuer = "http://localhost:1939"

    def test_a_module_redirects_nobody_to_another_program_here(self) -> None:
        for line in ("Location: http://127.0.0.1:2002/", "Refresh: 0; url=http://localhost:2002/"):
            got = self.answered(line, status="302 Found", path="/odd/")
            self.assertEqual([one for one in got if one.startswith(("Location", "Refresh"))], [])

    def test_an_address_made_from_its_own_port(self) -> None:
        self.rig = Rig((Mount("scribe", b"/scribe", 2004, strip=True),), issuer=self.issuer)
        got = self.answered("location: http://127.0.0.1:2004/admin", status="302 Found", path="/scribe/")
        self.assertIn("Location: /scribe/admin", got)
