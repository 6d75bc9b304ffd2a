"""Clients that hold memory without moving on: one budget for all that is buffered, and a share for each address.

A client is stalled from the moment it stops taking its response, or keeps the hub from taking more of its request,
until it moves again. One that moves, however slowly, is not stalled.
"""

from collections.abc import Hashable
from typing import Generic, TypeVar

from attrs import define

T = TypeVar("T", bound=Hashable)


@define
class _Stall:
    address: str
    size: int
    since: float


class Backlog(Generic[T]):
    """The stalled clients. `most` of them and `most_bytes` may be held, and a share of both for one address.

    Sizes are in bytes, times in seconds.
    """

    def __init__(self, *, most: int, most_bytes: int, share: float) -> None:
        self.held = 0
        self._most = most
        self._most_bytes = most_bytes
        self._share = share
        self._stalls: dict[T, _Stall] = {}
        self._by_address: dict[str, dict[T, _Stall]] = {}
        self._bytes: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._stalls)

    @property
    def members(self) -> tuple[T, ...]:
        """Those that are stalled, the longest first."""
        return tuple(self._stalls)

    def add(self, member: T, address: str, size: int, now: float) -> None:
        """The client stopped moving and holds this much. One that is known already keeps its time."""
        if member in self._stalls:
            self._resize(member, size)
            return
        stall = _Stall(address, 0, now)
        self._stalls[member] = stall
        self._by_address.setdefault(address, {})[member] = stall
        self._resize(member, size)

    def measured(self, member: T, size: int, now: float) -> None:
        """What it holds now. Less than before means that it moves: its time begins anew."""
        stall = self._stalls.get(member)
        if stall is None:
            return
        if size < stall.size:
            stall.since = now
            # Dictionaries keep their order, so the latest to move is the last.
            for order in (self._stalls, self._by_address[stall.address]):
                del order[member]
                order[member] = stall
        self._resize(member, size)

    def remove(self, member: T) -> None:
        """It moves again, or is gone."""
        stall = self._stalls.pop(member, None)
        if stall is None:
            return
        self._count(stall.address, -stall.size)
        of_address = self._by_address[stall.address]
        del of_address[member]
        if not of_address:
            del self._by_address[stall.address], self._bytes[stall.address]

    def excess(self, address: str, *, shared: bool) -> T | None:
        """Who must go now, after `address` got a stalled client: the longest stalled of whoever holds the most.

        `shared` marks an address that stands for many people, such as a proxy on this machine: it has no limit of its
        own. None while all is within the budget.
        """
        if len(self._stalls) > self._most or self.held > self._most_bytes:
            heaviest = max(self._by_address, key=lambda one: (len(self._by_address[one]), self._bytes[one]))
            return next(iter(self._by_address[heaviest]))
        mine = self._by_address.get(address)
        if shared or not mine:
            return None
        over = len(mine) > self._most * self._share or self._bytes[address] > self._most_bytes * self._share
        return next(iter(mine)) if over else None

    def _resize(self, member: T, size: int) -> None:
        stall = self._stalls[member]
        self._count(stall.address, size - stall.size)
        stall.size = size

    def _count(self, address: str, more: int) -> None:
        self.held += more
        self._bytes[address] = self._bytes.get(address, 0) + more
