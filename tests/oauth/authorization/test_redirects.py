import json
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.oauth.authorization.redirects import (
    BadRedirect,
    cannot_be_taken,
    kind_of,
    leads_home,
    matches,
    on_every_origin,
    own_origins,
    place,
)

CORPUS = json.loads((Path(__file__).parent / "data" / "redirects.json").read_text())
ORIGINS = ("https://hub.test", "http://127.0.0.1:1939")


def judged(uri: str) -> str:
    try:
        return kind_of(uri, ORIGINS)
    except BadRedirect:
        return "refuse"


class CorpusTests(SynchronousTestCase):
    def test_more_than_two_hundred_uris(self) -> None:
        """Addresses of real clients and known tricks, each with its verdict."""
        self.assertGreater(len(CORPUS), 200)
        wrong = [(uri, expected, judged(uri)) for expected, uri in CORPUS if judged(uri) != expected]
        self.assertEqual(wrong, [])

    def test_nothing_matches_but_itself(self) -> None:
        """Registered one by one, no other URI of the corpus matches, except other loopback ports."""
        allowed = [uri for verdict, uri in CORPUS if verdict != "refuse"]
        for registered in allowed:
            others = [uri for _, uri in CORPUS if uri != registered and matches([registered], uri)]
            strip = registered.partition("//")[2].partition("/")[0].partition(":")[0]
            self.assertTrue(not others or strip in ("127.0.0.1", "localhost", "["), (registered, others))

    @given(st.text(max_size=40))
    @settings(max_examples=200, deadline=None, derandomize=True)
    def test_any_text_is_judged(self, text: str) -> None:
        """Never another error, and text that is no URI is never allowed."""
        for prefix in ("", "https://", "http://127.0.0.1", "https://app.test/", "com.example:/"):
            if judged(prefix + text) != "refuse":
                self.assertTrue((prefix + text).isascii() and (prefix + text).isprintable())


class MatchTests(SynchronousTestCase):
    def test_loopback_ports(self) -> None:
        """RFC 8252 7.3: any port on the same path of this computer, by any of its names; http only, a valid port."""
        registered = ["http://127.0.0.1:3000/callback"]
        right = ["http://127.0.0.1/callback", "http://127.0.0.1:1/callback", "http://127.0.0.1:65535/callback"]
        right += ["http://localhost:3000/callback", "http://localhost/callback", "http://[::1]:3000/callback"]
        wrong = [
            "http://127.0.0.1:65536/callback",
            "http://127.0.0.1:0/callback",
            "http://127.0.0.1:/callback",
            "http://127.0.0.1:3000/callback/",
            "http://127.0.0.1:3000/callback?x=1",
            "http://127.0.0.1:3000/callback#x",
            "http://127.0.0.1:3000/Callback",
            "http://localhost.evil.test:3000/callback",
            "http://127.0.0.2:3000/callback",
            "http://[::2]:3000/callback",
            "https://127.0.0.1:3000/callback",
            "http://127.0.0.1:3000@evil.test/callback",
            "http://127.0.0.1:3000.evil.test/callback",
            "http://127.0.0.1.evil.test/callback",
            "http://127.0.0.1:3000\\@evil.test/callback",
            "http://user@127.0.0.1:3000/callback",
            "http://127.0.0.1:03000x/callback",
            " http://127.0.0.1:3000/callback",
            "http://127.0.0.1:3000/callback\n",
            "",
        ]
        self.assertEqual([uri for uri in right if not matches(registered, uri)], [])
        self.assertEqual([uri for uri in wrong if matches(registered, uri)], [])

    def test_elsewhere_to_the_letter(self) -> None:
        """Port, slash, case and encoding must match exactly."""
        registered = ["https://app.test/cb?x=1"]
        for uri in (
            "https://app.test:443/cb?x=1",
            "https://app.test/cb",
            "https://app.test/cb?x=1&y",
            "https://app.test/%63b?x=1",
        ):
            self.assertFalse(matches(registered, uri))
        self.assertTrue(matches(registered, registered[0]))


class PlaceTests(SynchronousTestCase):
    def test_host_and_path_are_shown(self) -> None:
        """Host and path; an app's scheme."""
        self.assertEqual(place("https://hub.test/notes/oauth/callback?x=1"), "hub.test/notes/oauth/callback")
        self.assertEqual(place("com.example.app:/cb"), "com.example.app:")

    def test_only_the_hubs_own_origins_are_its_own(self) -> None:
        """The hub's own origins, and nothing that only looks like them."""
        home = ["https://hub.test/x", "https://hub.test", "http://127.0.0.1:1939/x"]
        away = [
            "https://hub.test.evil.test/",
            "https://hub.test@evil.test/",
            "http://127.0.0.1:19390/",
            "https://hub.testx",
            "http://[",
            "javascript:x",
        ]
        self.assertEqual([uri for uri in home + away if leads_home(uri, ORIGINS)], home)

    def test_addresses_that_only_one_party_can_have(self) -> None:
        """https hosts and the hub itself; not loopback, not schemes (RFC 8252 8.6)."""
        safe = ["https://claude.ai/cb", "http://127.0.0.1:1939/notes/cb"]
        unsafe = [
            "http://127.0.0.1:3000/cb",
            "http://localhost/cb",
            "https://localhost/cb",
            "cursor://x/cb",
            "com.example:/cb",
        ]
        self.assertEqual([uri for uri in safe + unsafe if cannot_be_taken(uri, ORIGINS)], safe)

    def test_own_addresses_are_meant_for_every_origin(self) -> None:
        """A surface registers one origin and is reached by another; foreign URIs stay unchanged."""
        self.assertEqual(
            on_every_origin(["https://hub.test/a?b", "https://app.test/cb"], ORIGINS),
            ("https://hub.test/a?b", "http://127.0.0.1:1939/a?b", "https://app.test/cb"),
        )


class OwnOriginTests(SynchronousTestCase):
    def test_loopback_is_the_hubs_own_only_when_its_address_is(self) -> None:
        public, local = "https://hub.test", ("http://127.0.0.1:1939", "http://localhost:1939", "http://[::1]:1939")
        for issuer, own in (
            (public, (public,)),
            (local[0], (local[0], *local[1:], public)),
            ("http://192.168.1.5:1939", ("http://192.168.1.5:1939", public)),
        ):
            with self.subTest(issuer):
                self.assertEqual(own_origins(issuer, (issuer, *local, public)), own)

    def test_a_loopback_address_at_a_public_hub_is_some_program_on_the_visitors_machine(self) -> None:
        bound = own_origins("https://hub.test", ("https://hub.test", "http://localhost:1939"))
        self.assertEqual(kind_of("http://localhost:1939/callback", bound), "loopback")
        self.assertEqual(kind_of("https://hub.test/callback", bound), "own")
