from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.oauth.authorization.policy import (
    AskConsent,
    AuthorizationRequest,
    ErrorPage,
    ErrorRedirect,
    Facts,
    IssueCode,
    NeedsOwner,
    NeedsSignIn,
    SubmittedConsent,
    Verdict,
    answer,
    decide,
)
from parachute_hub.oauth.authorization.scopes import ScopeCatalog
from parachute_hub.oauth.tokens.grant_policy import challenge_of
from parachute_hub.store.rows import Client, User

HUB = "https://hub.test"
CLIENT = Client(
    client_id="app",
    source="registered",
    status="approved",
    same_hub=False,
    name="App",
    redirect_uris=("https://app.test/cb", "http://127.0.0.1/cb"),
    scope="",
    auth_method="none",
    secret_hash=None,
    software={},
    vouched_by="owner",
    created_at=0.0,
)
OWNER = User(
    id="o",
    username="o",
    password_hash="",
    role="admin",
    must_change_password=False,
    email=None,
    created_at=0,
    password_changed_at=0,
)
MEMBER = evolve(OWNER, id="m", role="member", vaults={"home": "write", "work": "read"})
LONER = evolve(MEMBER, vaults={})
CATALOG = ScopeCatalog(
    ("home", "work"),
    {
        "vault": ("vault:read", "vault:write", "vault:admin"),
        "scribe": ("scribe:transcribe", "scribe:admin"),
        "hello": ("hello:wave",),
    },
)
FACTS = Facts(
    client=CLIENT, user=OWNER, granted=(), catalog=CATALOG, origins=(HUB, "http://localhost:1939"), own_origins=(HUB,)
)
GOOD = {
    "client_id": "app",
    "redirect_uri": "https://app.test/cb",
    "response_type": "code",
    "scope": "vault:home:read",
    "code_challenge": challenge_of("v" * 43),
    "code_challenge_method": "S256",
}


def ask(repeated: frozenset[str] = frozenset(), **changes: str | None) -> AuthorizationRequest:
    values = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return AuthorizationRequest(values=values, repeated=repeated)


def outcome(verdict: Verdict) -> str:
    match verdict:
        case ErrorPage(status):
            return f"stop {status}"
        case ErrorRedirect(error):
            return error
        case NeedsSignIn():
            return "sign in"
        case NeedsOwner():
            return "needs owner"
        case AskConsent():
            shown = " ".join(row.scope for row in verdict.rows)
            return f"ask {shown}" + (f" of {','.join(verdict.vaults)}" if verdict.vaults else "")
        case IssueCode():
            return "give " + " ".join(verdict.scopes)


def offered(verdict: Verdict) -> AskConsent:
    assert isinstance(verdict, AskConsent), verdict
    return verdict


class DecideTests(SynchronousTestCase):
    def table(self, cases: list[tuple[AuthorizationRequest, Facts, str]]) -> None:
        self.assertEqual([outcome(decide(one, facts)) for one, facts, _ in cases], [expected for *_, expected in cases])

    def test_nothing_is_sent_to_an_address_that_is_not_the_clients(self) -> None:
        """Unknown client, wrong, missing or repeated redirect URI: a page, whatever else is wrong."""
        nobody = evolve(FACTS, client=None)
        self.table(
            [
                (ask(), nobody, "stop 400"),
                (ask(response_type="token"), nobody, "stop 400"),
                (ask(redirect_uri="https://evil.test/cb"), FACTS, "stop 400"),
                (ask(redirect_uri="https://app.test/cb/", response_type=None), FACTS, "stop 400"),
                (ask(redirect_uri=None), FACTS, "stop 400"),
                (ask(frozenset({"redirect_uri"})), FACTS, "stop 400"),
                (ask(frozenset({"client_id"})), FACTS, "stop 400"),
                (ask(redirect_uri="http://127.0.0.1:5000/cb"), FACTS, "ask vault:home:read"),
            ]
        )

    def test_only_the_hubs_own_pages_are_linked_when_the_client_is_unknown(self) -> None:
        """One of our own apps gets a way back; a foreign address never becomes a link."""
        nobody = evolve(FACTS, client=None)
        own = decide(ask(redirect_uri=f"{HUB}/notes/oauth/callback?x=1#y"), nobody)
        other = decide(ask(redirect_uri="https://hub.test.evil.test/x"), nobody)
        assert isinstance(own, ErrorPage) and isinstance(other, ErrorPage), (own, other)
        self.assertEqual([own.back, other.back], [f"{HUB}/notes/oauth/callback", None])

    def test_errors_that_are_sent_to_the_app(self) -> None:
        """RFC 6749 4.1.2.1, RFC 7636 4.4.1, RFC 8707 2; PKCE cannot be omitted or weakened."""
        self.table(
            [
                (ask(response_type="token"), FACTS, "unsupported_response_type"),
                (ask(response_type=None), FACTS, "unsupported_response_type"),
                (ask(code_challenge=None), FACTS, "invalid_request"),
                (ask(code_challenge="short"), FACTS, "invalid_request"),
                (ask(code_challenge_method=None), FACTS, "invalid_request"),
                (ask(code_challenge_method="plain"), FACTS, "invalid_request"),
                (ask(frozenset({"scope"})), FACTS, "invalid_request"),
                (ask(frozenset({"state"})), FACTS, "invalid_request"),
                (ask(frozenset({"resource"})), FACTS, "invalid_request"),
                (ask(state="x" * 2049), FACTS, "invalid_request"),
                (ask(resource="https://elsewhere.test/mcp"), FACTS, "invalid_target"),
                (ask(resource=f"{HUB}/vault/gone/mcp"), FACTS, "invalid_target"),
                (ask(resource=f"{HUB}/vault/home/mcp#x"), FACTS, "invalid_target"),
                (ask(resource=f"{HUB}/vault/home/mcp {HUB}/vault/work"), FACTS, "invalid_target"),
                (ask(resource="https://hub.test@elsewhere.test/mcp"), FACTS, "invalid_target"),
                (ask(resource="https://elsewhere.test@hub.test/mcp"), FACTS, "invalid_target"),
                (ask(resource="https://hub.test:99999/mcp"), FACTS, "invalid_target"),
                (ask(resource="http://[bad"), FACTS, "invalid_target"),
                (ask(scope="parachute:host:admin"), FACTS, "invalid_scope"),
                (ask(scope="vault:home:read Parachute:Host:Auth"), FACTS, "ask vault:home:read"),
                (ask(scope="vault:home:read hub:admin"), FACTS, "invalid_scope"),
                (ask(scope="vault:gone:read"), FACTS, "invalid_scope"),
                (ask(scope="scribe:transcribe", resource=f"{HUB}/vault/home/mcp"), FACTS, "invalid_scope"),
            ]
        )

    def test_the_verdict_depends_on_who_is_signed_in(self) -> None:
        """Strangers sign in; a pending app needs an owner; `prompt=none` asks nobody."""
        pending = evolve(FACTS, client=evolve(CLIENT, status="pending"))
        stranger = evolve(FACTS, user=None)
        self.table(
            [
                (ask(), stranger, "sign in"),
                (ask(), evolve(pending, user=None), "sign in"),
                (ask(), evolve(pending, user=MEMBER), "needs owner"),
                (ask(), pending, "ask vault:home:read"),
                (ask(prompt="none"), stranger, "login_required"),
                (ask(prompt="none"), evolve(pending, user=MEMBER), "needs owner"),
                (ask(prompt="none"), FACTS, "consent_required"),
            ]
        )
        self.assertTrue(offered(decide(ask(), pending)).approves)

    def test_no_link_leads_to_an_unapproved_app(self) -> None:
        """Anyone can register; the hub would lend its name to their pages (RFC 9700 4.11.2)."""
        pending = evolve(FACTS, client=evolve(CLIENT, status="pending", vouched_by=None))
        wrong: tuple[AuthorizationRequest, ...] = (
            ask(response_type="token"),
            ask(code_challenge=None),
            ask(resource="https://elsewhere.test"),
            ask(scope="hub:admin"),
            ask(scope="vault:gone:read"),
            ask(prompt="none"),
            ask(frozenset({"scope"})),
        )
        for user in (None, OWNER):
            for one in wrong:
                self.assertIsInstance(decide(one, evolve(FACTS, user=user)), ErrorRedirect, one)
                self.assertIsInstance(decide(one, evolve(pending, user=user)), ErrorPage, one)

    def test_only_grantable_scopes_are_offered(self) -> None:
        """What the app asks for, exists here, fits the resource, and this person may give."""
        member, loner = evolve(FACTS, user=MEMBER), evolve(FACTS, user=LONER)
        reader = evolve(MEMBER, vaults={"work": "read"})
        home, root = f"{HUB}/vault/home/mcp", f"{HUB}/mcp"
        both = "vault:read vault:write"
        self.table(
            [
                (ask(scope=both, resource=home), FACTS, "ask vault:home:read vault:home:write"),
                (
                    ask(scope=both + " scribe:transcribe", resource=root),
                    FACTS,
                    "ask vault:read vault:write of home,work",
                ),
                (ask(scope=both), FACTS, "ask vault:read vault:write of home,work"),
                (ask(scope="vault:*:read"), FACTS, "ask vault:read of home,work"),
                (ask(scope=None), FACTS, "ask vault:read vault:write of home,work"),
                (ask(scope=None, resource=home), FACTS, "ask vault:home:read vault:home:write"),
                (ask(scope=None, resource=f"{HUB}/hello"), FACTS, "ask hello:wave"),
                (ask(scope="vault:read hello:wave full"), FACTS, "ask vault:read hello:wave of home,work"),
                (ask(scope=both), member, "ask vault:read vault:write of home"),
                (ask(scope="vault:read"), member, "ask vault:read of home,work"),
                (ask(scope=both, resource=f"{HUB}/vault/work/mcp"), member, "ask vault:work:read"),
                (ask(scope="vault:home:admin"), member, "ask vault:home:admin"),
                (ask(scope="account:self:admin hello:wave"), member, "ask hello:wave"),
                (ask(scope="account:self:admin"), FACTS, "ask account:self:admin"),
                (ask(scope=both), loner, "stop 403"),
                (
                    ask(scope=both),
                    evolve(FACTS, user=reader),
                    "ask vault:read of work",
                ),
                (ask(scope=both + " hello:wave"), loner, "ask hello:wave"),
            ]
        )

    def test_what_is_left_out_has_a_reason(self) -> None:
        member, loner = evolve(FACTS, user=MEMBER), evolve(FACTS, user=LONER)
        reader = evolve(FACTS, user=evolve(MEMBER, vaults={"work": "read"}))
        home = f"{HUB}/vault/home/mcp"
        both = "vault:read vault:write"
        for scope, resource, facts, expected in (
            (both, None, FACTS, {}),
            (both + " openid", None, FACTS, {}),
            (both, home, member, {}),
            (both + " hello:wave", None, loner, {"vault:read": "no vault yet", "vault:write": "no vault yet"}),
            (both, None, reader, {"vault:write": "only read"}),
            ("vault:gone:read hello:wave", None, member, {"vault:gone:read": "no vault “gone”"}),
            ("vault:read scribe:fly", None, member, {"scribe:fly": "no module"}),
            ("account:self:admin hello:wave", None, member, {"account:self:admin": "only an owner"}),
            ("hello:wave vault:home:read", None, reader, {"vault:home:read": "not shared with you"}),
            ("vault:read hello:wave", home, member, {"hello:wave": "does not belong"}),
        ):
            left = offered(decide(ask(scope=scope, resource=resource), facts)).left_out
            self.assertEqual([one.scope for one in left], list(expected), scope)
            for one in left:
                self.assertIn(expected[one.scope], one.why, scope)
        stop = decide(ask(scope=both), loner)
        assert isinstance(stop, ErrorPage)
        self.assertIn("you have no vault yet; ask the owner", stop.text)

    def test_the_hint_is_preselected_only_when_it_can_be_chosen(self) -> None:
        """`vault=` of Notes; an unknown name changes nothing."""
        chosen = [offered(decide(ask(scope="vault:read", vault=v), FACTS)).chosen for v in ("work", "gone", None)]
        self.assertEqual(chosen, ["work", "home", "home"])

    def test_dangerous_scopes_start_unticked(self) -> None:
        """Everything in the account must be ticked by hand."""
        rows = offered(decide(ask(scope="vault:home:admin account:self:admin"), FACTS)).rows
        self.assertEqual([(row.risk, row.ticked) for row in rows], [("elevated", True), ("high", False)])

    def test_consent_is_skipped_only_when_it_is_safe(self) -> None:
        """Only what was allowed before, is harmless, and leads to an address that nobody else can have."""
        had = evolve(FACTS, granted=("vault:home:write", "vault:work:admin", "scribe:transcribe"))
        loopback = "http://127.0.0.1:4000/cb"
        self.table(
            [
                (ask(), had, "give vault:home:read"),
                (ask(prompt="none"), had, "give vault:home:read"),
                (ask(scope="vault:home:write scribe:transcribe"), had, "give vault:home:write scribe:transcribe"),
                (ask(prompt="consent"), had, "ask vault:home:read"),
                (ask(redirect_uri=loopback), had, "ask vault:home:read"),
                (ask(redirect_uri=loopback, prompt="none"), had, "consent_required"),
                (ask(scope="vault:home:read hello:wave"), had, "ask vault:home:read hello:wave"),
                (ask(scope="vault:work:admin"), had, "ask vault:work:admin"),
                (ask(scope="vault:read"), had, "ask vault:read of home,work"),
                (ask(), evolve(had, client=evolve(CLIENT, status="pending")), "ask vault:home:read"),
            ]
        )


class AnswerTests(SynchronousTestCase):
    def consent(self, facts: Facts = FACTS, **changes: Any) -> AskConsent:
        return offered(decide(ask(**{"scope": "vault:read vault:write vault:admin hello:wave", **changes}), facts))

    def say(
        self, *ticked: str, vault: str | None = "home", yes: bool = True, **changes: Any
    ) -> IssueCode | ErrorRedirect | ErrorPage:
        return answer(self.consent(**changes), SubmittedConsent(yes=yes, ticked=frozenset(ticked), vault=vault))

    def test_only_offered_scopes_are_granted(self) -> None:
        """Only ticked and offered scopes; the vault must be one of the choices."""
        cases = [
            (self.say("vault:read", "hello:wave"), "give vault:home:read hello:wave"),
            (self.say("hello:wave", vault=None), "give hello:wave"),
            (self.say("vault:read", vault="gone"), "stop 400"),
            (self.say("vault:read", vault=None), "stop 400"),
            (self.say("vault:read", vault="work"), "give vault:work:read"),
            (self.say(), "access_denied"),
            (self.say("vault:read", yes=False), "access_denied"),
            (self.say("hub:admin", "vault:home:read"), "access_denied"),
            (self.say("vault:home:read", vault=None, resource=f"{HUB}/vault/home"), "give vault:home:read"),
        ]
        self.assertEqual([outcome(verdict) for verdict, _ in cases], [expected for _, expected in cases])

    def test_a_single_vault_needs_no_pick(self) -> None:
        """There is nothing to choose or send."""
        facts = evolve(FACTS, user=evolve(MEMBER, vaults={"work": "read"}))
        verdict = answer(
            self.consent(facts, scope="vault:read"), SubmittedConsent(yes=True, ticked=frozenset({"vault:read"}))
        )
        self.assertEqual(outcome(verdict), "give vault:work:read")

    def test_when_the_password_is_needed(self) -> None:
        """When more than everyday access was ticked, and for a new app."""

        def needs(verdict: IssueCode | ErrorRedirect | ErrorPage) -> bool:
            assert isinstance(verdict, IssueCode)
            return verdict.needs_proof

        self.assertFalse(needs(self.say("vault:read", "vault:write", "hello:wave")))
        self.assertTrue(needs(self.say("vault:read", "vault:admin")))
        pending = evolve(FACTS, client=evolve(CLIENT, status="pending"))
        self.assertTrue(needs(self.say("hello:wave", facts=pending)))
