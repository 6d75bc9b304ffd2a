"""Rate limits over a sliding window, per address, app or whatever the key names."""

from collections import OrderedDict
from collections.abc import Callable

from parachute_hub.site.errors import Refused

MOST_KEYS = 10_000


class RateLimit:
    """At most `times` per `seconds` for each key, by `clock` in seconds. In memory; the oldest keys are dropped."""

    def __init__(self, *, times: int, seconds: float, clock: Callable[[], float]) -> None:
        self._times = times
        self._seconds = seconds
        self._clock = clock
        self._used: OrderedDict[str, list[float]] = OrderedDict()

    def use(self, key: str) -> None:
        """Count one request. Raises Refused 429 with `Retry-After` over the limit."""
        left = self.wait(key)
        if left > 0.0:
            wait = str(int(left) + 1)
            text = f"Too many requests. Try again in {wait} seconds."
            raise Refused(429, "temporarily_unavailable", text, headers={"Retry-After": wait})
        self.count(key)

    def wait(self, key: str = "") -> float:
        """Seconds until the key is below its limit, 0 if it is."""
        now = self._clock()
        recent = [then for then in self._used.get(key, ()) if now - self._seconds < then <= now]
        return recent[0] + self._seconds - now if len(recent) >= self._times else 0.0

    def count(self, key: str = "") -> None:
        """Count without a check."""
        self._used[key] = [*self._used.pop(key, []), self._clock()][-self._times :]
        if len(self._used) > MOST_KEYS:
            self._used.popitem(last=False)
