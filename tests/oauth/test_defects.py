"""Defects found in similar OAuth servers."""

import re

from attrs import evolve

from tests.oauth.flows import CALLBACK, FlowCase
from tests.support.oauth import ISSUER, LOCAL, fake_csrf


class DefectTests(FlowCase):
    def test_no_page_of_another_site_can_consent(self) -> None:
        """No CORS on authorize; consent needs our page, shown as a document, for this request."""
        client_id = self.approved()
        path = self.ask_path(client_id)
        for method in ("GET", "OPTIONS"):
            reply = self.send(method, path, who="owner", Origin="https://evil.test")
            self.assertIsNone(reply.header("Access-Control-Allow-Origin"))
            self.assertIsNone(reply.header("Access-Control-Allow-Credentials"))
        fields = [*self.authorize(client_id).fields(), ("approve", "yes")]
        foreign = self.send("POST", "/oauth/authorize", form=fields, who="owner", Sec_Fetch_Site="same-site")
        self.assertEqual((foreign.status, foreign.location), (403, ""))
        without_csrf = [(name, value) for name, value in fields if name != "__csrf"]
        self.assertEqual(self.send("POST", "/oauth/authorize", form=without_csrf, who="owner").status, 403)

    def test_a_modules_script_on_our_own_origin_cannot_consent(self) -> None:
        """It can have the CSRF token, but a script sees no consent page, and without its ticket there is no consent."""
        client_id = self.approved()
        seen = self.send(
            "GET", self.ask_path(client_id), who="owner", Sec_Fetch_Dest="empty", Sec_Fetch_Mode="same-origin"
        )
        self.assertEqual(seen.status, 403)
        framed = self.send("GET", self.ask_path(client_id), who="owner", Sec_Fetch_Dest="iframe")
        self.assertEqual(framed.status, 403)
        fields = dict(self.authorize(client_id).fields())
        for ticket in ("", "0" * 64):
            forged = [("approve", "yes"), *{**fields, "ticket": ticket, "__csrf": fake_csrf("owner")}.items()]
            reply = self.send("POST", "/oauth/authorize", form=forged, who="owner")
            self.assertEqual((reply.status, "code" in reply.sent_back), (401, False))

    def test_a_ticket_is_for_what_was_shown(self) -> None:
        """A page for reading cannot be answered as one for admin, nor by someone else."""
        client_id = self.approved()
        fields = dict(self.authorize(client_id, scope="vault:read").fields())
        grown = [("approve", "yes"), *{**fields, "scope": "vault:read vault:write"}.items()]
        self.assertEqual(self.send("POST", "/oauth/authorize", form=grown, who="owner").status, 401)
        self.world.add_user("other", vaults={"default": "write"})
        moved = [("approve", "yes"), *{**fields, "__csrf": fake_csrf("other")}.items()]
        self.assertEqual(self.send("POST", "/oauth/authorize", form=moved, who="other").status, 401)

    def test_without_the_browsers_mark_the_password_is_asked(self) -> None:
        """Over plain http, browsers send no mark, so a module's script could be answering."""
        client_id = self.approved()
        page = self.send("GET", self.ask_path(client_id, scope="vault:read"), who="owner", Sec_Fetch_Dest="")
        self.assertIn('type="password"', page.text)
        fields = [(name, value) for name, value in page.fields() if name != "password"] + [("approve", "yes")]
        silent = self.send("POST", "/oauth/authorize", form=fields, who="owner", Sec_Fetch_Dest="")
        self.assertEqual((silent.status, "code" in silent.sent_back), (401, False))
        proven = self.send(
            "POST", "/oauth/authorize", form=[*fields, ("password", "right")], who="owner", Sec_Fetch_Dest=""
        )
        self.assertIn("code", proven.sent_back)
        marked = self.authorize(self.approved("http://127.0.0.1:5000/cb"), redirect_uri="http://127.0.0.1:5000/cb")
        self.assertEqual(marked.status, 200)

    def test_over_plain_http_a_get_issues_no_code(self) -> None:
        """Whoever caught the session's cookie on another port could ask for one in the name of an allowed app."""
        client_id = self.approved()
        self.code(client_id)
        again = self.send("GET", self.ask_path(client_id), who="owner")
        self.assertIn("code", again.sent_back, "over https it goes on without a question")
        plain = self.send("GET", self.ask_path(client_id), who="owner", X_Test_Plain="1")
        self.assertEqual((plain.status, plain.location), (200, ""))
        silent = self.send("GET", self.ask_path(client_id, prompt="none"), who="owner", X_Test_Plain="1")
        self.assertEqual(silent.sent_back.get("error"), "interaction_required")

    def test_get_changes_nothing(self) -> None:
        """Viewing a consent page approves no client and records no grant."""
        client_id = self.register()["client_id"]
        self.assertEqual(self.authorize(client_id).status, 200)
        client = self.world.clients.get(client_id)
        assert client is not None
        self.assertEqual(client.status, "pending")
        self.assertIsNone(self.world.grants.get("id-owner", client_id))

    def test_an_unticked_scope_is_not_granted(self) -> None:
        """Only ticked scopes are granted, and none ticked is a refusal."""
        client_id = self.approved()
        page = self.authorize(client_id)
        form = re.search(r"<form\b.*</form>", page.text, re.DOTALL)
        assert form is not None
        self.assertEqual(form[0].count('name="granted_scope"'), 2)
        reply = self.say(page, granted_scope=["vault:default:read"])
        self.assertEqual(self.redeem(client_id, reply.sent_back["code"]).json["scope"], "vault:default:read")
        self.assertEqual(self.say(page, granted_scope=[]).sent_back["error"], "access_denied")

    def test_only_what_was_offered_can_be_ticked(self) -> None:
        """A forged checkbox adds nothing."""
        client_id = self.approved()
        reply = self.say(
            self.authorize(client_id, scope="vault:read"),
            granted_scope=["vault:default:read", "vault:default:admin", "vault:work:read", "parachute:host:admin"],
        )
        self.assertEqual(self.redeem(client_id, reply.sent_back["code"]).json["scope"], "vault:default:read")

    def test_disconnecting_ends_refresh_and_access_at_once(self) -> None:
        """By the person, for every connection of that app, and for nobody else's."""
        client_id = self.approved()
        self.world.add_user("other", vaults={"default": "write"})
        mine, theirs = [self.connect(client_id), self.connect(client_id)], self.connect(client_id, "other")
        reply = self.send("POST", "/api/apps/disconnect", data={"client_id": client_id}, who="owner")
        self.assertEqual(reply.status, 200)
        for tokens in mine:
            self.assertTrue(self.is_refused(tokens["access_token"]))
            self.assertEqual(self.refresh(client_id, tokens["refresh_token"]).json["error"], "invalid_grant")
        self.assertFalse(self.is_refused(theirs["access_token"]))
        self.assertEqual(len(self.world.issuer.revoked_jtis()), 2)
        self.assertEqual(self.authorize(client_id).status, 200)

    def test_unassigning_a_vault_ends_access_to_it(self) -> None:
        """Access ends at once, and is checked again at each refresh."""
        client_id = self.approved()
        self.world.add_user("other", vaults={"default": "write", "work": "read"})
        tokens = self.connect(client_id, "other", resource=None, scope="vault:default:write vault:work:read")
        self.world.do(self.world.users.set_vaults, "id-other", {"work": "read"})
        less = self.refresh(client_id, tokens["refresh_token"]).json
        self.assertEqual(less["scope"], "vault:work:read")
        self.world.do(self.world.oauth.connections.access_changed, "id-other")
        self.assertTrue(self.is_refused(tokens["access_token"]))
        self.assertFalse(self.is_refused(less["access_token"], "work"))
        self.world.do(self.world.users.set_vaults, "id-other", {})
        self.assertEqual(self.refresh(client_id, less["refresh_token"]).json["error"], "invalid_grant")

    def test_replaying_a_code_ends_what_came_of_it(self) -> None:
        """RFC 6749 4.1.2: the tokens of the first redemption are revoked."""
        client_id = self.approved()
        code = self.code(client_id)
        tokens = self.redeem(client_id, code).json
        self.assertEqual(self.redeem(client_id, code).json["error"], "invalid_grant")
        self.assertTrue(self.is_refused(tokens["access_token"]))
        self.assertEqual(self.refresh(client_id, tokens["refresh_token"]).json["error"], "invalid_grant")

    def test_nothing_secret_is_stored_by_caches(self) -> None:
        """`no-store` on every answer of token, register and revoke, errors too, and on the pages."""
        client_id = self.approved()
        replies = [
            self.send("POST", "/oauth/register", data={"redirect_uris": [CALLBACK]}),
            self.send("POST", "/oauth/register", data={}),
            self.redeem(client_id, self.code(client_id)),
            self.redeem(client_id, "wrong"),
            self.send("POST", "/oauth/revoke", form={"client_id": client_id, "token": "x"}),
            self.authorize(client_id, scope="vault:read vault:write vault:admin"),
        ]
        self.assertEqual({reply.header("Cache-Control") for reply in replies}, {"no-store"})

    def test_the_consent_page_cannot_be_framed_and_may_lead_to_any_kind_of_app(self) -> None:
        """No `form-action`: browsers would hold it against each redirect that the app's own address makes."""
        for uri in ("https://app.test/cb", "http://127.0.0.1:7/cb", "http://[::1]:7/cb", "com.example.app:/cb"):
            with self.subTest(uri):
                page = self.authorize(self.approved(uri), redirect_uri=uri)
                policy = page.header("Content-Security-Policy") or ""
                self.assertEqual(
                    policy, "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'"
                )
                self.assertEqual(re.findall("<script[^>]*>", page.text), ['<script src="/static/hub/key.js">'])

    def test_no_page_that_opened_the_consent_page_can_script_it(self) -> None:
        """A module's page shares the hub's origin; only this header keeps it from pressing the button in a popup."""
        page = self.authorize(self.approved())
        self.assertEqual(page.header("Cross-Origin-Opener-Policy"), "same-origin")

    def test_consent_shows_where_one_is_sent(self) -> None:
        """Host and path; that a name proves nothing; and bad URIs never get that far."""
        page = self.authorize(self.approved())
        parts = "".join(f'<span class="part">{part}</span>' for part in ("app.", "test/"))
        self.assertIn(f"<strong>{parts}callback</strong>", page.text)
        self.assertIn("Not verified", page.text)
        for uri in ("http://evil.test/cb", f"{CALLBACK}#fragment", "javascript:alert(1)"):
            reply = self.send("POST", "/oauth/register", data={"redirect_uris": [uri]})
            self.assertEqual((reply.status, reply.json["error"]), (400, "invalid_redirect_uri"))

    def test_what_an_app_says_is_text(self) -> None:
        """Names are escaped and stripped of tricks."""
        page = self.authorize(self.approved(client_name='<b>"Claude"</b>\u202e\n\x00' + "x" * 200))
        self.assertIn("&lt;b&gt;", page.text)
        self.assertNotIn("<b>", page.text)
        self.assertNotIn("\u202e", page.text)

    def test_no_silence_where_another_program_could_listen(self) -> None:
        """https: silent once it was allowed. Loopback and an app's scheme: asked each time."""
        for uri, silent in ((CALLBACK, True), ("http://127.0.0.1/cb", False), ("cursor://x/cb", False)):
            client_id = self.approved(uri)
            self.say(self.authorize(client_id, redirect_uri=uri))
            self.assertEqual(self.authorize(client_id, redirect_uri=uri).status == 303, silent, uri)

    def test_more_than_before_is_asked(self) -> None:
        """A larger request, an elevated scope, or `prompt=consent` always asks."""
        client_id = self.approved()
        self.connect(client_id, scope="vault:read")
        self.assertEqual(self.authorize(client_id, scope="vault:read").status, 303)
        self.assertEqual(self.authorize(client_id).status, 200)
        self.assertEqual(self.authorize(client_id, scope="vault:read", prompt="consent").status, 200)
        self.connect(client_id, scope="vault:admin")
        self.assertEqual(self.authorize(client_id, scope="vault:admin").status, 200)

    def test_strangers_cannot_fill_the_disk(self) -> None:
        """Twenty an hour per network, a thousand in total, one day each; the oldest unused makes room."""
        kept = self.approved("https://kept.test/cb")
        for number in range(19):
            self.register(f"https://a{number}.test/cb")
        data = {"redirect_uris": ["https://b.test/cb"]}
        refused = self.send("POST", "/oauth/register", data=data)
        self.assertEqual(refused.status, 429)
        self.assertGreater(int(refused.header("Retry-After") or 0), 3000)
        # The rest would be others, by one more request each; the store takes them at once.
        example = next(client for client in self.world.clients.all() if client.client_id != kept)
        now = self.world.clock.seconds()
        others = [
            evolve(example, client_id=f"other-{number}", redirect_uris=(f"https://a{number}.test/cb",), created_at=now)
            for number in range(19, 1000)
        ]
        for other in others:
            self.world.do(self.world.clients.put, other)
        self.assertEqual(self.world.clients.count_unvouched(), 1000)
        before = {client.redirect_uris[0] for client in self.world.clients.all()}
        self.assertEqual(self.send("POST", "/oauth/register", data=data, X_Test_Address="192.0.2.99").status, 201)
        self.assertEqual(self.world.clients.count_unvouched(), 1000)
        gone = before - {client.redirect_uris[0] for client in self.world.clients.all()}
        self.assertEqual(len(gone), 1)
        self.assertIn(gone.pop(), [f"https://a{number}.test/cb" for number in range(19)])
        self.world.clock.advance(86401)
        self.successResultOf(self.maintain())
        self.assertEqual([client.client_id for client in self.world.clients.all()], [kept])

    def test_one_ipv6_network_registers_like_one_address(self) -> None:
        """A /64 has 2^64 addresses."""
        statuses = [
            self.send(
                "POST",
                "/oauth/register",
                data={"redirect_uris": [f"https://a{number}.test/cb"]},
                X_Test_Address=f"2001:db8::{number:x}",
            ).status
            for number in range(25)
        ]
        self.assertEqual(statuses, [201] * 20 + [429] * 5)

    def test_the_same_registration_again_costs_nothing(self) -> None:
        for _ in range(30):
            self.assertEqual(self.send("POST", "/oauth/register", data={"redirect_uris": [CALLBACK]}).status, 201)

    def test_bodies_are_small(self) -> None:
        """4 KiB for metadata, 64 KiB for forms."""
        reply = self.send("POST", "/oauth/register", data={"redirect_uris": [CALLBACK], "x": "y" * 4100})
        self.assertEqual((reply.status, reply.json["error"]), (413, "invalid_client_metadata"))
        self.assertEqual(self.send("POST", "/oauth/token", form={"x": "y" * 70000}).status, 413)

    def test_a_new_password_ends_everything(self) -> None:
        """Apps, and tokens that the person minted for any subject."""
        client_id = self.approved()
        app = self.connect(client_id)
        minted = self.send(
            "POST",
            "/api/auth/mint-token",
            data={"scope": "vault:default:read"},
            who="owner",
            X_Parachute_Proof="token.mint:vault:default:read",
        ).json
        self.world.do(self.world.oauth.connections.access_ended, "id-owner")
        self.assertTrue(self.is_refused(app["access_token"]) and self.is_refused(minted["token"]))
        self.assertEqual(self.refresh(client_id, app["refresh_token"]).json["error"], "invalid_grant")

    def test_a_deleted_person_leaves_no_access_behind(self) -> None:
        """Within a second even without notice; the tokens stay on the list."""
        client_id = self.approved()
        self.world.add_user("other", vaults={"default": "write"})
        tokens = self.connect(client_id, "other")
        self.assertFalse(self.is_refused(tokens["access_token"]))
        self.world.do(self.world.users.delete, "id-other")
        self.world.clock.advance(1)
        self.assertTrue(self.is_refused(tokens["access_token"]))
        self.assertEqual(len(self.world.issuer.revoked_jtis()), 1)
        self.assertEqual(self.refresh(client_id, tokens["refresh_token"]).json["error"], "invalid_grant")

    def test_malformed_requests_get_plain_errors(self) -> None:
        """JSON, nothing, duplicates, bad encoding, unknown types: 4xx in JSON, never 500."""
        client_id = self.approved()
        good = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": "x"}
        cases = [
            (self.send("POST", "/oauth/token", data=good), 415, "invalid_request"),
            (self.send("POST", "/oauth/token"), 400, "invalid_request"),
            (self.send("POST", "/oauth/token", form={}), 400, "invalid_request"),
            (self.send("POST", "/oauth/token", form=[*good.items(), ("client_id", client_id)]), 400, "invalid_request"),
            (self.send("POST", "/oauth/token", form={**good, "grant_type": "password"}), 400, "unsupported_grant_type"),
            (self.send("POST", "/oauth/token", form={**good, "grant_type": ""}), 400, "invalid_request"),
            (self.send("POST", "/oauth/token", form={**good, "client_id": "no"}), 401, "invalid_client"),
            (self.send("POST", "/oauth/token", form=good, Authorization="Basic !"), 401, "invalid_client"),
            (self.send("POST", "/oauth/token", form=good, Authorization="Bearer x"), 401, "invalid_client"),
            (self.redeem(client_id, "x" * 3000), 400, "invalid_grant"),
            (self.send("GET", "/oauth/token"), 405, "method_not_allowed"),
        ]
        for reply, status, error in cases:
            self.assertEqual((reply.status, reply.json["error"]), (status, error))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_parameters_in_the_address_are_not_read(self) -> None:
        """Secrets in URLs end up in logs."""
        client_id = self.approved()
        reply = self.send("POST", f"/oauth/token?client_id={client_id}&grant_type=refresh_token", form={"x": "y"})
        self.assertEqual((reply.status, reply.json["error"]), (400, "invalid_request"))

    def test_an_authorization_request_never_faults(self) -> None:
        """Whatever the query."""
        for query in (
            "",
            "?",
            "?client_id=%ff",
            "?client_id=a&client_id=b",
            "?redirect_uri=//x",
            "?client_id=x&redirect_uri=http://[",
            "?resource=http://[",
            "?" + "a&" * 500,
        ):
            self.assertEqual(self.send("GET", f"/oauth/authorize{query}", who="owner").status, 400, query)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_nothing_usable_is_on_disk(self) -> None:
        """Codes, refresh tokens, access tokens and client secrets are hashes or absent."""
        registered = self.register(token_endpoint_auth_method="client_secret_post")
        self.world.do(self.world.clients.approve, registered["client_id"], "owner")
        code = self.code(registered["client_id"])
        tokens = self.redeem(registered["client_id"], code, client_secret=registered["client_secret"]).json
        secrets = [code, tokens["refresh_token"], tokens["access_token"], registered["client_secret"]]
        stored = b"".join(path.read_bytes() for path in self.folder.iterdir())
        self.assertEqual([secret for secret in secrets if secret.encode() in stored], [])

    def test_what_ended_is_forgotten(self) -> None:
        """After a month without use, codes, tokens and families are deleted; grant and app stay."""
        client_id = self.approved()
        self.connect(client_id)
        self.world.clock.advance(31 * 86400)
        self.successResultOf(self.maintain())
        left = {
            table: len(self.world.database.read(f"SELECT 1 FROM {table}"))
            for table in ("codes", "refresh_tokens", "families", "grants", "clients")
        }
        self.assertEqual(left, {"codes": 0, "refresh_tokens": 0, "families": 0, "grants": 1, "clients": 1})

    def test_only_an_owner_lets_an_app_in(self) -> None:
        """A member is told whom to ask; the app stays pending, also at the token endpoint."""
        client_id = self.register()["client_id"]
        self.world.add_user("other", vaults={"default": "write"})
        page = self.authorize(client_id, "other")
        self.assertEqual(page.status, 403)
        self.assertIn(f"{ISSUER}/admin/approve-client/{client_id}", page.text)
        reply = self.redeem(client_id, "x")
        self.assertEqual((reply.status, reply.json["error"]), (401, "invalid_client"))
        self.assertEqual(reply.json["approve_url"], f"{ISSUER}/admin/approve-client/{client_id}")
        self.assertEqual(self.send("GET", f"/admin/approve-client/{client_id}", who="other").status, 403)

    def test_an_owners_consent_approves_with_the_password(self) -> None:
        """One page for both; a consent without the password is refused and changes nothing."""
        client_id = self.register()["client_id"]
        page = self.authorize(client_id)
        self.assertIn("This app is new here", page.text)
        self.assertEqual(self.say(page, password="").status, 401)
        self.assertEqual(self.redeem(client_id, "x").json["error"], "invalid_client")
        self.assertIn("code", self.say(page, password="right").sent_back)
        self.assertEqual(self.redeem(client_id, "x").json["error"], "invalid_grant")

    def test_an_app_of_this_hub_needs_no_approval(self) -> None:
        """All its redirect URIs lead to the hub: approved, and the same client when it registers again."""
        first = self.register(f"{ISSUER}/notes/oauth/callback")
        self.assertEqual((first["status"], first["same_hub"]), ("approved", True))
        self.assertEqual(first["redirect_uris"], [f"{ISSUER}/notes/oauth/callback"])
        self.assertEqual(self.register(f"{ISSUER}/notes/oauth/callback")["client_id"], first["client_id"])
        mixed = self.register(f"{ISSUER}/notes/cb", "https://evil.test/cb")
        self.assertEqual((mixed["status"], mixed["same_hub"]), ("pending", False))

    def test_a_loopback_address_is_no_app_of_a_public_hub(self) -> None:
        """Any program on a visitor's machine may listen there, so a code goes there only after approval."""
        local = self.register(f"{LOCAL}/notes/oauth/callback")
        self.assertEqual((local["status"], local["same_hub"]), ("pending", False))
