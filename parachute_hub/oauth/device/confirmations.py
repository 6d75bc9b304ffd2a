"""Acts of the command on another machine that wait for its person's confirmation in a browser. Kept in memory."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from attrs import evolve
from twisted.internet.interfaces import IReactorTime

from parachute_hub.system.random_tokens import new_token
from parachute_hub.system.records import frozen

LIFETIME = 300.0
MOST = 500
MOST_OF_ONE = 5

State = Literal["waiting", "confirmed", "refused"]


@frozen(kw_only=True)
class Confirmation:
    """One operation of one connection. `proof` is for the command alone, once it is `confirmed`."""

    user_id: str
    connection: str
    operation: str
    address: str
    created_at: float
    state: State = "waiting"
    proof: str = ""


class Confirmations:
    """Begun by the command, answered by the person, collected by the command, once."""

    def __init__(self, *, clock: IReactorTime, random: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random = random
        self._known: OrderedDict[str, Confirmation] = OrderedDict()

    def begin(self, *, user_id: str, connection: str, operation: str, address: str) -> str:
        """Wait for this person. Returns the id for the link. A connection's oldest end when it has too many."""
        name = new_token(self._random, 16)
        own = [known for known, one in self._known.items() if one.connection == connection]
        for oldest in own[: max(0, len(own) + 1 - MOST_OF_ONE)]:
            del self._known[oldest]
        self._known[name] = Confirmation(
            user_id=user_id,
            connection=connection,
            operation=operation,
            address=address,
            created_at=self._clock.seconds(),
        )
        while len(self._known) > MOST:
            self._known.popitem(last=False)
        return name

    def get(self, name: str) -> Confirmation | None:
        """The confirmation, unless it has ended."""
        found = self._known.get(name)
        if found is not None and self._clock.seconds() >= found.created_at + LIFETIME:
            del self._known[name]
            return None
        return found

    def answer(self, name: str, state: State, proof: str = "") -> bool:
        """Set the person's answer; False if it is not waiting any more."""
        found = self.get(name)
        if found is None or found.state != "waiting":
            return False
        self._known[name] = evolve(found, state=state, proof=proof)
        return True

    def collect(self, name: str, connection: str) -> Confirmation | None:
        """The confirmation of this connection; one that was answered is told once."""
        found = self.get(name)
        if found is None or found.connection != connection:
            return None
        if found.state != "waiting":
            del self._known[name]
        return found
