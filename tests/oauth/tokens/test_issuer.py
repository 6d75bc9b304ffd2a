import base64
import hmac
import json
import sqlite3
from typing import Any

from joserfc import jws, jwt
from joserfc.jwk import RSAKey

from parachute_hub.oauth.authorization.scopes import NOBODY, Authority
from parachute_hub.oauth.tokens.claims import ForeignToken, InvalidToken
from parachute_hub.oauth.tokens.issuer import NOTE_USE_EVERY, Minted, NothingToGrant, TokenRequest
from parachute_hub.oauth.tokens.token_guard import TokenGuard
from tests.oauth.world import WorldCase
from tests.support.oauth import ISSUER, LOCAL, NOW


def decoded(token: str, part: int) -> dict[str, Any]:
    text = token.split(".")[part]
    value = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    assert isinstance(value, dict)
    return value


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


class MintTests(WorldCase):
    def test_the_token_is_what_modules_accept(self) -> None:
        """Complete header and claims; never `nbf`, always `exp`."""
        minted = self.mint("vault:default:read")
        self.assertEqual(
            decoded(minted.token, 0), {"alg": "RS256", "kid": self.world.keys.signer().kid, "typ": "at+jwt"}
        )
        self.assertEqual(
            decoded(minted.token, 1),
            {
                "scope": "vault:default:read",
                "client_id": "app",
                "vault_scope": [],
                "sub": "someone",
                "iss": ISSUER,
                "iat": int(NOW),
                "exp": int(NOW) + 900,
                "aud": ["vault.default", f"{ISSUER}/vault/default/mcp"],
                "jti": minted.jti,
            },
        )
        self.assertEqual(len(minted.jti), 22)

    def test_nothing_within_the_authority_is_nothing_signed(self) -> None:
        """No empty tokens."""
        order = TokenRequest(
            subject="s", client_id="c", scopes=["vault:a:read"], authority=NOBODY, lifetime=9, created_via="x"
        )
        self.assertRaises(NothingToGrant, self.world.issuer.mint, order)

    def test_a_vault_scope_without_a_name_is_never_signed(self) -> None:
        """Vaults refuse tokens that carry one."""
        for scope in ("vault:read", "vault:admin"):
            order = TokenRequest(
                subject="s",
                client_id="c",
                scopes=[scope, "vault:a:read"],
                authority=Authority(every_vault="admin", modules="all"),
                lifetime=9,
                created_via="x",
            )
            self.assertEqual(self.world.do(self.world.issuer.mint, order).scopes, ("vault:a:read",))

    def test_tokens_after_a_move_carry_the_new_address_and_old_ones_stay_good(self) -> None:
        """As long as the hub answers at the old address, which is trusted with no codes."""
        issuer, old = self.world.issuer, self.mint("hub:admin")
        for origins, answering in (([ISSUER, LOCAL], []), ([LOCAL], [LOCAL, ISSUER])):
            issuer.move("https://new.test", origins, answering)
            self.assertEqual(decoded(self.mint("hub:admin").token, 1)["iss"], "https://new.test")
            self.assertEqual(issuer.verify(old.token).issuer, ISSUER)
            self.assertEqual(ISSUER in issuer.own_origins, ISSUER in origins)
        issuer.move("https://new.test", [LOCAL])
        self.assertRaises(ForeignToken, issuer.verify, old.token)


class VerifyTests(WorldCase):
    def forge(self, *, header: object = None, key: Any = None, **changes: Any) -> str:
        """A valid token with `changes` (None removes a claim), signed with our own key."""
        good = decoded(self.mint("hub:admin").token, 1)
        payload = {name: value for name, value in {**good, **changes}.items() if value is not None}
        signer = self.world.keys.signer()
        header = header or {"alg": "RS256", "kid": signer.kid, "typ": "at+jwt"}
        return jws.serialize_compact(
            header,  # type: ignore[arg-type]
            json.dumps(payload),
            key or signer.jwk,
            algorithms=["RS256", "RS512", "PS256", "none"],
        )

    def test_a_genuine_token_verifies(self) -> None:
        """Without changes, forged tokens pass: so each case below fails for its own reason."""
        self.assertEqual(self.world.issuer.verify(self.forge()).scopes, {"hub:admin"})

    def test_forged_headers_are_refused(self) -> None:
        """No algorithm, a weaker or another one, our public key as a secret, an embedded key, unknown names."""
        signer = self.world.keys.signer()
        other = RSAKey.generate_key(2048, private=True)
        signed = f"{encoded({'alg': 'HS256', 'kid': signer.kid})}.{self.forge().split('.')[1]}"
        secret = hmac.digest(signer.jwk.as_pem(private=False), signed.encode(), "sha256")
        own = {"alg": "RS256", "kid": signer.kid}
        cases = {
            "none": self.forge(header={"alg": "none", "kid": signer.kid}),
            "hs256 by the public key": f"{signed}.{base64.urlsafe_b64encode(secret).decode().rstrip('=')}",
            "rs512": self.forge(header={"alg": "RS512", "kid": signer.kid}),
            "ps256": self.forge(header={"alg": "PS256", "kid": signer.kid}),
            "another key under our kid": self.forge(key=other),
            "another key's kid": self.forge(header={"alg": "RS256", "kid": other.thumbprint()}, key=other),
            "kid of a path": self.forge(header={"alg": "RS256", "kid": "../../dev/null"}),
            "no kid": self.forge(header={"alg": "RS256"}),
            "jwk": self.forge(header={**own, "jwk": other.as_dict(private=False)}, key=other),
            "jku": self.forge(header={**own, "jku": "https://evil.test/jwks.json"}),
            "x5u": self.forge(header={**own, "x5u": "https://evil.test/cert"}),
            "a type that is no access token": self.forge(header={**own, "typ": "dpop+jwt"}),
        }
        for name, token in cases.items():
            self.assertRaises(InvalidToken, self.world.issuer.verify, token)
            self.assertIsNotNone(TokenGuard(self.world.issuer).refusal("hello", None, token), name)

    def test_headers_that_must_be_understood(self) -> None:
        """`crit` and `b64` (RFC 7797): refused, though the signature is ours."""
        signer = self.world.keys.signer()
        good = self.mint("hub:admin").token
        for extra in ({"crit": ["b64"], "b64": False}, {"b64": False}, {"crit": ["exp"]}):
            header = encoded({"alg": "RS256", "kid": signer.kid, **extra})
            self.assertRaises(InvalidToken, self.world.issuer.verify, header + good[good.index(".") :])

    def test_forged_claims_are_refused(self) -> None:
        """Missing or malformed parts; times in the past, in the future, or no numbers."""
        cases: dict[str, dict[str, Any]] = {
            "exp": {"exp": NOW},
            "no exp": {"exp": None},
            "exp text": {"exp": "9999999999"},
            "exp true": {"exp": True},
            "nbf": {"nbf": NOW + 5},
            "no jti": {"jti": None},
            "jti of another type": {"jti": 7},
            "unknown jti": {"jti": "A" * 22},
            "no sub": {"sub": None},
            "empty sub": {"sub": ""},
            "no aud": {"aud": None},
            "aud object": {"aud": {"hub": 1}},
            "aud numbers": {"aud": [1]},
            "scope list": {"scope": ["hub:admin"]},
            "iss with a slash": {"iss": ISSUER + "/"},
            "iss of another": {"iss": "https://evil.test"},
            "no iss": {"iss": None},
        }
        accepted = []
        for name, changes in cases.items():
            try:
                self.world.issuer.verify(self.forge(**changes))
            except InvalidToken:
                continue
            accepted.append(name)
        self.assertEqual(accepted, [])

    def test_malformed_tokens_are_refused(self) -> None:
        """Any text is refused as no token of ours."""
        good = self.mint("hub:admin").token
        head, body, signature = good.split(".")
        for token in (
            "",
            "eyJ",
            "a.b.c",
            good + "x" * 9000,
            good[:-8],
            f"{head}.{body}",
            f"{head}.{body}.{signature}.{signature}",
            f"{head}.{body}.",
            f"{encoded([1])}.{body}.{signature}",
            f"{head}.{encoded('x')}.{signature}",
            f"{head}.{body}.{signature[:-2]}é",
            "eyJ" + "[" * 5000,
        ):
            self.assertRaises(InvalidToken, self.world.issuer.verify, token)

    def test_a_changed_payload_breaks_the_signature(self) -> None:
        """The signature holds for the text that it was made for."""
        head, _, signature = self.mint("vault:work:read").token.split(".")
        other = self.mint("vault:work:admin").token.split(".")[1]
        self.assertRaises(InvalidToken, self.world.issuer.verify, f"{head}.{other}.{signature}")

    def test_a_foreign_token_is_distinguished_from_a_forged_one(self) -> None:
        """So that the proxy leaves it to the module."""
        key = RSAKey.generate_key(2048, private=True)
        token = jwt.encode({"alg": "RS256", "kid": "k"}, {"iss": "https://elsewhere.test"}, key)
        self.assertRaises(ForeignToken, self.world.issuer.verify, token)

    def test_an_expired_token_is_refused_from_memory_too(self) -> None:
        """It was verified while it was valid."""
        minted = self.mint("hub:admin", lifetime=10)
        self.world.issuer.verify(minted.token)
        self.world.clock.advance(10)
        self.assertRaises(InvalidToken, self.world.issuer.verify, minted.token)

    def test_revocation_counts_at_once(self) -> None:
        """Also for a token that was just verified."""
        minted = self.mint("hub:admin")
        self.world.issuer.verify(minted.token)
        self.world.do(self.world.tokens.revoke, minted.jti, NOW)
        self.assertRaises(InvalidToken, self.world.issuer.verify, minted.token)

    def test_a_revocation_that_went_past_us_counts_within_a_second(self) -> None:
        """By another process, or a trigger of the database."""
        minted = self.mint("hub:admin")
        self.world.issuer.verify(minted.token)
        with self.world.database.unit(), self.world.database.transaction() as connection:
            connection.execute("UPDATE tokens SET revoked_at = 1")
        self.world.clock.advance(1)
        self.assertRaises(InvalidToken, self.world.issuer.verify, minted.token)

    def test_the_signature_is_checked_once(self) -> None:
        """Later checks need no key."""
        minted = self.mint("hub:admin")
        self.world.issuer.verify(minted.token)
        self.world.keys._keys.clear()
        self.assertEqual(self.world.issuer.verify(minted.token).jti, minted.jti)

    def test_the_use_of_a_long_lived_token_is_noted_now_and_then(self) -> None:
        """Not of one that lasts minutes, and a write that fails keeps nobody out."""
        long, short = self.mint("hub:admin", lifetime=86_400), self.mint("hub:admin", lifetime=900)
        for minted in (long, short):
            self.world.issuer.verify(minted.token)
        self.assertEqual([self.used(minted) for minted in (long, short)], [NOW, None])
        for passed, noted in ((NOTE_USE_EVERY - 1, NOW), (1, NOW + NOTE_USE_EVERY)):
            self.world.clock.advance(passed)
            self.world.issuer.verify(long.token)
            self.assertEqual(self.used(long), noted)
        self.world.clock.advance(NOTE_USE_EVERY)
        self.patch(self.world.tokens, "used", self.full)
        self.assertEqual(self.world.issuer.verify(long.token).jti, long.jti)
        self.assertEqual(self.used(long), NOW + NOTE_USE_EVERY)

    def full(self, jti: str, now: float) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    def used(self, minted: Minted) -> float | None:
        record = self.world.tokens.get(minted.jti)
        assert record is not None
        return record.last_used_at


class TokenGuardTests(WorldCase):
    def test_a_token_reaches_only_its_own_module(self) -> None:
        """The hub refuses a wrong audience; the right one and foreign tokens pass."""
        guard = TokenGuard(self.world.issuer)
        key = RSAKey.generate_key(2048, private=True)
        tokens = {
            "work": self.mint("vault:work:read").token,
            "scribe": self.mint("scribe:transcribe").token,
            "surface": self.mint("surface:blog:read").token,
            "hub": self.mint("parachute:host:admin").token,
            "operator": self.mint("hub:admin", audience="operator").token,
            "foreign": jwt.encode({"alg": "RS256", "kid": "k"}, {"iss": "https://elsewhere.test"}, key),
            "opaque": "eyJub3RhdG9rZW4",
        }
        everywhere = {"foreign", "opaque"}
        for place, welcome in {
            ("vault", "work"): {"work"},
            ("vault", "default"): set(),
            ("vault", None): {"work"},
            ("scribe", None): {"scribe"},
            ("surface", None): {"surface"},
            ("hello", None): set(),
        }.items():
            passed = {name for name, token in tokens.items() if guard.refusal(*place, token) is None}
            self.assertEqual(passed, welcome | everywhere, place)

    def test_a_token_taken_back_is_refused_however_it_is_written(self) -> None:
        """Modules accept base64 with padding, odd characters or spaces; the signature stays valid for them."""
        guard = TokenGuard(self.world.issuer)
        minted = self.mint("vault:work:read")
        self.world.do(self.world.tokens.revoke, minted.jti, NOW)
        standard = minted.token.replace("-", "+").replace("_", "/")
        for token in (minted.token + "==", minted.token + "!", minted.token + " AA", minted.token + "\xff", standard):
            self.assertIsNotNone(guard.refusal("vault", "work", token), token[-4:])
        long = minted.token + "=" * 9000
        self.assertIsNotNone(guard.refusal("vault", "work", long))

    def test_the_challenge_names_the_address_that_the_client_used(self) -> None:
        for suffix in ("/mcp", ""):
            refused = TokenGuard(self.world.issuer).refusal(
                "vault", "work", self.mint("scribe:transcribe").token, suffix=suffix
            )
            assert refused is not None
            named = f'/.well-known/oauth-protected-resource/vault/work{suffix}"'
            self.assertIn(named, refused.headers["WWW-Authenticate"])

    def test_the_challenge_names_metadata_and_scopes(self) -> None:
        """RFC 9728 5.1 and the scopes to ask for, so that an MCP client can proceed."""
        minted = self.mint("vault:work:read")
        self.world.do(self.world.tokens.revoke, minted.jti, NOW)
        refusal = TokenGuard(self.world.issuer).refusal("vault", "work", minted.token)
        assert refusal is not None
        self.assertEqual((refusal.status, refusal.error), (401, "invalid_token"))
        self.assertEqual(
            refusal.headers["WWW-Authenticate"],
            'Bearer error="invalid_token", error_description="This token has been revoked.", '
            f'resource_metadata="{ISSUER}/.well-known/oauth-protected-resource/vault/work/mcp", '
            'scope="vault:work:read vault:work:write"',
        )
