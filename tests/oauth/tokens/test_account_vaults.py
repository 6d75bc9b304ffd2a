"""The account's vaults for apps and scripts."""

import json
from collections.abc import Mapping
from typing import Any

from parachute_hub.accounts.validation import vault_name_problem
from parachute_hub.oauth.tokens.account_vaults import AccountVaultsArea
from parachute_hub.site.auth import Principal
from parachute_hub.site.errors import Refused
from tests.oauth.tokens.test_tokens_api import TokensCase
from tests.support.acts import HeardActs
from tests.support.asking import Answer, ask


class AccountVaultsTests(TokensCase):
    def setUp(self) -> None:
        super().setUp()
        self.names, self.heard = ["default", "work"], HeardActs()
        area = AccountVaultsArea(
            bearers=self.world.oauth.bearers,
            minting=self.world.oauth.minting,
            known=lambda: [
                {"name": name, "url": f"https://h.test/vault/{name}", "version": "1"} for name in self.names
            ],
            maker=self,
            problem=vault_name_problem,
            done=self.heard.done,
        )
        self.area = area.app.resource()

    async def create(self, name: str) -> Mapping[str, Any]:
        self.names.append(name)
        return {"name": name, "token": "pvt_forever"}

    def token(self, scope: str, who: str = "owner") -> str:
        return str(self.minted(scope, who).json["token"])

    def call(self, token: str | None, method: str, path: str = "", body: object = None) -> Answer:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return ask(
            self.area, f"/account/vaults{path}", method=method, headers=headers, body=json.dumps(body or {}).encode()
        )

    def test_whoever_runs_the_hub_sees_every_vault(self) -> None:
        for token in (self.token("account:self:read"), self.operator):
            answer = self.call(token, "GET")
            self.assertEqual([vault["name"] for vault in answer.json()["vaults"]], ["default", "work"])
            self.assertEqual(answer.header("Access-Control-Allow-Origin"), "*")

    def test_a_member_has_only_their_own_vaults(self) -> None:
        """Such as an owner who no longer is one."""
        self.world.add_user("guest", vaults={"work": "read"})
        minting, names = self.world.oauth.minting, ["id-guest", "id-gone"]
        guest, gone = (Principal(kind="token", name=name, scopes=frozenset(), user_id=name) for name in names)
        self.assertEqual((list(minting.vaults(guest)), list(minting.vaults(gone))), (["work"], []))
        minting.may_give(guest, ["vault:work:read"])
        for scope in ("vault:work:write", "vault:default:read"):
            with self.assertRaises(Refused, msg=scope):
                minting.may_give(guest, [scope])

    def test_an_owner_makes_a_vault_and_gets_a_short_token_for_it(self) -> None:
        """Never the vault's own key, which would not end."""
        answer = self.call(self.token("account:self:write"), "POST", body={"name": "garden"})
        told = answer.json()
        self.assertEqual((answer.status, told["name"], told["url"]), (201, "garden", "https://h.test/vault/garden"))
        claims = self.world.issuer.verify(told["vault_token"])
        self.assertEqual(claims.scopes, {"vault:garden:read", "vault:garden:write"})
        self.assertLessEqual(claims.expires_at - claims.extra["iat"], 600)
        (given,) = self.world.database.read("SELECT subject FROM audit WHERE action = 'vault-token'")
        self.assertEqual((self.heard.acts, given["subject"]), ([("vault-made", "garden")], "garden"))

    def test_what_is_refused_makes_nothing(self) -> None:
        write, read = self.token("account:self:write"), self.token("account:self:read")
        for token, body, status, error in (
            (None, {"name": "garden"}, 401, "unauthenticated"),
            ("rubbish", {"name": "garden"}, 401, "invalid_token"),
            (read, {"name": "garden"}, 403, "insufficient_scope"),
            (write, {"name": "No Spaces"}, 400, "invalid_vault_name"),
            (write, {"name": ["x"]}, 400, "invalid_vault_name"),
            (write, {"name": "work"}, 409, "vault_taken"),
        ):
            answer = self.call(token, "POST", body=body)
            self.assertEqual((answer.status, answer.json()["error"]), (status, error), (token, body))
        self.assertEqual(self.names, ["default", "work"])

    def test_only_whole_access_to_the_account_opens_a_vault(self) -> None:
        """Seeing vaults, or making new ones, does not read the ones that are there."""
        full = self.token("account:self:admin")
        self.assertEqual(self.call(self.token("account:self:write"), "POST", "/default/token").status, 403)
        claims = self.world.issuer.verify(self.call(full, "POST", "/default/token").json()["vault_token"])
        self.assertEqual(claims.scopes, {"vault:default:read", "vault:default:write"})
        only = self.call(full, "POST", "/default/token", {"scopes": ["vault:default:read"]}).json()
        self.assertEqual(self.world.issuer.verify(only["vault_token"]).scopes, {"vault:default:read"})
        wrong: tuple[object, ...] = ([], "vault:default:read", ["vault:default:admin"], ["vault:work:read"], [{}])
        for scopes in wrong:
            self.assertEqual(self.call(full, "POST", "/default/token", {"scopes": scopes}).status, 400, scopes)
        self.assertEqual(self.call(full, "POST", "/gone/token").status, 404)

    def test_the_token_ends_with_the_one_that_asked_for_it(self) -> None:
        soon = self.minted("account:self:admin", expires_in=60).json["token"]
        claims = self.world.issuer.verify(self.call(str(soon), "POST", "/default/token").json()["vault_token"])
        self.assertLessEqual(claims.expires_at - claims.extra["iat"], 60)

    def test_pages_of_other_origins_may_ask(self) -> None:
        for path in ("", "/default/token"):
            answer = self.call(None, "OPTIONS", path)
            self.assertEqual((answer.status, answer.header("Access-Control-Allow-Origin")), (204, "*"), path)
