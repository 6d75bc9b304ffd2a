"""Shares of what all clients use together: WebSockets, requests to a module, requests to the hub's own pages."""

from collections import Counter
from collections.abc import Callable
from functools import lru_cache, partial

from parachute_hub.system.networks import network_of

# Where clients on this machine connect from, such as a tunnel or a proxy that many people come through.
EVERYBODY = frozenset(("127.0.0.1", "::1", "::ffff:127.0.0.1"))
network = lru_cache(4096)(network_of)
# Bytes of the objects for a request that waits.
_OBJECTS = 8 * 1024


class Shares:
    """Counts what is in use, in `total` and by network, which may use `each`.

    This machine's own address has no share, because it stands for everyone behind a local proxy. When all is in use, a
    network gets a place from the one that uses most, if that one still has at least as much afterwards.
    """

    def __init__(self, *, each: int, total: int) -> None:
        self._each = each
        self._total = total
        self._by_network: dict[str, dict[Share, None]] = {}
        self.taken = 0

    def take(self, address: str, *, always: bool = False) -> "Share | None":
        """Use one; None if the client's network or the hub is at its limit, unless it is `always` granted."""
        place = network(address)
        mine = self._by_network.get(place)
        used = len(mine) if mine is not None else 0
        if not always:
            if used >= self._each and address not in EVERYBODY:
                return None
            if self.taken >= self._total:
                if not self._make_room(used):
                    return None
                # Which may have emptied the network's own row.
                mine = self._by_network.get(place)
        if mine is None:
            mine = self._by_network[place] = {}
        share = Share(self, place)
        mine[share] = None
        self.taken += 1
        return share

    def _make_room(self, used: int) -> bool:
        """End the oldest of the network that uses most."""
        most = max(self._by_network.values(), key=len)
        if len(most) <= used + 1:
            return False
        victim = next((share for share in most if share.end is not None), None)
        if victim is None or victim.end is None:
            return False
        victim.end()
        return self.taken < self._total

    def give_back(self, share: "Share") -> None:
        """Called by Share, once."""
        mine = self._by_network[share.place]
        del mine[share]
        if not mine:
            del self._by_network[share.place]
        self.taken -= 1


class Room:
    """Bytes that requests hold while they wait: `total` together, `each` those of one network, as for Shares."""

    def __init__(self, *, each: int, total: int) -> None:
        self._each = each
        self._total = total
        self._by_network: Counter[str] = Counter()
        self.taken = 0

    def take(self, address: str, size: int) -> Callable[[], None] | None:
        """Hold `size` and objects. What is returned gives it back, and is called once; None if it is too much."""
        place, size = network(address), _OBJECTS + size
        alone = address in EVERYBODY or self._by_network[place] + size <= self._each
        if not alone or self.taken + size > self._total:
            return None
        self._add(place, size)
        return partial(self._add, place, -size)

    def _add(self, place: str, size: int) -> None:
        self.taken += size
        self._by_network[place] += size
        if not self._by_network[place]:
            del self._by_network[place]


class Share:
    """The right to use one. `end` closes what it is used for, where that may be asked of a client."""

    __slots__ = ("_held", "_shares", "end", "place")

    def __init__(self, shares: Shares, place: str) -> None:
        self._shares = shares
        self._held = True
        self.place = place
        self.end: Callable[[], None] | None = None

    def release(self) -> None:
        """Give it back. Idempotent."""
        if self._held:
            self._held = False
            self.end = None
            self._shares.give_back(self)
