from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.oauth.clients.registration import BadMetadata, display_name, read

CALLBACK = "https://app.test/cb"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["redirect_uris", "client_name", "scope", "grant_types", "response_types", "token_endpoint_auth_method", "logo_uri"]
)


def error_of(**body: Any) -> str:
    try:
        read(body, origins=["https://hub.test"])
    except BadMetadata as error:
        return error.error
    return "fine"


class RegistrationTests(SynchronousTestCase):
    def test_known_metadata_is_kept(self) -> None:
        """RFC 7591 2: its own description without unknown members, the scope normalised."""
        described = read(
            {
                "redirect_uris": [CALLBACK, CALLBACK, "http://127.0.0.1/cb"],
                "client_name": "  My\tApp ",
                "scope": "vault:*:read vault:*:write nonsense",
                "grant_types": ["authorization_code", "refresh_token", "implicit"],
                "response_types": ["code"],
                "client_uri": "https://app.test",
                "software_id": "x",
                "jwks": {"keys": []},
                "foo": [1],
            },
            origins=["https://hub.test"],
        )
        self.assertEqual(described.redirect_uris, (CALLBACK, "http://127.0.0.1/cb"))
        self.assertEqual((described.name, described.scope), ("My App", "vault:read vault:write"))
        self.assertEqual(described.software, {"client_uri": "https://app.test", "software_id": "x"})
        self.assertEqual((described.auth_method, described.stays_home), ("none", False))

    def test_invalid_metadata_is_refused(self) -> None:
        """Each with RFC 7591's error."""
        uri, data = "invalid_redirect_uri", "invalid_client_metadata"
        cases: list[tuple[dict[str, Any], str]] = [
            ({}, uri),
            ({"redirect_uris": []}, uri),
            ({"redirect_uris": CALLBACK}, uri),
            ({"redirect_uris": [CALLBACK, 7]}, uri),
            ({"redirect_uris": ["http://app.test/cb", "javascript:alert(1)"]}, uri),
            ({"redirect_uris": [f"{CALLBACK}{n}" for n in range(33)]}, uri),
            ({"redirect_uris": [CALLBACK], "client_name": 5}, data),
            ({"redirect_uris": [CALLBACK], "scope": {"vault:read": True}}, data),
            ({"redirect_uris": [CALLBACK], "grant_types": ["client_credentials"]}, data),
            ({"redirect_uris": [CALLBACK], "grant_types": "authorization_code"}, data),
            ({"redirect_uris": [CALLBACK], "response_types": ["token"]}, data),
            ({"redirect_uris": [CALLBACK], "logo_uri": {}}, "fine"),
            ({"redirect_uris": [CALLBACK], "logo_uri": 5}, "fine"),
            ({"redirect_uris": [CALLBACK], "grant_types": None, "client_name": None}, "fine"),
        ]
        self.assertEqual([error_of(**body) for body, _ in cases], [expected for _, expected in cases])

    def test_what_suits_other_servers_is_left_out(self) -> None:
        """The answer says what is kept (RFC 7591, section 2); a client that registers one bad URI can still connect."""
        described = read(
            {
                "redirect_uris": [
                    "foo://x/cb",
                    CALLBACK,
                    "http://app.test/cb",
                    "cursor://anysphere.cursor-mcp/oauth/cb",
                ],
                "scope": ["vault:read", "openid"],
                "token_endpoint_auth_method": "private_key_jwt",
            },
            origins=["https://hub.test"],
        )
        self.assertEqual(described.redirect_uris, (CALLBACK, "cursor://anysphere.cursor-mcp/oauth/cb"))
        self.assertEqual((described.kinds, described.stays_home), (("https", "app"), False))
        self.assertEqual((described.scope, described.auth_method), ("vault:read", "none"))

    def test_names_are_made_fit_to_show(self) -> None:
        """One line, no control, invisible or turning characters, full-width letters as plain ones, not endless."""
        cases = {
            "Claude": "Claude",
            "\u202eedualC": "edualC",
            "Cla\u200bude\u2060\ufeff": "Claude",
            "Ｃｌａｕｄｅ": "Claude",
            "a\r\n\tb\u2028c": "a b c",
            "\x00\x1b[31m": "[31m",
            " \u3000 ": "An app without a name",
            "x" * 500: "x" * 80,
            "日本語 🎈": "日本語 🎈",
        }
        self.assertEqual({name: display_name(name) for name in cases}, cases)

    @given(st.dictionaries(NAMES, JSON))
    @settings(max_examples=150, deadline=None, derandomize=True)
    def test_any_metadata_is_judged(self, body: dict[str, Any]) -> None:
        """A description or a refusal with RFC 7591's error, never an exception."""
        self.assertIn(error_of(**body), ("fine", "invalid_redirect_uri", "invalid_client_metadata"))
