from urllib.parse import parse_qs, urlsplit

from parachute_hub.oauth.clients.metadata_fetch import FetchedDocument
from parachute_hub.oauth.clients.registration import is_document_url
from tests.oauth.flows import CALLBACK, DEFAULT, VERIFIER, FlowCase
from tests.support.oauth import ISSUER, LOCAL

DOCUMENT = "https://claude.test/client.json"


class CodeFlowTests(FlowCase):
    def test_a_code_is_exchanged_refreshed_and_revoked(self) -> None:
        """The whole flow, with this hub's additions: iss, no-store, aud with the URI, the vault's name."""
        client_id = self.approved()
        page = self.authorize(client_id)
        self.assertEqual(page.status, 200)
        reply = self.say(page)
        self.assertEqual((reply.status, reply.location.partition("?")[0]), (303, CALLBACK))
        sent = parse_qs(urlsplit(reply.location).query)
        self.assertEqual({name: len(values) for name, values in sent.items()}, {"code": 1, "state": 1, "iss": 1})
        self.assertEqual((sent["state"], sent["iss"]), (["st&te"], [ISSUER]))
        answer = self.redeem(client_id, sent["code"][0])
        self.assertEqual((answer.header("Cache-Control"), answer.header("Pragma")), ("no-store", "no-cache"))
        tokens = answer.json
        self.assertEqual(
            {name: tokens[name] for name in ("token_type", "expires_in", "scope", "vault", "services")},
            {
                "token_type": "Bearer",
                "expires_in": 900,
                "scope": "vault:default:read vault:default:write",
                "vault": "default",
                "services": {
                    "vault:default": {"url": f"{ISSUER}/vault/default", "version": "1.0"},
                    "vault": {"url": f"{ISSUER}/vault/default", "version": "1.0"},
                },
            },
        )
        claims = self.world.issuer.verify(tokens["access_token"])
        self.assertEqual((claims.subject, claims.client_id), ("id-owner", client_id))
        self.assertEqual(claims.audience, ("vault.default", DEFAULT))
        self.assertEqual(claims.extra["auth_time"], claims.extra["iat"] - 60)
        self.assertEqual(claims.vault_scope, ())
        self.assertFalse(self.is_refused(tokens["access_token"]))
        self.assertTrue(self.is_refused(tokens["access_token"], "work"))

    def test_a_refresh_rotates_and_leaves_the_access_token_alone(self) -> None:
        """The previous access token stays valid, and the revocation list stays empty."""
        client_id = self.approved()
        first = self.connect(client_id)
        second = self.refresh(client_id, first["refresh_token"]).json
        self.assertNotEqual(first["refresh_token"], second["refresh_token"])
        self.assertFalse(self.is_refused(first["access_token"]) or self.is_refused(second["access_token"]))
        self.assertEqual(self.world.issuer.revoked_jtis(), [])

    def test_a_stranger_signs_in_first_and_comes_back(self) -> None:
        """303 to the sign-in page with the whole request as `next`."""
        client_id = self.approved()
        reply = self.authorize(client_id, None)
        self.assertEqual(reply.status, 303)
        back = parse_qs(urlsplit(reply.location).query)["next"][0]
        self.assertEqual(urlsplit(reply.location).path, "/login")
        self.assertEqual(self.send("GET", back, who="owner").status, 200)

    def test_a_vault_is_picked_when_none_is_named(self) -> None:
        """As Notes does: the hint is preselected, another vault can be picked, nothing else."""
        client_id = self.approved()
        page = self.authorize(client_id, resource=None, vault="work")
        self.assertIn(("vault_pick", "work"), page.fields())
        picked = self.say(page, vault_pick="default").sent_back["code"]
        self.assertEqual(self.redeem(client_id, picked).json["scope"], "vault:default:read vault:default:write")
        self.assertEqual(self.say(page, vault_pick="gone").status, 400)

    def test_a_denied_consent_leaves_nothing_behind(self) -> None:
        """`access_denied` goes back with state and iss; nothing is recorded."""
        client_id = self.approved()
        sent = self.say(self.authorize(client_id), yes=False).sent_back
        self.assertEqual((sent["error"], sent["state"], sent["iss"]), ("access_denied", "st&te", ISSUER))
        self.assertIsNone(self.world.grants.get("id-owner", client_id))

    def test_no_is_no_also_when_it_was_allowed_before(self) -> None:
        """A page that waited while another was answered: its own answer and ticks count."""
        client_id = self.approved()
        pages = [self.authorize(client_id) for _ in range(3)]
        self.say(pages[0])
        self.assertEqual(self.say(pages[1], yes=False).sent_back["error"], "access_denied")
        less = self.say(pages[2], granted_scope=["vault:default:read"]).sent_back["code"]
        self.assertEqual(self.redeem(client_id, less).json["scope"], "vault:default:read")

    def test_state_and_query_of_the_redirect_survive(self) -> None:
        """The redirect URI's own query stays in front."""
        uri = f"{CALLBACK}?tenant=a%20b"
        client_id = self.approved(uri)
        reply = self.say(self.authorize(client_id, redirect_uri=uri))
        self.assertTrue(reply.location.startswith(f"{uri}&code="))

    def test_legacy_words_do_not_break_the_flow(self) -> None:
        """The vault's own metadata offers `full` and `read`, which are no scopes here."""
        client_id = self.approved()
        answer = self.connect(client_id, scope="vault:read full read offline_access")
        self.assertEqual(answer["scope"], "vault:default:read")

    def test_no_scope_at_all_asks_for_everyday_access(self) -> None:
        """Reading and writing, never admin."""
        answer = self.connect(self.approved(), scope=None)
        self.assertEqual(answer["scope"], "vault:default:read vault:default:write")

    def test_step_up_to_admin_takes_the_password(self) -> None:
        """The combined scopes are asked again; admin needs more than a click."""
        client_id = self.approved()
        self.connect(client_id)
        page = self.authorize(client_id, scope="vault:read vault:write vault:admin")
        self.assertEqual(page.status, 200)
        refused = self.say(page, password="wrong")
        self.assertEqual(refused.status, 401)
        self.assertIn("That is not right", refused.text)
        reply = self.say(refused, password="right")
        self.assertIn("vault:default:admin", self.redeem(client_id, reply.sent_back["code"]).json["scope"])

    def test_a_confidential_client_needs_its_secret(self) -> None:
        """In the body or by Basic, never both, never none."""
        registered = self.register(token_endpoint_auth_method="client_secret_basic")
        client_id, secret = registered["client_id"], registered["client_secret"]
        self.world.do(self.world.clients.approve, client_id, "owner")
        code = self.code(client_id)
        for changes in ({}, {"client_secret": "wrong"}):
            reply = self.redeem(client_id, code, **changes)
            self.assertEqual((reply.status, reply.json["error"]), (401, "invalid_client"))
            self.assertEqual(reply.header("WWW-Authenticate"), 'Basic realm="hub"')
        self.assertEqual(self.redeem(client_id, code, client_secret=secret).status, 200)

    def test_narrowing_at_the_token_endpoint(self) -> None:
        """RFC 8707 2.2: one vault of a grant over several; another resource is `invalid_target`."""
        client_id = self.approved()
        code = self.code(client_id, resource=None, scope="vault:default:read vault:work:read")
        foreign = self.redeem(client_id, code, resource="https://elsewhere.test/mcp")
        self.assertEqual(foreign.json["error"], "invalid_target")
        answer = self.redeem(client_id, code, resource=f"{ISSUER}/vault/work/mcp").json
        self.assertEqual((answer["scope"], answer["vault"]), ("vault:work:read", "work"))
        both = self.refresh(client_id, answer["refresh_token"]).json
        self.assertEqual(both["scope"], "vault:default:read vault:work:read")
        less = self.refresh(client_id, both["refresh_token"], scope="vault:default:read").json
        self.assertEqual(less["scope"], "vault:default:read")
        more = self.refresh(client_id, less["refresh_token"], scope="vault:default:admin")
        self.assertEqual(more.json["error"], "invalid_scope")

    def test_the_grant_is_bound_to_its_resource(self) -> None:
        """A code for one vault gives nothing for another."""
        client_id = self.approved()
        reply = self.redeem(client_id, self.code(client_id), resource=f"{ISSUER}/vault/work/mcp")
        self.assertEqual((reply.status, reply.json["error"]), (400, "invalid_target"))

    def test_a_resource_under_any_of_our_origins(self) -> None:
        """The token carries the canonical URI."""
        answer = self.connect(self.approved(), resource=f"{LOCAL}/vault/default/mcp")
        self.assertEqual(self.world.issuer.verify(answer["access_token"]).audience, ("vault.default", DEFAULT))

    def test_loopback_ports_are_free(self) -> None:
        """Registered with one port, used with another; always asked."""
        client_id = self.approved("http://127.0.0.1:3000/callback")
        elsewhere = "http://127.0.0.1:49999/callback"
        for _ in range(2):
            page = self.authorize(client_id, redirect_uri=elsewhere)
            self.assertEqual(page.status, 200)
            code = self.say(page).sent_back["code"]
            self.assertEqual(self.redeem(client_id, code, redirect_uri=elsewhere).status, 200)


class DocumentTests(FlowCase):
    def publish(self, **changes: object) -> None:
        body = {"client_id": DOCUMENT, "client_name": "Claude", "redirect_uris": [CALLBACK], **changes}
        self.world.documents.at[DOCUMENT] = FetchedDocument(body, 3600.0)

    def test_an_app_by_its_address(self) -> None:
        """No registration: the document is read, its domain shown as proven, and later consents are skipped."""
        self.publish()
        page = self.authorize(DOCUMENT)
        self.assertIn("<strong>claude.test</strong>", page.text)
        self.assertEqual(self.redeem(DOCUMENT, self.say(page).sent_back["code"]).status, 200)
        again = self.authorize(DOCUMENT)
        self.assertEqual((again.status, "code" in again.sent_back), (303, True))
        self.assertEqual(self.world.documents.asked, [DOCUMENT])

    def test_strangers_make_the_hub_fetch_nothing(self) -> None:
        """They sign in first."""
        self.publish()
        self.assertEqual(self.authorize(DOCUMENT, None).status, 303)
        self.assertEqual(self.world.documents.asked, [])

    def test_a_stale_copy_is_fetched_again(self) -> None:
        """A redirect URI that is gone from the document is gone here."""
        self.publish()
        self.authorize(DOCUMENT)
        self.publish(redirect_uris=["https://claude.test/new"])
        self.assertEqual(self.authorize(DOCUMENT).status, 200)
        self.world.clock.advance(3600)
        self.assertEqual(self.authorize(DOCUMENT).status, 400)

    def test_documents_that_are_not_believed(self) -> None:
        """Another client's id, a secret, a symmetric method, no redirect URIs; a failure is cached for a minute."""
        wrong: list[dict[str, object]] = [
            {"client_id": "https://other.test/client.json"},
            {"client_secret": "s"},
            {"token_endpoint_auth_method": "client_secret_post"},
            {"redirect_uris": []},
            {"redirect_uris": ["http://app.test/cb"]},
        ]
        for changes in wrong:
            self.publish(**changes)
            self.assertEqual(self.authorize(DOCUMENT).status, 400, changes)
            asked = len(self.world.documents.asked)
            self.assertEqual(self.authorize(DOCUMENT).status, 400)
            self.assertEqual(len(self.world.documents.asked), asked)
            self.world.clock.advance(61)

    def test_addresses_that_are_no_client_ids(self) -> None:
        """draft-ietf-oauth-client-id-metadata-document 3, and no port, number or single word as a host."""
        wrong = [
            "http://app.test/c.json",
            "https://app.test",
            "https://app.test/",
            "https://app.test:8443/c.json",
            "https://u@app.test/c.json",
            "https://app.test/c.json#f",
            "https://app.test/../c.json",
            "https://app.test/%2e%2E/c.json",
            "https://app.test/./c.json",
            "https://localhost/c.json",
            "https://127.0.0.1/c.json",
            "https://2130706433/c.json",
            "https://0x7f.1/c.json",
            "https://0x7f.0x1/c.json",
            "https://[::1]/c.json",
            "https://app..test/c.json",
            "https://APP.test/c.json",
            "https://app.test/c\\d",
            "https://app.test/" + "a" * 600,
            "https://app.test/c.json\n",
        ]
        self.assertEqual([url for url in wrong if is_document_url(url)], [])
        self.assertTrue(is_document_url("https://app.test/a/client-metadata.json?v=1"))


class RevokeTests(FlowCase):
    def test_revoking_either_token_ends_the_connection(self) -> None:
        """RFC 7009 2.1, and access ends at once."""
        client_id = self.approved()
        for kind in ("refresh_token", "access_token"):
            tokens = self.connect(client_id)
            reply = self.send("POST", "/oauth/revoke", form={"token": tokens[kind], "client_id": client_id})
            self.assertEqual((reply.status, reply.body), (200, b""))
            self.assertTrue(self.is_refused(tokens["access_token"]))
            self.assertEqual(self.refresh(client_id, tokens["refresh_token"]).json["error"], "invalid_grant")

    def test_only_the_clients_own_tokens(self) -> None:
        """Another client's try changes nothing and learns nothing."""
        mine, other = self.approved(), self.approved("https://other.test/cb")
        tokens = self.connect(mine)
        for token in (tokens["refresh_token"], tokens["access_token"], "unknown", "eyJ.eyJ.x"):
            self.assertEqual(self.send("POST", "/oauth/revoke", form={"token": token, "client_id": other}).status, 200)
        self.assertFalse(self.is_refused(tokens["access_token"]))
        self.assertEqual(self.refresh(mine, tokens["refresh_token"]).status, 200)

    def test_missing_parameters_are_refused(self) -> None:
        """400 without a token, 401 for an unknown client."""
        client_id = self.approved()
        self.assertEqual(self.send("POST", "/oauth/revoke", form={"client_id": client_id}).status, 400)
        self.assertEqual(self.send("POST", "/oauth/revoke", form={"token": "x", "client_id": "no"}).status, 401)

    def test_the_verifier_is_not_in_the_way(self) -> None:
        """The helper's verifier is valid PKCE: otherwise the tests above would prove nothing."""
        self.assertEqual(len(VERIFIER), 43)
