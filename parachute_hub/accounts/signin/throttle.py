"""Throttles guessing, applying the policy to stored counts."""

from collections.abc import Sequence

from parachute_hub.accounts.model import Clock, Visitor
from parachute_hub.accounts.signin import throttle_policy
from parachute_hub.accounts.signin.throttle_policy import Counted
from parachute_hub.site.errors import Refused
from parachute_hub.store.rows import FailureCount
from parachute_hub.store.sessions import Sessions
from parachute_hub.store.throttles import Throttles
from parachute_hub.system.random_tokens import hashed
from parachute_hub.system.records import frozen


@frozen
class Attempt:
    """An attempt in progress. Counted as a failure until `succeeded` is called, so that parallel guesses gain
    nothing.
    """

    _guard: "AttemptThrottle"
    _counts: Sequence[Counted]

    def succeeded(self) -> None:
        """The guess was correct: undo the count and clear the user's earlier failures. Call within a transaction."""
        self._guard.take_back(self._counts)


class AttemptThrottle:
    """Admits an attempt, or rejects it with 429 and the time to wait. Call all methods within a transaction."""

    def __init__(self, throttles: Throttles, sessions: Sessions, clock: Clock) -> None:
        self._throttles = throttles
        self._sessions = sessions
        self._clock = clock

    def begin(
        self, purpose: str, subject: str, visitor: Visitor, *, user_id: str | None, strict: bool = False
    ) -> Attempt:
        """Count an attempt at `subject` (a name or id). `user_id` is its owner, None for an unknown name.

        `strict` applies the account's failures to new browsers from the first attempt: for six-digit codes, which only
        someone with the password can guess.
        """
        now = self._clock()
        device = hashed(visitor.device) if visitor.device else None
        if device is not None and (user_id is None or not self._sessions.knows_device(device, user_id)):
            device = None
        counts = throttle_policy.counted(purpose, subject, visitor.address, device)
        before = {count.bucket: self._throttles.get(count.key) or FailureCount(0.0, now) for count in counts}
        failed_here = (
            strict
            or "pair" in before
            and throttle_policy.faded(before["pair"].count, before["pair"].last_at, now) >= 0.5
        )
        delay = max(
            throttle_policy.wait(bucket, failures.count, failures.last_at, now)
            for bucket, failures in before.items()
            if bucket != "account" or failed_here
        )
        if delay > 0:
            seconds = int(delay) + 1
            raise Refused(
                429,
                "too_many_attempts",
                f"Too many wrong attempts. Wait {seconds} seconds and try again.",
                headers={"Retry-After": str(seconds)},
            )
        for count in counts:
            failures = before[count.bucket]
            left = throttle_policy.faded(failures.count, failures.last_at, now)
            self._throttles.put(count.key, FailureCount(left + 1, now))
        return Attempt(self, counts)

    def take_back(self, counts: Sequence[Counted]) -> None:
        """Undo what `begin` counted."""
        for count in counts:
            failures = self._throttles.get(count.key)
            if failures is None:
                continue
            if count.bucket in ("pair", "device"):
                self._throttles.drop(count.key)
            else:
                self._throttles.put(count.key, FailureCount(max(0.0, failures.count - 1), failures.last_at))

    def prune(self) -> None:
        """Delete counts that decayed long ago."""
        self._throttles.prune(self._clock() - throttle_policy.FORGOTTEN_AFTER)
