"""The modules' fake issuer publishes and signs like the hub's own."""

import json
from collections.abc import Callable
from typing import Any

from joserfc import jwt
from joserfc.jwk import KeySet

from parachute_hub.oauth.authorization.scopes import Authority
from parachute_hub.oauth.tokens.issuer import TokenRequest
from tests.oauth.flows import FlowCase
from tests.support.asking import ask
from tests.support.examples import TokenIssuer

DOCUMENTS = ("jwks.json", "parachute-revocation.json")


def shape(value: Any) -> Any:
    """A JSON value with types instead of strings and numbers; for a list, the shapes in it."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return sorted({json.dumps(shape(inner), sort_keys=True) for inner in value})
    return type(value).__name__


class IssuerContract(FlowCase):
    def setUp(self) -> None:
        super().setUp()
        self.fake = TokenIssuer()
        self.fake.origin = "https://hub.test"

    def real_document(self, name: str) -> Any:
        return self.send("GET", f"/.well-known/{name}").json

    def fake_document(self, name: str) -> Any:
        root = self.fake.root.getChildWithDefault(b".well-known", None).getChildWithDefault(name.encode(), None)
        return ask(root, f"/.well-known/{name}").json()

    def real_token(self) -> str:
        scopes = ("vault:default:read", "vault:default:write")
        return self.world.do(
            self.world.issuer.mint,
            TokenRequest(
                subject="user-1",
                client_id="client-1",
                scopes=scopes,
                authority=Authority(every_vault="admin", modules="all", exact=frozenset(scopes)),
                lifetime=900.0,
                created_via="oauth",
            ),
        ).token

    def test_the_documents_have_one_shape(self) -> None:
        self.fake.revoked.append("token-0")
        revoked = self.world.issuer.verify(self.real_token())
        self.world.do(self.world.tokens.revoke, revoked.jti, self.world.clock.seconds())
        for name in DOCUMENTS:
            self.assertEqual(shape(self.fake_document(name)), shape(self.real_document(name)), name)

    def test_the_tokens_have_one_shape_and_are_verified_by_the_published_keys(self) -> None:
        self.assertEqual(
            self.opened(self.fake.token(), self.fake_document), self.opened(self.real_token(), self.real_document)
        )

    def opened(self, token: str, document: Callable[[str], Any]) -> tuple[Any, Any, Any]:
        keys = KeySet.import_key_set(document("jwks.json"))
        found = jwt.decode(token, keys, algorithms=["RS256"])
        header, claims = dict(found.header), dict(found.claims)
        stated = {name: claims[name] for name in ("sub", "aud", "scope", "client_id", "iss")}
        return shape({**header, "alg": header["alg"]}), shape(claims), (header["alg"], header["typ"], stated)
