"""Recovers an owner's account on the machine itself: `parachute auth reset-owner`."""

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
from parachute_hub.store.passkeys import Passkeys
from parachute_hub.store.sessions import Sessions
from parachute_hub.store.users import Users
from parachute_hub.store.vaults import VaultDeletionRows

T = TypeVar("T")


async def here(work: Callable[[], T]) -> T:
    """Run a Hasher's work in this thread, for programs without a reactor."""
    return work()


def reset_owner(
    path: Path, *, watch: Callable[[Database], AccessWatch], clock: Clock, random: Random
) -> tuple[str, str]:
    """Set a one-time password for the owner in this database. Returns (username, password).

    Works while the hub runs, since sessions are looked up on each request. `watch` revokes the user's tokens. Raises
    Refused 404 if there is no owner, DatabaseUnusable if the file is unusable.
    """
    database = Database.open(path)
    try:
        # Second factors are only deleted here, so any key will do.
        hasher = Hasher(here)
        second_factor = SecondFactor(
            factors=Factors(database),
            sealer=Sealer(random(32), random),
            hasher=hasher,
            has_passkey=lambda user_id: False,
            clock=clock,
            random=random,
        )
        people = People(
            users=Users(database),
            sessions=Sessions(database),
            hasher=Hasher(here),
            second_factor=second_factor,
            passkeys=Passkeys(database),
            deletions=VaultDeletionRows(database),
            audit=Audit(database),
            watch=watch(database),
            write=database.write,
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
    """Run a coroutine that never waits, and return its result."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise RuntimeError("this was to be done at once")
