"""Challenges that wait for the answer of an authenticator. Kept in memory: after a restart pages ask for others."""

from collections import OrderedDict
from collections.abc import Callable

from parachute_hub.system.networks import network_of
from parachute_hub.system.random_tokens import hashed, new_token
from parachute_hub.system.records import frozen

LIFETIME = 300.0
MOST = 4096
MOST_OF_ONE = 256


@frozen
class _Waiting:
    holder: str
    purpose: str
    network: str
    ends_at: float


class Challenges:
    """Each is for one browser (`holder`: a secret of its cookie, or its session) and purpose, once, for five minutes.

    Strangers may ask for some: a network's oldest end when it has too many, so that it does not push out others'.
    """

    def __init__(self, *, clock: Callable[[], float], random: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._random = random
        self._waiting: OrderedDict[str, _Waiting] = OrderedDict()

    def begin(self, holder: str, purpose: str, address: str) -> str:
        """A challenge, in base64url."""
        now = self._clock()
        while self._waiting and next(iter(self._waiting.values())).ends_at <= now:
            self._waiting.popitem(last=False)
        network = network_of(address)
        own = [name for name, one in self._waiting.items() if one.network == network]
        for oldest in own[: max(0, len(own) + 1 - MOST_OF_ONE)]:
            del self._waiting[oldest]
        while len(self._waiting) >= MOST:
            self._waiting.popitem(last=False)
        challenge = new_token(self._random)
        self._waiting[challenge] = _Waiting(hashed(holder), purpose, network, now + LIFETIME)
        return challenge

    def take(self, challenge: str, holder: str, purpose: str) -> bool:
        """Use it up. True if it was this browser's for this purpose, and in time."""
        found = self._waiting.get(challenge)
        if found is None or (found.holder, found.purpose) != (hashed(holder), purpose):
            return False
        del self._waiting[challenge]
        return self._clock() < found.ends_at
