import json
from typing import Any

from treq.client import HTTPClient
from treq.testing import RequestTraversalAgent
from twisted.web.http_headers import Headers

from parachute_hub.oauth.well_known import PREFIXES, WellKnownArea
from parachute_hub.site.root import MountedArea, Root
from tests.oauth.world import WorldCase
from tests.support.oauth import ISSUER


class WellKnownTests(WorldCase):
    def setUp(self) -> None:
        super().setUp()
        world = self.world
        area = WellKnownArea(issuer=world.issuer, keys=world.keys, resources=world.resources, clock=world.clock)
        parts = [MountedArea((*PREFIXES, "/vault"), area.app.resource())]
        self.client = HTTPClient(RequestTraversalAgent(Root(parts, is_secure=lambda request: request.isSecure())))

    def ask(self, path: str, method: str = "GET", **headers: str) -> tuple[Any, bytes]:
        named = Headers({name.replace("_", "-"): [value] for name, value in headers.items()})
        response = self.successResultOf(self.client.request(method, ISSUER + path, headers=named))
        return response, self.successResultOf(response.content())

    def document(self, path: str) -> Any:
        response, body = self.ask(path)
        self.assertEqual(response.code, 200, path)
        self.assertEqual(response.headers.getRawHeaders("Access-Control-Allow-Origin"), ["*"])
        self.assertIsNone(response.headers.getRawHeaders("Access-Control-Allow-Credentials"))
        return json.loads(body)

    def test_authorization_server_in_every_spelling(self) -> None:
        """RFC 8414, path-insert, openid-configuration, and below the vault: one and the same document."""
        spellings = [
            "/.well-known/oauth-authorization-server",
            "/.well-known/openid-configuration",
            "/.well-known/oauth-authorization-server/vault/default",
            "/.well-known/oauth-authorization-server/vault/default/mcp",
            "/.well-known/openid-configuration/vault/default/mcp",
            "/vault/default/.well-known/oauth-authorization-server",
            "/vault/default/.well-known/openid-configuration",
            "/vault/default/mcp/.well-known/openid-configuration",
        ]
        documents = [self.document(path) for path in spellings]
        self.assertEqual([d for d in documents if d != documents[0]], [])
        expected = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/oauth/authorize",
            "token_endpoint": f"{ISSUER}/oauth/token",
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": ["scribe:transcribe", "vault:read", "vault:write"],
            "authorization_response_iss_parameter_supported": True,
            "client_id_metadata_document_supported": True,
        }
        self.assertEqual({name: documents[0][name] for name in expected}, expected)

    def test_protected_resources_name_themselves_exactly(self) -> None:
        """RFC 9728 3.3: `resource` is the identifier into which the word was inserted. Admin is never suggested."""
        of_default = ["vault:default:read", "vault:default:write"]
        both = ["vault:read", "vault:write"]
        cases = {
            "/.well-known/oauth-protected-resource": ("", ["scribe:transcribe", *both]),
            "/.well-known/oauth-protected-resource/mcp": ("/mcp", both),
            "/.well-known/oauth-protected-resource/vault/default": ("/vault/default", of_default),
            "/.well-known/oauth-protected-resource/vault/default/mcp": ("/vault/default/mcp", of_default),
            "/.well-known/oauth-protected-resource/scribe": ("/scribe", ["scribe:transcribe"]),
            "/vault/default/.well-known/oauth-protected-resource": ("/vault/default/mcp", of_default),
            "/vault/default/mcp/.well-known/oauth-protected-resource": ("/vault/default/mcp", of_default),
        }
        for path, (resource, scopes) in cases.items():
            document = self.document(path)
            self.assertEqual(
                (document["resource"], document["scopes_supported"], document["authorization_servers"]),
                (ISSUER + resource, scopes, [ISSUER]),
            )

    def test_an_unknown_vault_is_404(self) -> None:
        """404 with the error that clients know."""
        response, body = self.ask("/.well-known/oauth-protected-resource/vault/gone/mcp")
        self.assertEqual(response.code, 404)
        self.assertEqual((json.loads(body)["error"], json.loads(body)["vault"]), ("Vault not found", "gone"))

    def test_browser_clients_may_ask_first(self) -> None:
        """A preflight passes with the header that MCP clients send."""
        for path in PREFIXES:
            response, body = self.ask(path, "OPTIONS", Origin="https://app.test")
            self.assertEqual((response.code, body), (204, b""))
            self.assertIn("MCP-Protocol-Version", response.headers.getRawHeaders("Access-Control-Allow-Headers")[0])

    def test_other_methods_are_405(self) -> None:
        """405, and HEAD answers as GET without a body."""
        self.assertEqual(self.ask("/.well-known/jwks.json", "POST")[0].code, 405)
        response, body = self.ask("/.well-known/jwks.json", "HEAD")
        self.assertEqual((response.code, body), (200, b""))

    def test_the_public_keys_are_served(self) -> None:
        """What the keyring says."""
        self.assertEqual(self.document("/.well-known/jwks.json"), self.world.keys.jwks())

    def test_revoked_unexpired_tokens_are_listed(self) -> None:
        """Only revoked tokens that have not expired, with an ETag to make polling cheap."""
        minted = self.mint("vault:work:read", lifetime=900)
        path = "/.well-known/parachute-revocation.json"
        self.assertEqual(self.document(path), {"generated_at": "2030-03-17T17:46:40.000Z", "jtis": []})
        self.world.do(self.world.tokens.revoke, minted.jti, self.world.clock.seconds())
        response, body = self.ask(path)
        self.assertEqual(json.loads(body)["jtis"], [minted.jti])
        self.assertEqual(response.headers.getRawHeaders("Cache-Control"), ["public, max-age=60"])
        tag = response.headers.getRawHeaders("ETag")[0]
        self.assertEqual(self.ask(path, If_None_Match=tag)[0].code, 304)
        self.world.clock.advance(900)
        self.assertEqual(self.document(path)["jtis"], [])

    def test_the_account_document_names_the_endpoints(self) -> None:
        """Where accounts are found."""
        document = self.document("/.well-known/parachute-account")
        self.assertEqual((document["issuer"], document["door"]), (ISSUER, "hub"))
        self.assertEqual(document["vault_url_template"], ISSUER + "/vault/{name}")
