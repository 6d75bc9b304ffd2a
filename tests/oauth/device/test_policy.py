from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.oauth.clients.registration import own_command
from parachute_hub.oauth.device import policy
from parachute_hub.oauth.device.policy import decide_poll, decide_try, may_ask, typed, user_code
from parachute_hub.oauth.tokens.grant_policy import Deny
from parachute_hub.store.rows import DeviceCode, Family

NOW = 1000.0
CODE = DeviceCode(
    hash="h",
    user_code="BCDFGHJK",
    client_id="app",
    scope="",
    resource="",
    address="192.0.2.1",
    created_at=NOW - 100,
    expires_at=NOW + 500,
    interval=5.0,
)
FAMILY = Family(
    id="f",
    user_id="u",
    client_id="app",
    scopes=("vault:home:read",),
    resource=None,
    auth_time=1.0,
    created_at=NOW - 10,
)
ALLOWED = evolve(CODE, state="allowed", family_id="f")


def outcome(code: DeviceCode | None, family: Family | None = FAMILY, client_id: str = "app", now: float = NOW) -> str:
    """The error, what ends, and what becomes of the code."""
    asked = decide_poll(code, family, client_id=client_id, now=now)
    verdict = asked.verdict
    told = f"{verdict.error}{', ends it' if verdict.ends_family else ''}" if isinstance(verdict, Deny) else "tokens"
    return f"{told}; {asked.code.state} {asked.code.interval:.0f}" if asked.code else told


class PollTests(SynchronousTestCase):
    def test_table(self) -> None:
        asked = evolve(CODE, polled_at=NOW)
        cases = [
            (outcome(None), "invalid_grant"),
            (outcome(CODE, client_id="other"), "invalid_grant"),
            (outcome(CODE), "authorization_pending; waiting 5"),
            (outcome(CODE, now=CODE.expires_at - 0.01), "authorization_pending; waiting 5"),
            (outcome(CODE, now=CODE.expires_at), "expired_token"),
            (outcome(evolve(CODE, state="ended")), "expired_token"),
            (outcome(evolve(CODE, state="denied")), "access_denied"),
            (outcome(ALLOWED), "tokens; used 5"),
            (outcome(ALLOWED, now=CODE.expires_at), "expired_token"),
            (outcome(ALLOWED, None), "access_denied"),
            (outcome(ALLOWED, evolve(FAMILY, ended_at=NOW)), "access_denied"),
            (outcome(evolve(ALLOWED, state="used")), "invalid_grant, ends it"),
            (outcome(evolve(ALLOWED, state="used"), client_id="other"), "invalid_grant"),
            # Too fast: each time five seconds more, up to a minute.
            (outcome(asked, now=NOW + 4.4), "slow_down; waiting 10"),
            (outcome(asked, now=NOW + 4.6), "authorization_pending; waiting 5"),
            (outcome(evolve(asked, interval=60.0), now=NOW + 1), "slow_down; waiting 60"),
            # Whoever was let in is not told to wait.
            (outcome(evolve(ALLOWED, polled_at=NOW), now=NOW), "tokens; used 5"),
        ]
        for number, (found, expected) in enumerate(cases):
            with self.subTest(number):
                self.assertEqual(found, expected)


class TryTests(SynchronousTestCase):
    def after(self, guess: str, *codes: DeviceCode) -> Any:
        tried = decide_try(guess, codes)
        return tried.found and tried.found.user_code, [(one.user_code, one.tries, one.state) for one in tried.missed]

    def test_a_right_code_counts_nothing(self) -> None:
        self.assertEqual(self.after("BCDFGHJK", CODE), ("BCDFGHJK", []))

    def test_half_a_code_counts_for_it(self) -> None:
        """Either half, and for no other code."""
        other = evolve(CODE, hash="o", user_code="ZZZZZZZZ")
        for guess in ("BCDFGHJZ", "ZCDFGHJK"):
            self.assertEqual(self.after(guess, CODE, other), (None, [("BCDFGHJK", 1, "waiting")]), guess)
        self.assertEqual(self.after("", CODE, other), (None, []))
        self.assertEqual(self.after("XXXXXXXX", CODE, other), (None, []))

    def test_the_fifth_wrong_try_ends_it(self) -> None:
        self.assertEqual(self.after("BCDFZZZZ", evolve(CODE, tries=3)), (None, [("BCDFGHJK", 4, "waiting")]))
        self.assertEqual(self.after("BCDFZZZZ", evolve(CODE, tries=4)), (None, [("BCDFGHJK", 5, "ended")]))


class CodeTests(SynchronousTestCase):
    def test_codes_have_no_letters_that_look_alike(self) -> None:
        self.assertEqual(len(set(policy.ALPHABET)), 20)
        self.assertFalse(set(policy.ALPHABET) & set("AEIOUY0123456789"))
        seen = {user_code(bytes([number % 256] * 15 + [number // 256])) for number in range(1000)}
        self.assertGreater(len(seen), 990)
        self.assertFalse({letter for code in seen for letter in code} - set(policy.ALPHABET))
        self.assertEqual({len(code) for code in seen}, {8})

    def test_what_people_type(self) -> None:
        for text in ("bcdf-ghjk", " BCDF GHJK ", "bcdfghjk", "b c d f - g h j k"):
            self.assertEqual(typed(text), "BCDFGHJK", text)
        for text in ("", "BCDF-GHJ", "BCDF-GHJKL", "ACDF-GHJK", "BCDF-GHJ1", "ßCDFGHJK"):
            self.assertEqual(typed(text), "", text)

    def test_who_may_ask(self) -> None:
        """An owner must have approved it: an app that is let in for its address could be anybody here."""
        command = own_command()
        self.assertTrue(may_ask(command))
        self.assertTrue(may_ask(evolve(command, client_id="app", vouched_by="owner")))
        self.assertFalse(may_ask(evolve(command, vouched_by=None, same_hub=True)))
        self.assertFalse(may_ask(evolve(command, vouched_by=None, source="document")))
        self.assertFalse(may_ask(evolve(command, status="pending", vouched_by="owner")))
