"""The way back for an owner who forgot the password: `parachute auth reset-owner`, on the machine itself."""

import base64
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from parachute_hub.accounts.encryption import Sealer
from parachute_hub.accounts.model import AccessWatch, Clock, Random
from parachute_hub.accounts.people.users import People
from parachute_hub.accounts.signin.passwords import Hasher
from parachute_hub.accounts.signin.second_factor import SecondFactor
from parachute_hub.store.audit import Audit
from parachute_hub.store.database import Database
from parachute_hub.store.factors import Factors
from parachute_hub.store.sessions import Sessions
from parachute_hub.store.users import Users

T = TypeVar("T")


async def here(work: Callable[[], T]) -> T:
    """Run a Hasher's work in this thread: for programs that serve nobody meanwhile."""
    return work()


def reset_owner(
    path: Path, *, watch: Callable[[Database], AccessWatch], clock: Clock, random: Random
) -> tuple[str, str]:
    """Give the owner in this database a new password for one sign-in: (username, password).

    Works while the hub runs: sessions are looked up at each request. `watch` takes back the tokens of the person.
    Raises Refused 404 when there is no owner, DatabaseUnusable when the file is.
    """
    database = Database.open(path)
    try:
        # Second factors are only removed here, so any key does.
        second_factor = SecondFactor(
            factors=Factors(database), sealer=Sealer(random(32), random), clock=clock, random=random
        )
        people = People(
            users=Users(database),
            sessions=Sessions(database),
            hasher=Hasher(here),
            second_factor=second_factor,
            audit=Audit(database),
            watch=watch(database),
            together=database.transaction,
            clock=clock,
            random=random,
        )
        password = _readable(random(15))
        return _at_once(people.reset_owner(password)).username, password
    finally:
        database.close()


def _readable(octets: bytes) -> str:
    text = base64.b32encode(octets).decode().lower()
    return "-".join(text[at : at + 4] for at in range(0, len(text), 4))


def _at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise RuntimeError("this was to be done at once")
