"""Clients that the hub waits for: one budget for all that they hold, and who must go when it is used up.

A client is a member from the moment it stops taking its response, sends a body or opens a WebSocket, until it took or
sent everything. One that moves, however slowly, is never the longest stalled.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

from parachute_hub.system.records import define, frozen

T = TypeVar("T", bound=Hashable)

# What one client is entitled to, in bytes: whoever holds no more is not blamed for a full budget.
MODEST = 256 * 1024
# In bytes: to cut off who holds less makes little room, while somebody of the same address holds more.
_WORTH = 64 * 1024
# In seconds: how fast an address is forgiven for clients that were cut off.
_HALVED_AFTER = 60.0
_MOST_BLAMED = 4096


@frozen
class Holding:
    """What a client holds in bytes, and a number that changes whenever it moves.

    `patient` clients, such as WebSockets, may be silent for as long as they like.
    """

    size: int
    marker: int = 0
    patient: bool = False


@define
class _Member:
    address: str
    holding: Holding
    since: float


@define
class _Blame:
    size: float
    at: float


class Backlog(Generic[T]):
    """The members, the longest stalled first. They may hold `most_bytes`, one address a `share` of that under pressure.

    Above the budget, whoever has not moved for `patience` seconds goes first, then the longest stalled member of the
    address that is most to blame: for what it holds, and for what was held by those cut off recently. While nobody is
    to blame for more than MODEST, the last to come goes: of those for whom a module's kernel holds more than that, as
    it may for any reader, if it is they who hold most, otherwise of all. Times are in seconds.
    """

    def __init__(self, *, most_bytes: int, share: float, patience: float) -> None:
        self.held = 0
        self._most = most_bytes
        self._share = most_bytes * share
        self._patience = patience
        self._members: dict[T, _Member] = {}
        # In the order in which they stalled for the first time; those that move again keep their place.
        self._arrivals: dict[T, None] = {}
        self._by_address: dict[str, dict[T, _Member]] = {}
        self._bytes: dict[str, int] = {}
        self._weights: dict[str, int] = {}
        self._blamed: dict[str, _Blame] = {}

    def __len__(self) -> int:
        return len(self._members)

    def __contains__(self, member: object) -> bool:
        return member in self._members

    @property
    def members(self) -> tuple[T, ...]:
        """Those that are stalled, the longest first."""
        return tuple(self._members)

    def add(self, member: T, address: str, holding: Holding, now: float) -> None:
        """The hub waits for this client. One that is known already keeps its time."""
        if (known := self._members.get(member)) is not None:
            self._resize(member, Holding(holding.size, known.holding.marker, holding.patient))
            return
        entry = _Member(address, Holding(0), now)
        self._members[member] = entry
        self._arrivals.setdefault(member)
        self._by_address.setdefault(address, {})[member] = entry
        self._resize(member, holding)

    def measured(self, member: T, holding: Holding, now: float) -> bool:
        """What it holds now. True if it moved: its time begins anew."""
        entry = self._members.get(member)
        if entry is None:
            return False
        moved = holding.marker != entry.holding.marker
        if moved:
            entry.since = now
            # Dictionaries keep their order, so the latest to move is the last.
            for order in (self._members, self._by_address[entry.address]):
                del order[member]
                order[member] = entry
        self._resize(member, holding)
        return moved

    def remove(self, member: T) -> None:
        """The hub no longer waits for it."""
        entry = self._members.pop(member, None)
        if entry is None:
            return
        self._count(entry.address, entry.holding.size, 0)
        of_address = self._by_address[entry.address]
        del of_address[member]
        if not of_address:
            del self._by_address[entry.address], self._bytes[entry.address], self._weights[entry.address]

    def forget(self, member: T) -> None:
        """It is gone."""
        self.remove(member)
        self._arrivals.pop(member, None)

    def cut(self, member: T, now: float) -> None:
        """It was cut off, which its address is blamed for."""
        entry = self._members[member]
        before = self._blame(entry.address, now)
        self._blamed.pop(entry.address, None)
        self._blamed[entry.address] = _Blame(before + min(entry.holding.size, MODEST), now)
        if len(self._blamed) > _MOST_BLAMED:
            del self._blamed[next(iter(self._blamed))]
        self.forget(member)

    def forgive(self) -> None:
        """Blame only those addresses that still have a member."""
        self._blamed = {address: blame for address, blame in self._blamed.items() if address in self._by_address}

    def excess(self, address: str, now: float, *, shared: bool) -> T | None:
        """Who must go now, after `address` got a member; None while all is within the budget.

        `shared` marks an address that stands for many people, such as a proxy on this machine: it has no share.
        """
        mine = self._by_address.get(address, {})
        if self.held > self._most:
            return self._late(now) or self._heaviest(now) or self._last_to_come()
        tight = self.held > self._most / 2 and len(mine) > 1 and not shared
        return next(iter(mine)) if tight and self._bytes[address] > self._share else None

    def of_the_most(self, more_than: int) -> T | None:
        """The longest stalled member of an address that has the most, if those are more than so many."""
        most = max(map(len, self._by_address.values()), default=0)
        if most <= more_than:
            return None
        return next(member for member, entry in self._members.items() if len(self._by_address[entry.address]) == most)

    def _late(self, now: float) -> T | None:
        for member, entry in self._members.items():
            if now - entry.since < self._patience:
                return None
            if not entry.holding.patient:
                return member
        return None

    def _heaviest(self, now: float) -> T | None:
        scores = {address: weight + self._blame(address, now) for address, weight in self._weights.items()}
        heaviest = max(scores, key=scores.__getitem__)
        if scores[heaviest] <= MODEST:
            return None
        theirs = self._by_address[heaviest]
        return next((member for member, entry in theirs.items() if entry.holding.size >= _WORTH), next(iter(theirs)))

    def _last_to_come(self) -> T:
        stalled = [member for member in reversed(self._arrivals) if member in self._members]
        large = [member for member in stalled if self._members[member].holding.size > MODEST]
        theirs = sum(self._members[member].holding.size for member in large)
        return large[0] if theirs > self.held / 2 else stalled[0]

    def _blame(self, address: str, now: float) -> float:
        blame = self._blamed.get(address)
        return blame.size * 0.5 ** ((now - blame.at) / _HALVED_AFTER) if blame is not None else 0.0

    def _resize(self, member: T, holding: Holding) -> None:
        entry = self._members[member]
        self._count(entry.address, entry.holding.size, holding.size)
        entry.holding = holding

    def _count(self, address: str, before: int, now: int) -> None:
        self.held += now - before
        self._bytes[address] = self._bytes.get(address, 0) + now - before
        self._weights[address] = self._weights.get(address, 0) + min(now, MODEST) - min(before, MODEST)
