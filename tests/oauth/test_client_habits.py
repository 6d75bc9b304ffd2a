"""What clients send that is not quite what the hub's documents say: each gets connected unless that would be unsafe.

docs/identity.md has the same table for people.
"""

from typing import ClassVar
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.oauth.flows import CALLBACK, DEFAULT, VERIFIER, FlowCase
from tests.support.oauth import ISSUER

BOTH = "vault:default:read vault:default:write"
LOOPBACK = "http://localhost:3118/callback"


class HabitTests(FlowCase):
    SCOPES: ClassVar[tuple[tuple[str | None, str], ...]] = (
        (None, BOTH),
        ("", BOTH),
        ("claudeai", BOTH),
        ("openid profile email offline_access", BOTH),
        ("read write", BOTH),
        ("read", "vault:default:read"),
        ("user:email mcp:tools", BOTH),
        ("openid vault:read", "vault:default:read"),
        ("vault:*:read", "vault:default:read"),
        ("vault:default:read claudeai vault:gone:write", "vault:default:read"),
    )
    RESOURCES: ClassVar[tuple[str, ...]] = (
        DEFAULT,
        DEFAULT + "/",
        DEFAULT.removesuffix("/mcp"),
        DEFAULT.removesuffix("mcp"),
        DEFAULT + "?session=1",
        DEFAULT.replace(ISSUER, ISSUER.upper()),
        f"{ISSUER}/.well-known/oauth-protected-resource/vault/default/mcp",
        f"{ISSUER}/vault/default/.well-known/oauth-protected-resource",
    )

    def test_scopes_of_other_servers(self) -> None:
        for scope, granted in self.SCOPES:
            with self.subTest(scope):
                self.assertEqual(self.connect(self.approved(), scope=scope)["scope"], granted, scope)

    def test_the_resource_in_every_spelling(self) -> None:
        for uri in self.RESOURCES:
            with self.subTest(uri):
                client_id = self.approved()
                code = self.code(client_id, resource=uri)
                answer = self.redeem(client_id, code, resource=uri)
                self.assertEqual((answer.status, answer.json.get("scope")), (200, BOTH), (uri, answer.body))

    def test_of_two_resources_the_narrower_counts(self) -> None:
        """The narrower one counts where one lies within the other (RFC 8707, section 2); two vaults are refused."""
        for others, ends in (
            ([DEFAULT], 200),
            ([ISSUER], 200),
            ([ISSUER + "/mcp"], 200),
            ([f"{ISSUER}/vault/work"], 303),
        ):
            client_id = self.approved()
            path = self.ask_path(client_id) + "&" + urlencode({"resource": others}, doseq=True)
            page = self.send("GET", path, who="owner")
            self.assertEqual(page.status, ends, (others, page.text))
            if ends == 303:
                self.assertEqual(page.sent_back["error"], "invalid_target")
                continue
            code = self.say(page, password="right").sent_back["code"]
            form = [("grant_type", "authorization_code"), ("client_id", client_id), ("code", code)]
            form += [("redirect_uri", CALLBACK), ("code_verifier", VERIFIER), ("resource", DEFAULT)]
            answer = self.send("POST", "/oauth/token", form=[*form, *(("resource", uri) for uri in others)])
            self.assertEqual((answer.status, answer.json.get("scope")), (200, BOTH), others)

    def test_localhost_for_127_0_0_1(self) -> None:
        """One name registered, another used, a third at the token endpoint, any port."""
        client_id = self.approved(LOOPBACK)
        used = "http://127.0.0.1:50123/callback"
        code = self.code(client_id, redirect_uri=used)
        answer = self.redeem(client_id, code, redirect_uri="http://localhost:50123/callback")
        self.assertEqual(answer.status, 200, answer.body)

    def test_one_redirect_registered_and_none_sent(self) -> None:
        """RFC 6749, 3.1.2.3. With two it cannot be told which."""
        client_id = self.approved()
        page = self.authorize(client_id, redirect_uri=None)
        self.assertEqual(page.status, 200, page.text)
        sent = self.say(page, password="right")
        self.assertTrue((sent.header("Location") or "").startswith(CALLBACK + "?code="), sent.header("Location"))
        form = {"grant_type": "authorization_code", "client_id": client_id, "code": sent.sent_back["code"]}
        answer = self.send("POST", "/oauth/token", form={**form, "code_verifier": VERIFIER})
        self.assertEqual(answer.status, 200, answer.body)
        two = self.approved(CALLBACK, LOOPBACK)
        self.assertEqual(self.authorize(two, redirect_uri=None).status, 400)

    def test_prompt_login_and_choosing_the_account(self) -> None:
        """Who is signed in signs in anew, once; then the request goes on as it was."""
        client_id = self.approved()
        for prompt, left in (("login", None), ("select_account", None), ("login consent", ["consent"])):
            with self.subTest(prompt):
                sent = self.authorize(client_id, prompt=prompt).header("Location") or ""
                self.assertTrue(sent.startswith("/login?again=1&next=/oauth/authorize%3F"), sent)
                back = parse_qs(urlsplit(sent).query)["next"][0]
                self.assertEqual(parse_qs(urlsplit(back).query).get("prompt"), left)
                self.assertEqual(self.send("GET", back, who="owner").status, 200)

    def test_app_schemes_of_real_clients(self) -> None:
        for uri in (
            "cursor://anysphere.cursor-mcp/oauth/callback",
            "vscode://vscode.github-authentication/did-authenticate",
            "windsurf://codeium.windsurf/oauth/callback",
            "com.example.app:/callback",
        ):
            with self.subTest(uri):
                client_id = self.approved(uri)
                code = self.code(client_id, redirect_uri=uri)
                self.assertEqual(self.redeem(client_id, code, redirect_uri=uri).status, 200)

    def test_dangerous_requests_stay_refused(self) -> None:
        """Each of these would send a code to somebody else, or weaken the proof of who asked for it."""
        client_id = self.approved()
        for changes, error in (
            ({"code_challenge_method": "plain"}, "invalid_request"),
            ({"code_challenge": None}, "invalid_request"),
            ({"response_type": "token"}, "unsupported_response_type"),
            ({"scope": "parachute:host:admin"}, "invalid_scope"),
            ({"scope": "vault:gone:read"}, "invalid_scope"),
            ({"resource": "https://elsewhere.test/mcp"}, "invalid_target"),
        ):
            self.assertEqual(self.authorize(client_id, **changes).sent_back["error"], error, changes)
        for uri in (CALLBACK + "/", CALLBACK + "?x=1", "https://evil.test/callback", LOOPBACK):
            self.assertEqual(self.authorize(client_id, redirect_uri=uri).status, 400, uri)
