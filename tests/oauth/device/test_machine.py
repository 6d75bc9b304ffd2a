"""Hypothesis drives a code through its life with a device, its person, guessers and time."""

import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from hypothesis.strategies import floats, sampled_from
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.oauth.authorization.consents import ConsentingUser
from parachute_hub.oauth.authorization.policy import AskConsent, IssueCode, SubmittedConsent, answer
from parachute_hub.oauth.authorization.scopes import COMMAND
from parachute_hub.oauth.clients.registration import own_command
from parachute_hub.oauth.tokens.grant_policy import Deny
from parachute_hub.oauth.tokens.token_service import IssuedTokens
from parachute_hub.site.errors import Refused
from tests.support.at_once import at_once
from tests.support.oauth import World


def now_or_error(work: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine, or the Refused that it raised."""
    try:
        return at_once(work)
    except Refused as refused:
        return refused


class CodeMachine(RuleBasedStateMachine):
    """Nobody is let in without the person, nobody twice, nobody late, nobody after five wrong tries."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.world = World(self.folder / "home")
        at_once(self.world.keys.ensure())
        self.owner = self.world.add_user("owner", admin=True)
        self.devices, self.redeemer = self.world.oauth._devices(), self.world.oauth._redeemer
        self.command = own_command()
        self.wrong, self.state, self.tokens = 0, "waiting", 0
        self.access: str | None = None
        self.asked_at: float | None = None
        self.interval = 5.0
        self.guessers = 0

    @initialize()
    def begin(self) -> None:
        asked = self.devices.begin(self.command, scope="", resource="", address="192.0.2.1")
        self.begun = now_or_error(asked)
        self.ends = self.world.clock.seconds() + 600

    def is_over(self) -> bool:
        return self.state in ("waiting", "allowed") and self.world.clock.seconds() >= self.ends

    @rule(seconds=floats(0.1, 240.0))
    def wait(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @rule(half=sampled_from(["first", "second"]))
    def guess(self, half: str) -> None:
        """Somebody who knows half of it, each time from elsewhere."""
        code = self.begun.user_code
        other = "".join("B" if letter != "B" else "C" for letter in code[:4])
        typed = code[:4] + "".join("B" if letter != "B" else "C" for letter in code[4:])
        typed = typed if half == "first" else other + code[4:]
        self.guessers += 1
        address = f"198.51.100.{self.guessers}"
        found = now_or_error(self.devices.find(typed, address=address, user_id=f"u{self.guessers}"))
        assert isinstance(found, Refused) and found.status == 400, found
        if self.state == "waiting" and not self.is_over():
            self.wrong += 1
            if self.wrong == 5:
                self.state = "ended"

    @rule(yes=sampled_from([True, True, False]))
    def answer(self, yes: bool) -> None:
        """The person types the code and answers."""
        found = now_or_error(self.devices.find(self.begun.user_code, address="203.0.113.1", user_id=self.owner.id))
        if isinstance(found, Refused):
            assert found.status == 429 or self.state != "waiting" or self.is_over()
            return
        assert self.state == "waiting" and not self.is_over()
        question = self.devices.question(self.command, self.owner, scope=found.scope, resource=found.resource)
        assert isinstance(question, AskConsent)
        if not yes:
            at_once(self.devices.deny(found, actor="owner", address="203.0.113.1"))
            self.state = "denied"
            return
        issue = answer(question, SubmittedConsent(yes=True, ticked=frozenset(row.scope for row in question.rows)))
        assert isinstance(issue, IssueCode) and issue.needs_proof
        giver = ConsentingUser(user=self.owner, auth_time=0.0, address="203.0.113.1")
        at_once(self.devices.allow(found, issue, giver))
        self.state = "allowed"
        self.ends = max(self.ends, self.world.clock.seconds() + 120)

    @rule()
    def poll(self) -> None:
        """The device asks."""
        asked = self.redeemer.device(self.begun.device_code, client_id=COMMAND, address="192.0.2.1")
        told, now = now_or_error(asked), self.world.clock.seconds()
        if isinstance(told, IssuedTokens):
            assert self.state == "allowed" and not self.is_over()
            self.state, self.tokens, self.access = "used", self.tokens + 1, told.access.token
            return
        assert isinstance(told, Deny)
        if self.is_over():
            expected = "expired_token"
        elif self.state == "waiting":
            early = self.asked_at is not None and now < self.asked_at + self.interval - 0.5
            expected = "slow_down" if early else "authorization_pending"
            self.interval = min(60.0, self.interval + 5) if early else self.interval
            self.asked_at = now
        else:
            expected = {"ended": "expired_token", "denied": "access_denied"}.get(self.state, "invalid_grant")
        if self.state == "used":
            self.state = "replayed"
        assert told.error == expected, (told, expected, self.state)

    @precondition(lambda self: self.state != "waiting")
    @rule()
    def another_client(self) -> None:
        """A stolen device code is no use to another client."""
        told = now_or_error(self.redeemer.device(self.begun.device_code, client_id="other", address="192.0.2.9"))
        assert isinstance(told, Deny) and told.error == "invalid_grant" and told.ends_family is None

    @invariant()
    def tokens_come_once(self) -> None:
        assert self.tokens <= 1

    @invariant()
    def a_replay_ends_the_tokens(self) -> None:
        if self.state == "replayed" and self.access is not None:
            families = self.world.grants.live_families(self.owner.id, COMMAND)
            assert families == []

    def teardown(self) -> None:
        self.world.close()
        shutil.rmtree(self.folder)


class LifeTests(SynchronousTestCase):
    def test_the_life_of_a_code(self) -> None:
        run_state_machine_as_test(
            CodeMachine,
            settings=settings(max_examples=25, stateful_step_count=20, derandomize=True, deadline=None, database=None),
        )
