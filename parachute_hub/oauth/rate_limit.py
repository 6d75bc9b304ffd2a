"""Rate limits for anonymous requests, per address or app."""

from collections import OrderedDict

from twisted.internet.interfaces import IReactorTime

from parachute_hub.site.errors import Refused

MOST_KEYS = 10_000


class RateLimit:
    """At most `times` per `seconds` for each key. Kept in memory; the oldest keys are dropped."""

    def __init__(self, *, times: int, seconds: float, clock: IReactorTime) -> None:
        self._times = times
        self._seconds = seconds
        self._clock = clock
        self._used: OrderedDict[str, list[float]] = OrderedDict()

    def use(self, key: str) -> None:
        """Count one request. Raises Refused 429 with `Retry-After` over the limit."""
        now = self._clock.seconds()
        recent = [then for then in self._used.pop(key, []) if now - self._seconds < then <= now]
        if len(recent) >= self._times:
            self._used[key] = recent
            wait = str(int(recent[0] + self._seconds - now) + 1)
            raise Refused(
                429,
                "temporarily_unavailable",
                f"Too many requests. Try again in {wait} seconds.",
                headers={"Retry-After": wait},
            )
        self._used[key] = [*recent, now]
        if len(self._used) > MOST_KEYS:
            self._used.popitem(last=False)
