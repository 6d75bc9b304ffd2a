"""What the state machines of accounts share: a front door, and visitors who come to it."""

from typing import Any

from hypothesis.stateful import RuleBasedStateMachine
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from parachute_hub.accounts.model import Visitor
from parachute_hub.site.errors import Refused
from tests.support.front_door import FrontDoor


class AccountsMachine(RuleBasedStateMachine):
    """One hub, without rules."""

    def __init__(self) -> None:
        super().__init__()
        self.door = FrontDoor()
        self.accounts = self.door.accounts
        self.visits = 0

    def teardown(self) -> None:
        self.door.close()

    def run(self, coroutine: Any) -> Any:
        """The result, or the refusal."""
        outcome: list[Any] = []
        Deferred.fromCoroutine(coroutine).addBoth(outcome.append)
        (found,) = outcome
        if isinstance(found, Failure):
            return found.trap(Refused) and found.value
        return found

    def visitor(self, **more: str) -> Visitor:
        """Always another address: the throttle has its own tests."""
        self.visits += 1
        return Visitor(address=f"2001:db8:{self.visits:x}::1", **more)
