from typing import Any, ClassVar

from parachute_hub.oauth.tokens.settings_grants import MOST, SettingsGrants
from parachute_hub.oauth.tokens.tokens_api import TokensArea
from parachute_hub.system.timestamps import to_the_second
from tests.oauth.flows import DEFAULT, FlowCase, Reply
from tests.support.at_once import at_once
from tests.support.oauth import ISSUER


class TokensCase(FlowCase):
    def setUp(self) -> None:
        super().setUp()
        at_once(self.world.oauth.operator.ensure())
        self.operator = (self.folder / "operator.token").read_text().strip()
        self.world.add_user("member", vaults={"default": "write", "work": "read"})

    def by(self, token: str, method: str, path: str, data: Any = None) -> Reply:
        """A machine's request."""
        return self.send(method, path, data=data, Authorization=f"Bearer {token}")

    def minted(self, scope: str, who: str = "owner", **body: Any) -> Reply:
        """A person's request with a fresh proof."""
        proof = "token.mint:" + ",".join(scope.split())
        data = {"scope": scope, **body}
        return self.send("POST", "/api/auth/mint-token", data=data, who=who, X_Parachute_Proof=proof)


class MintTests(TokensCase):
    def test_an_owner_mints_a_token(self) -> None:
        """The answer; ninety days unless said; the token works at its module and nowhere else."""
        reply = self.minted("vault:default:admin")
        self.assertEqual((reply.status, reply.header("Cache-Control")), (200, "no-store"))
        self.assertEqual(sorted(reply.json), ["expires_at", "jti", "scope", "token"])
        claims = self.world.issuer.verify(reply.json["token"])
        self.assertEqual((claims.subject, claims.audience), ("id-owner", ("vault.default", DEFAULT)))
        self.assertEqual(claims.expires_at - claims.extra["iat"], 90 * 86400)
        self.assertEqual(self.by(reply.json["token"], "GET", "/api/auth/tokens").status, 401)

    def test_a_member_has_only_their_own_vaults(self) -> None:
        """Limited at the single place that mints."""
        self.assertEqual(self.minted("vault:default:admin", "member").status, 200)
        self.assertEqual(self.minted("vault:work:read", "member").status, 200)
        for scope in ("vault:work:write", "vault:default:read vault:work:admin", "scribe:admin"):
            reply = self.minted(scope, "member")
            self.assertEqual((reply.status, reply.json["error"]), (403, "insufficient_scope"), scope)

    def test_a_person_proves_to_be_there(self) -> None:
        """The proof names exactly these scopes; without a CSRF token nothing is checked."""
        data = {"scope": "vault:default:read"}
        reply = self.send("POST", "/api/auth/mint-token", data=data, who="owner")
        self.assertEqual((reply.status, reply.json["error"]), (403, "step_up_required"))
        other = self.send("POST", "/api/auth/mint-token", data=data, who="owner", X_Parachute_Proof="token.mint:x")
        self.assertEqual(other.status, 403)
        foreign = self.send("POST", "/api/auth/mint-token", data=data, who="owner", Sec_Fetch_Site="same-site")
        self.assertEqual(foreign.json["error"], "csrf_failed")
        self.assertEqual(self.send("POST", "/api/auth/mint-token", data=data).status, 401)

    def test_what_cannot_be_asked(self) -> None:
        """Scopes without a vault or misspelt, unknown vaults, the hub's own scopes, invalid times and types."""
        bad: list[tuple[dict[str, Any], int, str]] = [
            ({"scope": "vault:default:read", "permissions": {"a": "x" * 2000}}, 400, "invalid_request"),
            ({"scope": ""}, 400, "invalid_scope"),
            ({}, 400, "invalid_scope"),
            ({"scope": "vault:admin"}, 400, "invalid_scope"),
            ({"scope": "vault:*:read"}, 400, "invalid_scope"),
            ({"scope": "Vault:default:read"}, 400, "invalid_scope"),
            ({"scope": "vault:a/b:read"}, 400, "invalid_scope"),
            ({"scope": "vault:gone:admin"}, 400, "invalid_scope"),
            ({"scope": "nonsense:read"}, 400, "invalid_scope"),
            ({"scope": "vault:default:read rubbish"}, 400, "invalid_scope"),
            ({"scope": "parachute:host:admin"}, 403, "insufficient_scope"),
            ({"scope": "hub:admin"}, 403, "insufficient_scope"),
            ({"scope": 5}, 400, "invalid_request"),
            ({"scope": "vault:default:read " * 30}, 400, "invalid_scope"),
            ({"scope": "vault:default:read", "expires_in": 0}, 400, "invalid_request"),
            ({"scope": "vault:default:read", "expires_in": 31536001}, 400, "invalid_request"),
            ({"scope": "vault:default:read", "expires_in": True}, 400, "invalid_request"),
            ({"scope": "vault:default:read", "expires_in": "60"}, 400, "invalid_request"),
            ({"scope": "vault:default:read", "permissions": []}, 400, "invalid_request"),
            ({"scope": "vault:default:read", "audience": "hub"}, 400, "invalid_request"),
            ({"scope": "vault:default:read", "audience": "vault.work"}, 400, "invalid_request"),
        ]
        for body, status, error in bad:
            reply = self.by(self.operator, "POST", "/api/auth/mint-token", body)
            self.assertEqual((reply.status, reply.json["error"]), (status, error), body)

    def test_surface_mints_with_the_operator_token(self) -> None:
        """`surface:admin` for five minutes, audience `surface`."""
        self.world.resources.scopes["surface"] = ["surface:read", "surface:admin"]
        body = {"scope": "surface:admin", "expires_in": 300, "audience": "surface", "subject": "surface-host"}
        reply = self.by(self.operator, "POST", "/api/auth/mint-token", body)
        claims = self.world.issuer.verify(reply.json["token"])
        self.assertEqual((claims.audience, claims.subject), (("surface",), "surface-host"))
        self.assertEqual(claims.expires_at - claims.extra["iat"], 300)

    def test_only_the_operator_names_another_subject(self) -> None:
        """A person's token is theirs."""
        self.assertEqual(self.minted("vault:default:read", subject="somebody").status, 403)

    def test_a_vaults_admin_mints_below_and_no_longer_than_itself(self) -> None:
        """Only on that vault, and what it mints ends with it."""
        admin = self.minted("vault:default:admin", expires_in=600).json["token"]
        read = self.minted("vault:default:read").json["token"]
        reply = self.by(admin, "POST", "/api/auth/mint-token", {"scope": "vault:default:write"})
        minted = self.world.issuer.verify(reply.json["token"])
        self.assertEqual(minted.expires_at, self.world.issuer.verify(admin).expires_at)
        for scope in ("vault:work:read", "scribe:transcribe"):
            self.assertEqual(self.by(admin, "POST", "/api/auth/mint-token", {"scope": scope}).status, 403, scope)
        self.assertEqual(self.by(read, "POST", "/api/auth/mint-token", {"scope": "vault:default:read"}).status, 401)

    def test_limits_are_passed_on(self) -> None:
        """A tag-limited token mints no unlimited one; and none is made where the vault would not look at the tags."""
        limits = {"scoped_tags": ["health"]}
        body = {"scope": "vault:default:admin", "permissions": limits}
        refused = self.by(self.operator, "POST", "/api/auth/mint-token", body)
        self.assertEqual((refused.status, refused.json["error"]), (400, "invalid_request"))
        self.world.oauth.minting._tags_enforced = True
        limited = self.by(self.operator, "POST", "/api/auth/mint-token", body).json["token"]
        path = "/api/auth/mint-token"
        inherited = self.by(limited, "POST", path, {"scope": "vault:default:read"}).json["token"]
        self.assertEqual(self.world.issuer.verify(inherited).permissions, limits)
        wider = {"scope": "vault:default:read", "permissions": {"scoped_tags": ["health", "work"]}}
        self.assertEqual(self.by(limited, "POST", path, wider).status, 403)

    def test_the_hub_reads_only_tokens_for_the_hub(self) -> None:
        """Also one with a scope that would do elsewhere."""
        reply = self.by(self.minted("vault:default:read scribe:transcribe").json["token"], "GET", "/api/apps")
        self.assertEqual((reply.status, reply.json["error"]), (401, "invalid_token"))
        self.assertIn('error="invalid_token"', reply.header("WWW-Authenticate") or "")


class ShortTests(TokensCase):
    def short(self, path: str, scopes: str, who: str = "owner", **body: Any) -> Reply:
        return self.send("POST", path, data=body, who=who, X_Parachute_Proof=f"token.mint:{scopes}")

    def test_short_tokens_have_their_audience_and_scopes(self) -> None:
        """Audience, scopes, ten minutes; by POST only, with the password."""
        host = "parachute:host:admin,parachute:host:auth"
        account = ",".join(["account:self:admin", *(f"parachute:host:{v}" for v in HOSTS)])
        for path, scopes, audience in (
            ("/admin/host-admin-token", host, ("hub",)),
            ("/admin/vault-admin-token/work", "vault:work:admin", ("vault.work", f"{ISSUER}/vault/work/mcp")),
            ("/account/vault-admin-token/work", "vault:work:admin", ("vault.work", f"{ISSUER}/vault/work/mcp")),
            ("/admin/module-token/scribe", "scribe:admin", ("scribe",)),
            ("/account/token", account, ("account",)),
        ):
            reply = self.short(path, scopes)
            self.assertEqual((reply.status, sorted(reply.json)), (200, ["expires_at", "scopes", "token"]), path)
            claims = self.world.issuer.verify(reply.json["token"])
            self.assertEqual((claims.audience, claims.scopes), (audience, set(scopes.split(","))))
            self.assertEqual(claims.expires_at - claims.extra["iat"], 600)
            self.assertIsNotNone(self.world.tokens.get(claims.jti))
            # Only two of them answer GET, and only to a settings page that was opened (SettingsPageTests).
            refused = 403 if path.startswith(("/admin/module", "/admin/vault")) else 405
            self.assertEqual(self.send("GET", path, who="owner").status, refused)
            self.assertEqual(self.send("POST", path, data={}, who="owner").json["error"], "step_up_required")
            self.assertEqual(self.send("POST", path, data={}).status, 401)

    def test_members_administer_only_their_vaults(self) -> None:
        """They run their own vault, not the hub."""
        self.assertEqual(self.short("/account/vault-admin-token/default", "vault:default:admin", "member").status, 200)
        for path, scopes in (
            ("/admin/host-admin-token", "parachute:host:admin,parachute:host:auth"),
            ("/account/vault-admin-token/work", "vault:work:admin"),
            ("/admin/module-token/scribe", "scribe:admin"),
        ):
            self.assertEqual(self.short(path, scopes, "member").json["error"], "not_admin", path)

    def test_what_does_not_exist(self) -> None:
        """404, and the vault has its own address."""
        self.assertEqual(self.short("/admin/vault-admin-token/gone", "").status, 404)
        self.assertEqual(self.short("/admin/module-token/gone", "").status, 404)
        self.assertEqual(self.short("/admin/module-token/vault", "").json["error"], "use_vault_admin_token")

    def test_ninety_days_on_ones_own_vault(self) -> None:
        """For a member's script: to read or write, as the role allows."""
        reply = self.short("/account/vault-token/default", "vault:default:write", "member", verb="write")
        self.assertEqual(reply.json["scope"], "vault:default:write")
        self.assertEqual(
            self.short("/account/vault-token/work", "vault:work:write", "member", verb="write").status, 403
        )
        self.assertEqual(self.short("/account/vault-token/work", "vault:work:admin", verb="admin").status, 400)


class SettingsPageTests(TokensCase):
    """Published modules' settings pages GET a token with the session's cookie."""

    PAGE: ClassVar = {"Sec_Fetch_Site": "same-origin", "Sec_Fetch_Dest": "empty"}

    def open(self, module: str, *vaults: str, who: str = "owner") -> Reply:
        """The person opens the settings on the hub's page and enters the password."""
        proof = "settings.open:" + ",".join((module, *vaults))
        data = {"module": module, "vaults": list(vaults)}
        return self.send("POST", "/api/auth/open-settings", data=data, who=who, X_Parachute_Proof=proof)

    def fetch(self, path: str, who: str = "owner", **headers: str) -> Reply:
        """What a page's script receives."""
        return self.send("GET", path, who=who, **{**self.PAGE, **headers})

    def test_ten_minutes_after_the_settings_were_opened(self) -> None:
        opened = self.open("scribe")
        self.assertEqual((opened.status, opened.json["module"]), (200, "scribe"))
        (noted,) = self.world.database.read("SELECT subject FROM audit WHERE action = 'open-settings'")
        self.assertEqual(noted["subject"], "scribe")
        reply = self.fetch("/admin/module-token/scribe")
        self.assertEqual((reply.status, reply.header("Cache-Control")), (200, "no-store"))
        claims = self.world.issuer.verify(reply.json["token"])
        self.assertEqual((claims.audience, claims.scopes), (("scribe",), {"scribe:admin"}))
        self.assertEqual(claims.expires_at - claims.extra["iat"], 300)
        self.world.clock.advance(599)
        self.assertEqual(self.fetch("/admin/module-token/scribe").status, 200)
        self.world.clock.advance(1)
        self.assertEqual(self.fetch("/admin/module-token/scribe").json["error"], "settings_not_opened")

    def test_without_a_grant_the_answer_says_where_to_go(self) -> None:
        for path, page in (
            ("/admin/module-token/scribe", "/admin/modules/scribe"),
            ("/admin/vault-admin-token/work", "/admin/modules/vault"),
        ):
            reply = self.fetch(path)
            told = (reply.status, reply.json["error"], reply.json["settings_url"])
            self.assertEqual(told, (403, "settings_not_opened", page))
        self.assertEqual(self.fetch("/admin/module-token/scribe", who="").status, 401)

    def test_a_grant_names_session_module_and_vaults(self) -> None:
        self.world.add_user("second", admin=True)
        self.world.resources.scopes["surface"] = ["surface:admin"]
        self.open("scribe", "work")
        for path, who, status in (
            ("/admin/module-token/scribe", "owner", 200),
            ("/admin/vault-admin-token/work", "owner", 200),
            ("/admin/vault-admin-token/default", "owner", 403),
            ("/admin/module-token/surface", "owner", 403),
            ("/admin/module-token/scribe", "second", 403),
            ("/admin/vault-admin-token/work", "second", 403),
            ("/account/vault-admin-token/work", "owner", 405),
            ("/admin/host-admin-token", "owner", 405),
        ):
            self.assertEqual(self.fetch(path, who).status, status, f"{path} by {who}")
        vault = self.fetch("/admin/vault-admin-token/work").json
        self.assertEqual(self.world.issuer.verify(vault["token"]).scopes, {"vault:work:admin"})

    def test_the_page_of_the_agent_asks_in_its_own_way(self) -> None:
        """It gets every scope of the agent, under the same conditions, and nothing of other modules."""
        path = "/admin/agent-token"
        self.assertEqual(self.fetch(path).status, 404)
        self.world.resources.scopes["agent"] = ["agent:read", "agent:send", "agent:admin"]
        refused = self.fetch(path)
        self.assertEqual((refused.status, refused.json["settings_url"]), (403, "/admin/modules/agent"))
        self.open("scribe")
        self.assertEqual(self.fetch(path).status, 403)
        self.open("agent")
        claims = self.world.issuer.verify(self.fetch(path).json["token"])
        self.assertEqual((claims.audience, claims.scopes), (("agent",), {"agent:read", "agent:send", "agent:admin"}))
        self.assertEqual(self.send("GET", path, who="owner").json["error"], "not_a_page")

    def test_only_a_script_of_this_origin(self) -> None:
        self.open("scribe")
        for site in ("same-origin", "same-site", "cross-site", "none", ""):
            for dest in ("empty", "document", "iframe", "script", "image", ""):
                reply = self.fetch("/admin/module-token/scribe", Sec_Fetch_Site=site, Sec_Fetch_Dest=dest)
                right = (site, dest) == ("same-origin", "empty")
                self.assertEqual(reply.status, 200 if right else 403, f"{site!r} {dest!r}")
        self.assertEqual(self.send("GET", "/admin/module-token/scribe", who="owner").json["error"], "not_a_page")

    def test_opening_takes_the_password_of_somebody_who_may(self) -> None:
        path = "/api/auth/open-settings"
        unproved = self.send("POST", path, data={"module": "scribe"}, who="owner")
        self.assertEqual(unproved.json["error"], "step_up_required")
        self.assertEqual(unproved.json["operation"], "settings.open:scribe")
        other = self.send("POST", path, data={"module": "scribe"}, who="owner", X_Parachute_Proof="settings.open:x")
        self.assertEqual(other.status, 403)
        foreign = self.send("POST", path, data={"module": "scribe"}, who="owner", Sec_Fetch_Site="same-site")
        self.assertEqual(foreign.json["error"], "csrf_failed")
        self.assertEqual(self.open("scribe", who="member").json["error"], "not_admin")
        self.assertEqual(self.by(self.operator, "POST", path, {"module": "scribe"}).status, 401)
        self.assertEqual(self.fetch("/admin/module-token/scribe").status, 403)

    def test_what_cannot_be_opened(self) -> None:
        for body, status in (
            ({"module": "gone"}, 404),
            ({"module": "scribe", "vaults": ["gone"]}, 404),
            ({"module": "vault"}, 400),
            ({"module": 5}, 400),
            ({"module": "scribe", "vaults": "work"}, 400),
            ({"module": "scribe", "vaults": [5]}, 400),
            ({"module": "scribe", "vaults": ["work"] * 21}, 400),
            ({}, 400),
        ):
            reply = self.send("POST", "/api/auth/open-settings", data=body, who="owner")
            self.assertEqual(reply.status, status, body)

    def test_grants_are_bounded(self) -> None:
        grants = SettingsGrants(self.world.clock)
        for number in range(MOST + 5):
            grants.open(f"session-{number}", ["scribe:admin"])
        held = [number for number in range(MOST + 5) if grants.covers(f"session-{number}", "scribe:admin")]
        self.assertEqual(held, list(range(5, MOST + 5)))


HOSTS = ("admin", "install", "start", "expose", "auth", "vault", "metrics")


class ListTests(TokensCase):
    def test_pages_of_fifty_the_newest_first(self) -> None:
        """The cursor leads through all of them, each once."""
        for _ in range(60):
            self.world.clock.advance(1)
            self.minted("vault:work:read", subject=None)
        first = self.by(self.operator, "GET", "/api/auth/tokens?created_via=cli_mint").json
        second = self.by(
            self.operator, "GET", f"/api/auth/tokens?created_via=cli_mint&cursor={first['next_cursor']}"
        ).json
        self.assertEqual((len(first["tokens"]), len(second["tokens"]), second["next_cursor"]), (50, 10, None))
        self.assertEqual(len({token["jti"] for token in first["tokens"] + second["tokens"]}), 60)
        self.assertEqual(self.by(self.operator, "GET", "/api/auth/tokens?cursor=%21").status, 400)

    def test_a_token_has_the_name_that_it_was_given_and_a_last_use(self) -> None:
        """A use is noted at most every ten minutes."""
        start = self.world.clock.seconds()
        token = self.minted("vault:work:read", name="  Backup 🌷 ").json["token"]

        def listed() -> list[tuple[str, str | None]]:
            tokens = self.by(self.operator, "GET", "/api/auth/tokens?created_via=cli_mint").json["tokens"]
            return [(one["name"], one["last_used_at"]) for one in tokens]

        self.assertEqual(listed(), [("Backup 🌷", None)])
        for passed, noted in ((5, 5), (300, 5), (300, 605)):
            self.world.clock.advance(passed)
            self.assertFalse(self.is_refused(token, "work"))
            self.assertEqual(listed(), [("Backup 🌷", to_the_second(start + noted))], passed)
        for name in ("x" * 65, "two\nlines", 5):
            self.assertEqual(self.minted("vault:work:read", name=name).status, 400, name)

    def test_members_see_their_own(self) -> None:
        """And nothing of others; strangers see nothing."""
        mine = self.minted("vault:work:read", "member").json["jti"]
        self.minted("vault:work:read")
        listed = self.send("GET", "/api/auth/tokens", who="member").json["tokens"]
        self.assertEqual([token["jti"] for token in listed], [mine])
        self.assertEqual(self.send("GET", "/api/auth/tokens").status, 401)

    def test_revoking_is_immediate_and_idempotent(self) -> None:
        """At once, again without harm, and found by the filter."""
        minted = self.minted("vault:work:read").json
        for _ in range(2):
            reply = self.by(self.operator, "POST", "/api/auth/revoke-token", {"jti": minted["jti"]})
            self.assertEqual((reply.status, sorted(reply.json)), (200, ["jti", "revoked_at"]))
        self.assertTrue(self.is_refused(minted["token"], "work"))
        listed = self.by(self.operator, "GET", "/api/auth/tokens?revoked=true").json["tokens"]
        self.assertEqual([token["jti"] for token in listed], [minted["jti"]])

    def test_who_may_revoke_what(self) -> None:
        """One's own; what one could have given; everything with `parachute:host:auth`."""
        owners = self.minted("vault:default:read").json["jti"]
        members = self.minted("vault:default:read", "member").json["jti"]
        admin = self.minted("vault:work:admin").json["jti"]
        path = "/api/auth/revoke-token"
        self.assertEqual(self.send("POST", path, data={"jti": admin}, who="member").status, 403)
        of_default, of_work = (self.minted(f"vault:{name}:admin").json["token"] for name in ("default", "work"))
        read = self.minted("vault:default:read").json["jti"]
        self.assertEqual(self.by(of_work, "POST", path, {"jti": read}).status, 403)
        self.assertEqual(self.by(of_default, "POST", path, {"jti": read}).status, 200)
        for jti, who in ((owners, "member"), (members, "owner")):
            refused = self.send("POST", path, data={"jti": jti}, who=who)
            self.assertEqual((refused.status, refused.json["error"]), (403, "step_up_required"), "somebody else's")
            proof = {"X_Parachute_Proof": f"token.revoke:{jti}"}
            self.assertEqual(self.send("POST", path, data={"jti": jti}, who=who, **proof).status, 200)
        own = self.minted("vault:default:read").json["jti"]
        self.assertEqual(self.send("POST", path, data={"jti": own}, who="owner").status, 200)
        self.assertEqual(self.send("POST", path, data={"jti": "unknown"}, who="owner").status, 404)
        self.assertEqual(self.send("POST", path, data={"jti": "x" * 257}, who="owner").status, 404)
        self.assertEqual(self.send("POST", path, data={}, who="owner").status, 400)

    def test_revoking_an_apps_token_ends_its_connection(self) -> None:
        """Otherwise it would just refresh."""
        client_id = self.approved()
        tokens = self.connect(client_id)
        jti = self.world.issuer.verify(tokens["access_token"]).jti
        self.by(self.operator, "POST", "/api/auth/revoke-token", {"jti": jti})
        self.assertEqual(self.refresh(client_id, tokens["refresh_token"]).json["error"], "invalid_grant")

    def test_what_an_app_minted_ends_with_its_connection(self) -> None:
        """An app that manages a vault may mint for it, and must keep nothing once disconnected."""
        client_id = self.approved()
        admin = self.connect(client_id, scope="vault:default:admin")["access_token"]
        minted = self.by(admin, "POST", "/api/auth/mint-token", {"scope": "vault:default:read"}).json["token"]
        self.assertFalse(self.is_refused(minted))
        self.send("POST", "/api/apps/disconnect", data={"client_id": client_id}, who="owner")
        self.assertTrue(self.is_refused(minted))


class RotateTests(TokensCase):
    def test_rotating_revokes_the_old_operator_token(self) -> None:
        """The old one ends with the answer; a set must be one of ours."""
        self.assertEqual(self.by(self.operator, "POST", "/api/auth/rotate-operator", {"scope_set": "all"}).status, 400)
        self.assertEqual(self.by(self.operator, "POST", "/api/auth/rotate-operator").status, 200)
        self.assertEqual(self.by(self.operator, "GET", "/api/auth/tokens").status, 401)
        new = (self.folder / "operator.token").read_text().strip()
        self.assertEqual(self.by(new, "GET", "/api/auth/tokens").status, 200)

    def test_a_rotated_key_is_published_at_once(self) -> None:
        """By an owner with the password; the new key is published at once."""
        refused = self.send("POST", "/api/auth/rotate-key", data={}, who="owner")
        self.assertEqual(refused.json["error"], "step_up_required")
        reply = self.send("POST", "/api/auth/rotate-key", data={}, who="owner", X_Parachute_Proof="key.rotate")
        published = [key["kid"] for key in self.send("GET", "/.well-known/jwks.json").json["keys"]]
        self.assertEqual((reply.json["kid"], len(published)), (published[0], 2))
        self.assertEqual(self.send("POST", "/api/auth/rotate-key", data={}, who="member").status, 403)

    def test_every_unsafe_address_is_closed_to_foreign_pages(self) -> None:
        """By the routes themselves, so that a new one cannot be forgotten."""
        checked = 0
        for rule in TokensArea.app.url_map.iter_rules():
            if "POST" not in (rule.methods or ()):
                continue
            path = rule.rule.replace("<vault>", "work").replace("<short>", "scribe")
            reply = self.send("POST", path, form={"x": "y"}, who="owner", Sec_Fetch_Site="cross-site")
            self.assertEqual((reply.status, reply.json["error"]), (403, "csrf_failed"), path)
            checked += 1
        self.assertGreaterEqual(checked, 10)
