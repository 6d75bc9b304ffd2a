import re
from urllib.parse import quote

from parachute_hub.oauth.authorization.approval_page import safe_return
from parachute_hub.oauth.authorization.scopes import Authority
from parachute_hub.oauth.clients.metadata_fetch import FetchedDocument
from parachute_hub.oauth.tokens.issuer import TokenRequest
from tests.oauth.flows import CALLBACK, FlowCase
from tests.support.at_once import at_once
from tests.support.oauth import NOW, fake_csrf

DOCUMENT = "https://claude.test/client.json"


class AppsTests(FlowCase):
    def setUp(self) -> None:
        super().setUp()
        body = {"client_id": DOCUMENT, "client_name": "Claude", "redirect_uris": [CALLBACK]}
        self.world.documents.at[DOCUMENT] = FetchedDocument(body, 3600.0)

    def test_what_a_person_sees(self) -> None:
        """Proven domain, redirect host, vaults, scopes, first and last use; nobody else's apps."""
        tokens = self.connect(DOCUMENT)
        self.world.clock.advance(60)
        self.refresh(DOCUMENT, tokens["refresh_token"])
        (app,) = self.send("GET", "/api/apps", who="owner").json["apps"]
        expected = {
            "client_id": DOCUMENT,
            "name": "Claude",
            "domain": "claude.test",
            "same_hub": False,
            "redirect_host": "app.test/callback",
            "vaults": ["default"],
            "scopes": ["vault:default:read", "vault:default:write"],
            "first_used": NOW,
            "last_used": NOW + 60,
            "address": "192.0.2.1",
            "active": True,
            "branches": [{"first_used": NOW + 60, "last_used": NOW + 60, "address": "192.0.2.1"}],
            "ended": None,
        }
        self.assertEqual(app, expected)
        self.world.add_user("other")
        self.assertEqual(self.send("GET", "/api/apps", who="other").json["apps"], [])
        self.assertEqual(self.send("GET", "/api/apps").status, 401)

    def test_disconnect_by_an_address_that_is_a_url(self) -> None:
        """As the web app requests it."""
        tokens = self.connect(DOCUMENT)
        path = f"/api/grants/{quote(DOCUMENT, safe='')}"
        self.assertEqual(self.send("DELETE", path, who="owner").status, 403)
        reply = self.send("DELETE", path, who="owner", X_Parachute_CSRF=fake_csrf("owner"))
        self.assertEqual((reply.status, reply.body), (204, b""))
        self.assertTrue(self.is_refused(tokens["access_token"]))
        again = self.send("DELETE", path, who="owner", X_Parachute_CSRF=fake_csrf("owner"))
        self.assertEqual(again.status, 404)

    def test_a_bearer_reads_and_ends_only_what_its_scope_says(self) -> None:
        """A token that reads the account must not disconnect an app."""
        self.connect(DOCUMENT)
        for scope, reads, ends in (
            ("account:self:read", 200, 403),
            ("parachute:host:auth", 403, 403),
            ("account:self:write", 200, 404),
            ("account:self:admin", 200, 404),
            ("parachute:host:admin", 200, 404),
        ):
            token = self.world.do(
                self.world.issuer.mint,
                TokenRequest(
                    subject="owner",
                    user_id="id-owner",
                    client_id="test",
                    scopes=[scope],
                    authority=Authority(exact=frozenset({scope})),
                    lifetime=60.0,
                    created_via="session_mint",
                    audience="account",
                ),
            ).token
            bearer = {"Authorization": f"Bearer {token}"}
            for path in ("/api/apps", "/api/grants"):
                self.assertEqual(self.send("GET", path, **bearer).status, reads, (scope, path))
            for method, path in (("POST", "/api/apps/disconnect"), ("DELETE", "/api/grants/nobody")):
                reply = self.send(method, path, data={"client_id": "nobody"}, **bearer)
                self.assertEqual(reply.status, ends, (scope, path))

    def test_grants_in_the_older_words(self) -> None:
        """`vault` selects."""
        self.connect(DOCUMENT)
        grants = self.send("GET", "/api/grants?vault=default", who="owner").json["grants"]
        self.assertEqual([grant["client_id"] for grant in grants], [DOCUMENT])
        self.assertEqual(self.send("GET", "/api/grants?vault=work", who="owner").json["grants"], [])

    def test_the_page_lists_and_disconnects_apps(self) -> None:
        """The same without JavaScript, for every user."""
        self.connect(DOCUMENT)
        page = self.send("GET", "/account/apps", who="owner")
        self.assertIn("Comes from claude.test", page.text)
        self.assertIn("Read your notes in “default”", page.text)
        forged = self.send("POST", "/account/apps", form={"client_id": DOCUMENT}, who="owner")
        self.assertEqual(forged.status, 403)
        reply = self.send("POST", "/account/apps", form=page.fields(), who="owner")
        self.assertEqual((reply.status, reply.location), (303, "/account/apps"))
        self.assertIn("No app is connected", self.send("GET", "/account/apps", who="owner").text)
        self.assertEqual(self.send("GET", "/account/apps").location, "/login?next=/account/apps")


class ClientsTests(FlowCase):
    def test_an_owner_sees_and_approves(self) -> None:
        """The API of the older hub, with the password; no secret in it."""
        registered = self.register(token_endpoint_auth_method="client_secret_post")
        client_id = registered["client_id"]
        self.assertEqual(len(self.send("GET", "/api/oauth/clients", who="owner").json["clients"]), 1)
        shown = self.send("GET", f"/api/oauth/clients/{client_id}", who="owner")
        self.assertEqual(shown.json["status"], "pending")
        self.assertNotIn("secret", shown.text.replace("client_secret_post", ""))
        path = f"/api/oauth/clients/{client_id}/approve"
        data = {"return_to": "/oauth/authorize?client_id=x"}
        self.assertEqual(self.send("POST", path, data=data, who="owner").json["error"], "step_up_required")
        reply = self.send("POST", path, data=data, who="owner", X_Parachute_Proof=f"client.approve:{client_id}")
        self.assertEqual(
            reply.json,
            {
                "client_id": client_id,
                "status": "approved",
                "already_approved": False,
                "redirect_to": "/oauth/authorize?client_id=x",
            },
        )
        again = self.send("POST", path, data={}, who="owner", X_Parachute_Proof=f"client.approve:{client_id}")
        self.assertTrue(again.json["already_approved"])
        self.assertEqual(self.send("GET", "/api/oauth/clients/none", who="owner").status, 404)

    def test_members_cannot_see_clients(self) -> None:
        """403 on all of it."""
        self.world.add_user("member")
        client_id = self.register()["client_id"]
        for method, path in (
            ("GET", "/api/oauth/clients"),
            ("GET", f"/api/oauth/clients/{client_id}"),
            ("POST", f"/api/oauth/clients/{client_id}/approve"),
        ):
            self.assertEqual(self.send(method, path, data={}, who="member").status, 403)

    def test_a_modules_registration(self) -> None:
        """With the operator token an app is approved; a bad bearer is an error, not a lesser registration."""
        at_once(self.world.oauth.operator.ensure())
        operator = (self.folder / "operator.token").read_text().strip()
        registered = self.register("https://app.test/x", bearer=operator)
        self.assertEqual((registered["status"], registered["same_hub"]), ("approved", True))
        data = {"redirect_uris": [CALLBACK]}
        for bearer, status in (("nonsense", 401), (self.mint("parachute:host:admin").token, 403)):
            reply = self.send("POST", "/oauth/register", data=data, Authorization=f"Bearer {bearer}")
            self.assertEqual(reply.status, status)
        path = f"/oauth/clients/{registered['client_id']}"
        self.assertEqual(self.send("DELETE", path).status, 401)
        self.assertEqual(self.send("DELETE", path, Authorization=f"Bearer {operator}").status, 204)
        self.assertEqual(self.send("DELETE", path, Authorization=f"Bearer {operator}").status, 404)

    def test_removing_an_app_ends_its_access(self) -> None:
        """For everyone, at once."""
        client_id = self.approved()
        tokens = self.connect(client_id)
        self.assertTrue(at_once(self.world.oauth.connections.remove_client(client_id)))
        self.assertTrue(self.is_refused(tokens["access_token"]))
        self.assertEqual(self.refresh(client_id, tokens["refresh_token"]).json["error"], "invalid_client")

    def test_cors_of_registration(self) -> None:
        """The one echo: credentials allowed, and cookies not looked at."""
        reply = self.send("OPTIONS", "/oauth/register", Origin="https://app.test")
        self.assertEqual(
            [reply.header(f"Access-Control-Allow-{name}") for name in ("Origin", "Credentials", "Methods")],
            ["https://app.test", "true", "POST, OPTIONS"],
        )
        self.assertIn("Origin", reply.header("Vary") or "")
        posted = self.send(
            "POST", "/oauth/register", data={"redirect_uris": [CALLBACK]}, who="owner", Origin="https://app.test"
        )
        self.assertEqual((posted.status, posted.json["status"]), (201, "pending"))

    def test_cors_elsewhere(self) -> None:
        """Any page without credentials at token and revoke; nothing on pages and the hub's own APIs."""
        for path in ("/oauth/token", "/oauth/revoke"):
            reply = self.send("OPTIONS", path, Origin="https://app.test")
            self.assertEqual((reply.status, reply.header("Access-Control-Allow-Origin")), (204, "*"))
            self.assertIsNone(reply.header("Access-Control-Allow-Credentials"))
        for path in ("/oauth/authorize", "/oauth/authorize/approve", "/api/apps", "/api/auth/tokens", "/account/apps"):
            for method in ("OPTIONS", "GET"):
                reply = self.send(method, path, who="owner", Origin="https://app.test")
                self.assertIsNone(reply.header("Access-Control-Allow-Origin"), path)


class ApproveTests(FlowCase):
    def test_by_the_address_that_was_sent(self) -> None:
        """Review, enter the password, and the app's request continues."""
        client_id = self.register()["client_id"]
        path = f"/admin/approve-client/{client_id}"
        self.assertEqual(self.send("GET", path).location, f"/login?next={path}")
        page = self.send("GET", path, who="owner")
        self.assertIn("app.test/callback", re.sub("<[^>]+>", "", page.text))
        back = "/oauth/authorize?client_id=x"
        fields = [*page.fields(), ("decision", "approve"), ("return_to", back)]
        wrong = [*((n, v) for n, v in fields if n != "password"), ("password", "wrong")]
        self.assertEqual(self.send("POST", "/oauth/authorize/approve", form=wrong, who="owner").status, 401)
        right = [*((n, v) for n, v in fields if n != "password"), ("password", "right")]
        reply = self.send("POST", "/oauth/authorize/approve", form=right, who="owner")
        self.assertEqual((reply.status, reply.location), (303, back))
        self.assertIn("may connect now", self.send("GET", path, who="owner").text)

    def test_refusing_forgets_the_app(self) -> None:
        """Refusing needs no password; an approved app is not forgotten by it."""
        pending, kept = self.register()["client_id"], self.approved("https://kept.test/cb")
        for client_id in (pending, kept):
            form = {"client_id": client_id, "decision": "deny", "__csrf": fake_csrf("owner")}
            self.assertEqual(self.send("POST", "/oauth/authorize/approve", form=form, who="owner").status, 200)
        self.assertEqual([client.client_id for client in self.world.clients.all()], [kept])

    def test_foreign_pages_and_strangers(self) -> None:
        """403 without our token, the sign-in without a session, 404 for what is not there."""
        form = {"client_id": self.register()["client_id"], "decision": "approve", "password": "right"}
        path = "/oauth/authorize/approve"
        self.assertEqual(self.send("POST", path, form=form, who="owner").status, 403)
        self.assertEqual(self.send("POST", path, form=form).status, 303)
        gone = {**form, "client_id": "gone", "__csrf": fake_csrf("owner")}
        self.assertEqual(self.send("POST", path, form=gone, who="owner").status, 404)

    def test_where_one_is_sent_afterwards(self) -> None:
        """Only to an authorization request of this hub."""
        wrong = [
            "",
            "/",
            "/oauth/authorize",
            "//evil.test/oauth/authorize?",
            "https://evil.test/oauth/authorize?x",
            "/oauth/authorize/../../x?",
            "/oauth/authorize%2f..%2fx?",
            "/\\evil.test/oauth/authorize?x",
            "/oauth/authorize?x\r\nSet-Cookie: a=b",
            "/oauth/authorize?x y",
            "/oauth/authorize?\\x",
            "/oauth/authorize?é",
        ]
        self.assertEqual([text for text in wrong if safe_return(text)], [])
