"""Which hub tokens the reference vault accepts, and which forged ones it refuses."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any

from joserfc.jwk import RSAKey

from tests.support.examples import ExampleTestCase, Module, Reply, TokenIssuer

NOTES = "/vault/default/api/notes"


def part(value: Any) -> str:
    """A token part that no library would write."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class TokenTests(ExampleTestCase):
    """Hub tokens, checked with its keys and revocation list."""

    async def vault_of(self, issuer: TokenIssuer, **env: str) -> Module:
        return await self.serve("vault/src/cli.ts", "serve", PARACHUTE_HUB_ORIGIN=f"{issuer.origin}/", **env)

    async def status(self, vault: Module, token: str, method: str = "GET", path: str = NOTES) -> tuple[int, str]:
        body = {"content": "x"} if method == "POST" else None
        reply = await vault.ask(method, path, token=token, body=body)
        return reply.status, reply.json().get("message", "") if reply.status >= 400 else ""

    async def test_scopes_decide_by_rank_and_name(self) -> None:
        issuer = self.issuer()
        vault = await self.vault_of(issuer)
        config = "/vault/default/.parachute/config"
        table = [
            ("vault:default:read", 200, 403, 403),
            ("vault:default:write", 200, 201, 403),
            ("vault:default:admin scribe:transcribe", 200, 201, 200),
            ("vault:other:admin", 403, 403, 403),
            ("", 403, 403, 403),
        ]
        for scope, read, write, admin in table:
            token = issuer.token(scope=scope)
            got = [
                (await self.status(vault, token))[0],
                (await self.status(vault, token, "POST"))[0],
                (await self.status(vault, token, path=config))[0],
            ]
            self.assertEqual((scope, got), (scope, [read, write, admin]))
        refusal = (await vault.ask("POST", NOTES, token=issuer.token(scope="vault:default:read"), body={})).json()
        self.assertEqual(
            (refusal["error"], refusal["error_type"], refusal["required_scope"], refusal["granted_scopes"]),
            ("Forbidden", "insufficient_scope", "vault:default:write", ["vault:default:read"]),
        )
        self.assertEqual((issuer.asked("jwks.json"), issuer.asked("parachute-revocation.json")), (1, 1))

    async def test_assistants_see_the_tools_they_may_use(self) -> None:
        issuer = self.issuer()
        vault = await self.vault_of(issuer)
        token = issuer.token(scope="vault:default:read")
        listing = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        reply = (await vault.ask("POST", "/vault/default/mcp", token=token, body=listing)).json()
        names = [tool["name"] for tool in reply["result"]["tools"]]
        self.assertEqual(names, ["query-notes", "list-tags", "vault-info", "related-notes", "note-history"])
        self.assertEqual((await vault.ask("GET", NOTES, token=token)).json(), [])

    async def test_a_tool_beyond_the_token_is_answered_with_the_scope_to_ask_for(self) -> None:
        issuer = self.issuer()
        vault = await self.vault_of(issuer)
        forwarded = {"X-Forwarded-Host": "hub.test", "X-Forwarded-Proto": "https"}
        call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}
        arguments = {"content": "x"}
        params = {"name": "create-note", "arguments": arguments}

        async def ask(scope: str, **message: Any) -> Reply:
            body, token = {**call, **message}, issuer.token(scope=scope)
            return await vault.ask("POST", "/vault/default/mcp", token=token, headers=forwarded, body=body)

        refused = await ask("vault:default:read", params=params)
        metadata = "https://hub.test/vault/default/.well-known/oauth-protected-resource"
        self.assertEqual(refused.status, 403)
        self.assertEqual(
            refused.headers["www-authenticate"],
            f'Bearer error="insufficient_scope", scope="vault:default:write", resource_metadata="{metadata}", '
            'error_description="This needs the scope vault:default:write."',
        )
        self.assertEqual(refused.json()["error"]["data"]["required_scope"], "vault:default:write")
        self.assertEqual((await ask("", method="resources/list")).status, 403)
        self.assertEqual((await vault.ask("GET", NOTES, token=issuer.token())).json(), [])
        stepped_up = await ask("vault:default:read vault:default:write", params=params)
        self.assertEqual((stepped_up.status, stepped_up.json()["result"]["structuredContent"]["content"]), (200, "x"))

    async def test_a_forged_or_unfit_token_is_refused(self) -> None:
        issuer = self.issuer()
        vault = await self.vault_of(issuer)
        good = issuer.token()
        head, claims, signature = good.split(".")
        public = issuer.key.as_pem(private=False)
        hmac_head = part({"alg": "HS256", "kid": "one"})
        confused = hmac.new(public, f"{hmac_head}.{claims}".encode(), hashlib.sha256).digest()
        now = int(time.time())
        stranger = RSAKey.generate_key(2048, {"kid": "one"})
        forged = {
            "another key, same kid": issuer.token(key=stranger),
            "unknown kid": issuer.token(header={"kid": "two"}),
            "no kid": issuer.token(header={"kid": None}),
            "alg none": f"{part({'alg': 'none', 'kid': 'one'})}.{claims}.",
            "key confusion": f"{hmac_head}.{claims}.{base64.urlsafe_b64encode(confused).decode().rstrip('=')}",
            "PS256": issuer.token(header={"alg": "PS256"}),
            "changed claims": f"{head}.{part(issuer.claims(scope='vault:default:admin'))}.{signature}",
            "cut": good[:-8],
            "no signature": f"{head}.{claims}.",
            "two parts": f"{head}.{claims}",
            "not json": f"eyJ.{claims}.{signature}",
            "expired": issuer.token(exp=now - 1),
            "no exp": issuer.token(exp=None),
            "exp as text": issuer.token(exp=str(now + 900)),
            "not yet valid": issuer.token(nbf=now + 60),
            "another issuer": issuer.token(iss="http://evil.test"),
            "issuer with a slash": issuer.token(iss=f"{issuer.origin}/"),
            "no issuer": issuer.token(iss=None),
            "no subject": issuer.token(sub=None),
            "empty subject": issuer.token(sub=""),
            "no jti": issuer.token(jti=None),
            "another vault": issuer.token(aud="vault.second"),
            "no audience": issuer.token(aud=None),
            "hub audience": issuer.token(aud=["hub", issuer.origin]),
            "broad scope": issuer.token(scope="vault:default:read vault:write"),
            "confined elsewhere": issuer.token(vault_scope=["second"]),
        }
        for name, token in forged.items():
            status, message = await self.status(vault, token)
            self.assertEqual((name, status), (name, 401), message)
            self.assertTrue(message, name)
            self.assertNotIn(token[20:60], message, name)
        self.assertEqual((await self.status(vault, good))[0], 200)
        self.assertNotIn(claims, vault.process.output)
        self.assertEqual(
            (await self.status(vault, issuer.token(vault_scope=["default", "x"], aud="vault.default")))[0], 200
        )
        wrong = (await self.status(vault, issuer.token(aud="vault.second")))[1]
        self.assertEqual(wrong, 'hub JWT audience mismatch: expected "vault.default", got "vault.second"')

    async def test_all_names_of_the_hub_are_issuers(self) -> None:
        issuer = self.issuer()
        vault = await self.vault_of(issuer, PARACHUTE_HUB_ORIGINS="https://hub.test/, http://localhost:1939")
        for name in ("https://hub.test", "http://localhost:1939", issuer.origin):
            self.assertEqual((await self.status(vault, issuer.token(iss=name)))[0], 200, name)
        self.assertEqual((await self.status(vault, issuer.token(iss="https://hub.tes")))[0], 401)

    async def test_a_name_that_does_not_lead_here_is_made_up_for_by_loopback(self) -> None:
        """As with a name in a local network, whose certificate modules do not trust."""
        issuer, name = self.issuer(), "https://parachute.local:1"
        origins = {"PARACHUTE_HUB_ORIGIN": name, "PARACHUTE_HUB_ORIGINS": f"{name},{issuer.origin}"}
        vault = await self.serve("vault/src/cli.ts", "serve", **origins)
        self.assertEqual((await self.status(vault, issuer.token(iss=name)))[0], 200)
        self.assertEqual((await self.status(vault, issuer.token(iss="https://other.local")))[0], 401)

    async def test_a_revoked_token_is_refused(self) -> None:
        issuer = self.issuer()
        issuer.revoked.append("gone")
        vault = await self.vault_of(issuer)
        self.assertEqual(
            await self.status(vault, issuer.token(jti="gone")),
            (401, 'hub JWT revoked: jti "gone" is in the revocation list'),
        )
        self.assertEqual((await self.status(vault, issuer.token()))[0], 200)

    async def test_without_a_revocation_list_every_token_is_refused(self) -> None:
        issuer = self.issuer(revocations=False)
        vault = await self.vault_of(issuer)
        status, message = await self.status(vault, issuer.token())
        self.assertEqual(status, 503)
        self.assertIn("revocation list", message)

    async def test_without_the_hubs_keys_tokens_are_refused_and_own_keys_work(self) -> None:
        issuer = self.issuer()
        issuer.lacks("jwks.json")
        vault = await self.vault_of(issuer)
        token = issuer.token()
        status, message = await self.status(vault, token)
        self.assertEqual(status, 503)
        self.assertIn("keys of the hub", message)
        key = (self.home / "vault/data/default/initial-key").read_text().strip()
        self.assertEqual((await vault.ask("GET", NOTES, token=key)).status, 200)

    async def test_a_new_key_of_the_hub_is_fetched_once(self) -> None:
        issuer = self.issuer()
        vault = await self.vault_of(issuer)
        self.assertEqual((await self.status(vault, issuer.token()))[0], 200)
        fresh = RSAKey.generate_key(2048, {"kid": "two"})
        issuer.published.append(fresh)
        self.assertEqual((await self.status(vault, issuer.token(key=fresh, header={"kid": "two"})))[0], 200)
        for _attempt in range(5):
            self.assertEqual((await self.status(vault, issuer.token(header={"kid": "three"})))[0], 401)
        self.assertEqual(issuer.asked("jwks.json"), 2)
