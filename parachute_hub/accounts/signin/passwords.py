"""Hashes and verifies passwords with argon2id in a few threads, with a limited queue."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.low_level import ARGON2_VERSION
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from parachute_hub.accounts.validation import LONGEST_PASSWORD
from parachute_hub.site.errors import Refused
from parachute_hub.system.records import frozen

T = TypeVar("T")
Run = Callable[[Callable[[], T]], Awaitable[T]]

THREADS = 2
QUEUE = 16
MEMORY_KIB = 19456
PASSES = 2
LANES = 1
# Verified for unknown users, so that both cases take the same time: a hash in the PHC string format, of no password.
NOBODY = f"$argon2id$v={ARGON2_VERSION}$m={MEMORY_KIB},t={PASSES},p={LANES}${'A' * 22}${'A' * 43}"


@frozen
class Verdict:
    """Whether a password is correct, and whether its hash should be renewed with the current parameters."""

    right: bool
    stale: bool = False


class Hasher:
    """argon2id with the parameters of the design. Hashes with other parameters are verified too.

    `run` calls a function off the reactor's thread and returns its result. At most QUEUE calls are pending: a flood of
    sign-ins gets 429 instead of exhausting memory.
    """

    def __init__(self, run: Run[Any]) -> None:
        self._run = run
        self._argon2 = PasswordHasher(
            time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES, hash_len=32, salt_len=16, type=Type.ID
        )
        self._under_way = 0

    async def hash(self, password: str) -> str:
        """The PHC string to store. Raises Refused 429 if the queue is full, 413 for an extremely long password."""
        self._accept(password)
        return str(await self._bounded(lambda: self._argon2.hash(password)))

    async def check(self, password: str, stored: str | None) -> Verdict:
        """Verify a password. `stored` None does the same work and fails. Raises like `hash`."""
        self._accept(password)
        right = bool(await self._bounded(lambda: self._verify(stored or NOBODY, password)))
        if stored is None or not right:
            return Verdict(right=False)
        return Verdict(right=True, stale=self._is_stale(stored))

    def _is_stale(self, stored: str) -> bool:
        return self._argon2.check_needs_rehash(stored)

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return bool(self._argon2.verify(stored, password))
        except (VerificationError, InvalidHashError):
            return False

    def _accept(self, password: str) -> None:
        if len(password) > LONGEST_PASSWORD:
            raise Refused(413, "password_too_long", f"A password has at most {LONGEST_PASSWORD} characters.")
        if self._under_way >= QUEUE:
            raise Refused(
                429,
                "too_many_requests",
                "Many sign-ins are being checked right now. Try again in a few seconds.",
                headers={"Retry-After": "5"},
            )

    async def _bounded(self, work: Callable[[], T]) -> T:
        """Work continues, and counts, until it is done, even if the client disconnects."""
        done: Deferred[T] = Deferred()
        Deferred.fromCoroutine(self._counted(work)).chainDeferred(done)
        return await done

    async def _counted(self, work: Callable[[], T]) -> T:
        self._under_way += 1
        try:
            result: T = await self._run(work)
            return result
        finally:
            self._under_way -= 1


class HashThreads:
    """The thread pool of a Hasher. Starts with the first password and ends with `stop`."""

    def __init__(self, reactor: IReactorFromThreads) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(0, THREADS, "passwords")

    async def run(self, work: Callable[[], T]) -> T:
        """Run `work` in a thread."""
        if not self._pool.started:
            self._pool.start()
        result: T = await deferToThreadPool(self._reactor, self._pool, work)
        return result

    def stop(self) -> None:
        """Wait for pending work and end the threads."""
        if self._pool.started:
            self._pool.stop()
