"""Password hashing: parameters, foreign hashes, equal work for unknown names, a bounded queue."""

import threading
from collections.abc import Callable
from typing import Any

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from parachute_hub.accounts.people.owner_reset import here
from parachute_hub.accounts.signin.passwords import NOBODY, QUEUE, Hasher, HashThreads, Verdict
from parachute_hub.site.errors import Refused


class Held:
    """Runs work only when told to."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred[Any], Callable[[], Any]]] = []

    async def run(self, work: Callable[[], Any]) -> Any:
        held: Deferred[Any] = Deferred()
        self.waiting.append((held, work))
        return await held

    def go(self) -> None:
        for held, work in self.waiting:
            held.callback(work())
        self.waiting = []


class HasherTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.hasher = Hasher(here)

    def now(self, coroutine: Any) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def test_hashes_use_the_documented_parameters(self) -> None:
        """19456 KiB, two passes, one lane, a salt for each hash."""
        stored = [self.now(self.hasher.hash("three small paper boats")) for _ in range(2)]
        self.assertRegex(stored[0], r"^\$argon2id\$v=19\$m=19456,t=2,p=1\$")
        self.assertNotEqual(*stored)

    def test_an_unknown_user_costs_what_a_known_one_does(self) -> None:
        """argon2 computes the whole hash before it compares."""
        stored = self.now(self.hasher.hash("three small paper boats"))
        self.assertEqual(extract_parameters(NOBODY), extract_parameters(stored))
        self.assertEqual(len(NOBODY), len(stored))
        self.assertRaises(VerifyMismatchError, PasswordHasher().verify, NOBODY, "three small paper boats")
        self.assertEqual(self.now(self.hasher.check("three small paper boats", None)), Verdict(right=False))

    def test_only_the_password_verifies(self) -> None:
        stored = self.now(self.hasher.hash("three small paper boats"))
        self.assertEqual(self.now(self.hasher.check("three small paper boats", stored)), Verdict(right=True))
        self.assertEqual(self.now(self.hasher.check("three small paper boat", stored)), Verdict(right=False))

    def test_other_parameters_verify_and_ask_for_a_new_hash(self) -> None:
        """Other parameters are accepted and reported as stale."""
        elsewhere = PasswordHasher(time_cost=3, memory_cost=8192, parallelism=4).hash("three small paper boats")
        found = self.now(self.hasher.check("three small paper boats", elsewhere))
        self.assertEqual(found, Verdict(right=True, stale=True))
        # As the older hub stores them.
        theirs = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1).hash("three small paper boats")
        self.assertEqual(self.now(self.hasher.check("three small paper boats", theirs)), Verdict(right=True))

    def test_a_damaged_hash_is_wrong(self) -> None:
        for stored in ("", "plain", "$argon2id$", "$2b$12$abcdefghijklmnopqrstuv"):
            self.assertEqual(self.now(self.hasher.check("x", stored)), Verdict(right=False))

    def test_extremely_long_passwords_are_refused(self) -> None:
        for call in (self.hasher.hash("x" * 257), self.hasher.check("x" * 257, None)):
            refused = self.failureResultOf(Deferred.fromCoroutine(call), Refused).value
            self.assertEqual(refused.status, 413)

    def test_the_queue_is_bounded(self) -> None:
        """The seventeenth is rejected; later there is room again."""
        held = Held()
        hasher = Hasher(held.run)
        under_way = [Deferred.fromCoroutine(hasher.check("x", None)) for _ in range(QUEUE)]
        refused = self.failureResultOf(Deferred.fromCoroutine(hasher.check("x", None)), Refused).value
        self.assertEqual((refused.status, refused.headers["Retry-After"]), (429, "5"))
        held.go()
        self.assertEqual([self.successResultOf(one).right for one in under_way], [False] * QUEUE)
        again = Deferred.fromCoroutine(hasher.check("x", None))
        held.go()
        self.assertFalse(self.successResultOf(again).right)

    def test_who_hangs_up_does_not_make_room(self) -> None:
        """The work continues in its thread; otherwise aborted requests would queue without limit."""
        held = Held()
        hasher = Hasher(held.run)
        for _ in range(QUEUE):
            gone = Deferred.fromCoroutine(hasher.check("x", None))
            gone.cancel()
            self.failureResultOf(gone, CancelledError)
        self.failureResultOf(Deferred.fromCoroutine(hasher.check("x", None)), Refused)
        held.go()
        again = Deferred.fromCoroutine(hasher.check("x", None))
        held.go()
        self.assertFalse(self.successResultOf(again).right)


class ThreadTests(TestCase):
    async def test_works_beside_the_reactor(self) -> None:
        threads = HashThreads(reactor)  # type: ignore[arg-type]
        self.addCleanup(threads.stop)
        hasher = Hasher(threads.run)
        stored = await hasher.hash("three small paper boats")
        self.assertTrue((await hasher.check("three small paper boats", stored)).right)

    def test_an_unused_pool_stops(self) -> None:
        threads = HashThreads(reactor)  # type: ignore[arg-type]
        threads.stop()
        self.assertEqual([one.name for one in threading.enumerate() if "passwords" in one.name], [])
