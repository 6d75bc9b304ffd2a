"""Limits client connections, leaving excess ones in the kernel's accept queue."""

import resource
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Protocol

from parachute_hub.proxy.client_address import is_loopback
from parachute_hub.proxy.connection import Connection
from parachute_hub.proxy.limits import Limits
from parachute_hub.proxy.shares import network
from parachute_hub.proxy.splice import MOST_PIPES

# File descriptors reserved for everything else: the database, children's pipes, files, probes, pipes of long bodies.
_RESERVED = 128 + 2 * MOST_PIPES
_WANTED = 65_536
# How many clients Twisted may accept in one batch (it at most doubles this), and so how many may exceed the limit,
# because a batch cannot be interrupted.
_AT_ONCE = 20
_SLACK = 64


class Port(Protocol):
    """A listening port, as in Twisted's tcp.Port."""

    numberAccepts: int

    def pauseProducing(self) -> None:
        """Stop accepting."""

    def resumeProducing(self) -> None:
        """Resume accepting."""


class ConnectionLimiter:
    """All client connections. `in_use` returns the number of connections to modules. `end_stalled` disconnects the
    longest stalled client of the network that has most of them, unless those are no more than a number.

    Connections over the limit of one address are closed; loopback is exempt, because it stands for everyone behind a
    local proxy or tunnel. At the total limit, or when file descriptors run out, accepting pauses: queued clients are
    served later, while rejected ones would retry immediately.
    """

    def __init__(self, limits: Limits, in_use: Callable[[], int], end_stalled: Callable[[int], bool]) -> None:
        self._limits = limits
        self._in_use = in_use
        self._end_stalled = end_stalled
        # With the network that each comes from, in the order in which they connected.
        self._members: dict[Connection, str] = {}
        self._by_address: Counter[str] = Counter()
        self._port: Port | None = None
        self._paused = False
        self._held = False

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Connection]:
        """Iterates over a copy, since closing a connection removes it."""
        return iter(tuple(self._members))

    def listening(self, port: Port) -> None:
        """Set the port that accepts the clients."""
        self._port = port
        port.numberAccepts = _AT_ONCE

    def admits(self, address: str) -> bool:
        """True if another connection from this address is allowed."""
        few = self._by_address[address] < self._limits.connections_per_address or is_loopback(address)
        return few and not self._full(_SLACK)

    def joined(self, connection: Connection) -> None:
        """A client connected."""
        self._members[connection] = network(connection.peer)
        self._by_address[connection.peer] += 1
        if self._port is None:
            return
        self._port.numberAccepts = _AT_ONCE
        if self._full(-_SLACK):
            self._make_room(connection)
        if self._full() and not self._paused:
            self._paused = True
            self._port.pauseProducing()

    def _make_room(self, newcomer: Connection) -> None:
        """Near the limit, so that the platform's health check still gets in: close clients between two requests; else
        those of the network that has the most connections which have not sent a request, or at the limit one that
        stalled, if a network has more of these. Somebody's only connection may be about to send one.
        """
        idle = tuple(islice((connection for connection in self._members if connection.idle()), 2 * _SLACK))
        for connection in idle:
            connection.transport.loseConnection()
        if idle:
            return
        silent = [one for one in self._members if one is not newcomer and one.silent()]
        counted = Counter(self._members[one] for one in silent).most_common(1)
        crowd = counted[0][1] if counted else 0
        if self._full() and self._end_stalled(crowd if crowd > 1 else 0):
            return
        if crowd > 1 or self._full():
            for connection in [one for one in silent if self._members[one] == counted[0][0]][:_SLACK]:
                connection.transport.abortConnection()

    def left(self, connection: Connection) -> None:
        """A connection closed."""
        self._members.pop(connection, None)
        self._by_address[connection.peer] -= 1
        if not self._by_address[connection.peer]:
            del self._by_address[connection.peer]
        self.look_for_room()

    def look_for_room(self) -> None:
        """Resume accepting if below the limit."""
        if self._paused and self._port is not None and not self._full():
            self._paused = False
            if not self._held:
                self._port.resumeProducing()

    def hold(self, held: bool) -> None:
        """Leave new clients in the kernel's queue, or accept them again."""
        self._held = held
        if self._port is not None and held:
            self._port.pauseProducing()
        elif self._port is not None and not self._paused:
            self._port.resumeProducing()

    def _full(self, slack: int = 0) -> bool:
        members = len(self._members) - slack
        return members >= self._limits.connections or members + self._in_use() >= self._limits.descriptors


def descriptor_budget() -> int:
    """Raise the open-file limit to its maximum. Returns how many descriptors connections may use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return max(64, (wanted if soft == resource.RLIM_INFINITY else soft) - _RESERVED)
