from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.oauth.authorization.resource import Target
from parachute_hub.oauth.tokens.grant_policy import Deny, IssueTokens, challenge_of, decide_code, decide_refresh
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
TOKEN = Refresh(hash="old", family_id="family", created_at=900.0, expires_at=NOW + 100)
NEXT = Refresh(hash="next", family_id="family", created_at=990.0, expires_at=NOW + 100)


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

    def test_resources(self) -> None:
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
        tip: Refresh | None = None,
        family: Family | None = FAMILY,
        **facts: Any,
    ) -> IssueTokens | Deny:
        given = {"client_id": "app", "scopes": (), "target": None, "now": NOW, **facts}
        return decide_refresh(presented, tip or presented, family, **given)

    def test_table(self) -> None:
        """Rotation, thirty seconds of grace for the one tip, and the end of the family for anything later."""
        used = evolve(TOKEN, used_at=NOW - 30, successor="next")
        cases = [
            (self.decide(), "uses old"),
            (self.decide(None), "invalid_grant"),
            (self.decide(client_id="other"), "invalid_grant"),
            (self.decide(now=NOW + 100), "invalid_grant"),
            (self.decide(family=evolve(FAMILY, ended_at=1.0)), "invalid_grant"),
            (self.decide(used, NEXT), "uses next"),
            (self.decide(used, NEXT, now=NOW + 0.1), "invalid_grant, ends it"),
            (self.decide(used, NEXT, now=NOW - 31), "invalid_grant, ends it"),
            (self.decide(used, used), "invalid_grant, ends it"),
            (self.decide(used, NEXT, client_id="other"), "invalid_grant"),
            (self.decide(used, evolve(NEXT, expires_at=NOW)), "invalid_grant"),
        ]
        self.assertEqual([outcome(verdict) for verdict, _ in cases], [expected for _, expected in cases])

    def test_scopes_only_narrow(self) -> None:
        """RFC 6749 6: never more than was granted; a client may repeat its first wish, whatever became of it."""
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
