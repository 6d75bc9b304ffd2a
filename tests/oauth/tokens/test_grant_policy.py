from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.oauth.authorization.resource import Target
from parachute_hub.oauth.tokens.grant_policy import (
    Deny,
    IssueTokens,
    Lineage,
    challenge_of,
    decide_code,
    decide_refresh,
)
from parachute_hub.store.rows import Code, Family, Refresh

NOW = 1000.0
VERIFIER = "a" * 43
FAMILY = Family(
    id="family",
    user_id="u",
    client_id="app",
    scopes=("vault:home:read", "vault:work:write", "scribe:transcribe"),
    resource=None,
    auth_time=1.0,
    created_at=990.0,
)
CODE = Code(
    hash="code", family_id="family", redirect_uri="https://a/cb", challenge=challenge_of(VERIFIER), expires_at=NOW + 1
)
TOKEN = Refresh(
    hash="old", family_id="family", branch="branch", generation=1, parent=None, created_at=900.0, expires_at=NOW + 100
)
USED_AT = NOW - 30
USED = evolve(TOKEN, used_at=USED_AT)


def outcome(verdict: IssueTokens | Deny) -> str:
    if isinstance(verdict, IssueTokens):
        return "uses " + verdict.replaces
    return verdict.error + (", ends it" if verdict.ends_family else "")


class CodeTests(SynchronousTestCase):
    def decide(self, code: Code | None = CODE, family: Family | None = FAMILY, **changes: Any) -> IssueTokens | Deny:
        facts = {
            "client_id": "app",
            "redirect_uri": "https://a/cb",
            "verifier": VERIFIER,
            "target": None,
            "now": NOW,
            **changes,
        }
        return decide_code(code, family, **facts)

    def test_table(self) -> None:
        """Each wrong fact alone; a replay by another client ends nothing."""
        used = evolve(CODE, used_at=NOW - 1)
        cases = [
            (self.decide(), "uses code"),
            (self.decide(None, None), "invalid_grant"),
            (self.decide(client_id="other"), "invalid_grant"),
            (self.decide(redirect_uri="https://a/cb/"), "invalid_grant"),
            (self.decide(redirect_uri=""), "uses code"),
            (self.decide(verifier="b" * 43), "invalid_grant"),
            (self.decide(verifier=""), "invalid_grant"),
            (self.decide(verifier=CODE.challenge), "invalid_grant"),
            (self.decide(evolve(CODE, challenge=challenge_of("short")), verifier="short"), "invalid_grant"),
            (self.decide(now=NOW + 1), "invalid_grant"),
            (self.decide(family=evolve(FAMILY, ended_at=NOW)), "invalid_grant"),
            (self.decide(used), "invalid_grant, ends it"),
            (self.decide(used, client_id="other"), "invalid_grant"),
            (self.decide(evolve(used, expires_at=0)), "invalid_grant, ends it"),
        ]
        self.assertEqual([outcome(verdict) for verdict, _ in cases], [expected for _, expected in cases])

    def test_a_grant_covers_its_resource_only(self) -> None:
        """A grant without a resource holds all of it; one with a resource only that; narrowing never adds."""
        home, work, scribe = Target("vault", "home"), Target("vault", "work"), Target("module", "scribe")
        cases: list[tuple[str | None, Target | None, tuple[str, ...] | None]] = [
            (None, None, FAMILY.scopes),
            (None, home, ("vault:home:read",)),
            (None, Target("mcp"), ("vault:home:read", "vault:work:write")),
            (None, scribe, ("scribe:transcribe",)),
            (None, Target("vault", "third"), None),
            ("hub", work, ("vault:work:write",)),
            ("mcp", home, ("vault:home:read",)),
            ("mcp", scribe, None),
            ("vault:home", home, ("vault:home:read",)),
            ("vault:home", work, None),
            ("vault:home", Target("mcp"), None),
            ("vault:home", Target("hub"), None),
        ]
        for resource, target, scopes in cases:
            verdict = self.decide(family=evolve(FAMILY, resource=resource), target=target)
            got = verdict.scopes if isinstance(verdict, IssueTokens) else None
            self.assertEqual(got, scopes, (resource, target))
            if isinstance(verdict, Deny):
                self.assertEqual(verdict.error, "invalid_target")


class RefreshTests(SynchronousTestCase):
    def decide(
        self,
        presented: Refresh | None = TOKEN,
        family: Family | None = FAMILY,
        lineage: Lineage = Lineage(),  # noqa: B008 - frozen
        **facts: Any,
    ) -> IssueTokens | Deny:
        given = {"client_id": "app", "scopes": (), "target": None, "now": NOW, **facts}
        return decide_refresh(presented, lineage, family, **given)

    def test_one_at_a_time(self) -> None:
        """Rotation, and what is refused without harm to anybody."""
        cases = [
            (self.decide(), "uses old"),
            (self.decide(None), "invalid_grant"),
            (self.decide(client_id="other"), "invalid_grant"),
            (self.decide(now=NOW + 100), "invalid_grant"),
            (self.decide(family=evolve(FAMILY, ended_at=1.0)), "invalid_grant"),
            (self.decide(USED, client_id="other"), "invalid_grant"),
            (self.decide(evolve(USED, expires_at=NOW)), "invalid_grant"),
        ]
        self.assertEqual([outcome(verdict) for verdict, _ in cases], [expected for _, expected in cases])

    def test_a_used_token(self) -> None:
        """By its age since it was superseded, its generation, whether a successor was used, and the branches."""
        root, inner = evolve(USED, generation=0), USED
        went_on = Lineage(children_used=True, newest=3, branches=2)
        near = evolve(went_on, newest=2)
        cases: list[tuple[str, Refresh, Lineage, float, str]] = [
            ("the shared first token, minute 29", root, went_on, 29 * 60, "uses old"),
            ("the shared first token, minute 30", root, went_on, 30 * 60, "uses old"),
            ("the shared first token, minute 31", root, went_on, 31 * 60, "invalid_grant, ends it"),
            ("a lost answer, weeks later", root, evolve(went_on, children_used=False), 20 * 86400, "uses old"),
            ("a lost answer inside a branch, later", inner, evolve(near, children_used=False), 86400, "uses old"),
            ("the predecessor inside a branch", inner, near, 60, "uses old"),
            ("the predecessor inside a branch, minute 31", inner, near, 31 * 60, "invalid_grant, ends it"),
            ("older than the predecessor inside a branch", inner, went_on, 60, "invalid_grant, ends it"),
            ("a ninth branch", root, evolve(went_on, branches=8), 60, "invalid_grant"),
            ("an eighth branch", root, evolve(went_on, branches=7), 60, "uses old"),
            ("the clock was set back", root, went_on, -60, "uses old"),
        ]
        for name, presented, lineage, age, expected in cases:
            with self.subTest(name):
                token = evolve(presented, expires_at=USED_AT + 30 * 86400)
                self.assertEqual(outcome(self.decide(token, lineage=lineage, now=USED_AT + age)), expected, name)

    def test_where_the_new_token_stands(self) -> None:
        """A token of a branch goes on in it; the shared first one and a used one begin another."""
        for presented, expected in (
            (evolve(TOKEN, generation=0), (None, 1)),
            (TOKEN, ("branch", 2)),
            (evolve(USED, generation=0), (None, 1)),
            (USED, (None, 1)),
        ):
            verdict = self.decide(presented)
            assert isinstance(verdict, IssueTokens)
            self.assertEqual((verdict.branch, verdict.generation), expected)

    def test_scopes_only_narrow(self) -> None:
        """RFC 6749 6: never more than granted; a client may repeat its first request."""
        cases: list[tuple[tuple[str, ...], tuple[str, ...] | None]] = [
            (("vault:work:read",), ("vault:work:read",)),
            (("vault:home:read", "scribe:transcribe"), ("vault:home:read", "scribe:transcribe")),
            (("vault:read",), ("vault:home:read", "vault:work:read")),
            (("vault:read", "vault:write"), ("vault:home:read", "vault:work:read", "vault:work:write")),
            (("vault:home:read", "vault:home:admin"), ("vault:home:read",)),
            (("vault:home:write",), None),
            (("vault:admin", "hub:admin"), None),
        ]
        for wanted, expected in cases:
            verdict = self.decide(scopes=wanted)
            self.assertEqual(verdict.scopes if isinstance(verdict, IssueTokens) else None, expected)
            if isinstance(verdict, Deny):
                self.assertEqual(verdict.error, "invalid_scope")
        self.assertEqual(outcome(self.decide(scopes=["vault:read"], target=Target("vault", "work"))), "uses old")
