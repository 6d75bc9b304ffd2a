from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.signin.passwords import Hasher, Verdict
from parachute_hub.accounts.validation import LONGEST_PASSWORD
from parachute_hub.site.errors import Refused
from tests.support.front_door import QuickHasher

T = TypeVar("T")


async def here(work: Callable[[], T]) -> T:
    return work()


class HasherContract(SynchronousTestCase):
    """argon2 and the fast fake give the same results."""

    def test_both_answer_alike(self) -> None:
        self.assertEqual(self.walk(QuickHasher()), self.walk(Hasher(here)))

    def walk(self, hasher: Hasher) -> list[object]:
        stored = self.successResultOf(Deferred.fromCoroutine(hasher.hash("three small boats")))
        other = self.successResultOf(Deferred.fromCoroutine(hasher.hash("four small boats")))
        told: list[object] = [stored == other, "three small boats" == stored]
        for password, against in (
            ("three small boats", stored),
            ("Three small boats", stored),
            ("", stored),
            ("three small boats", None),
            ("three small boats", "no hash at all"),
        ):
            verdict = self.successResultOf(Deferred.fromCoroutine(hasher.check(password, against)))
            told.append(verdict)
        self.assertEqual(told[2], Verdict(right=True))
        refused = self.failureResultOf(Deferred.fromCoroutine(hasher.hash("x" * (LONGEST_PASSWORD + 1))), Refused)
        return [*told, refused.value.status, refused.value.error]
