"""The connected clients: how many there may be, and when to leave further ones waiting in the kernel's queue."""

import resource
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Protocol

from parachute_hub.proxy.client_address import is_loopback
from parachute_hub.proxy.connection import Connection
from parachute_hub.proxy.model import Limits

# Left for everything that is no client and no module's connection: the database, children's pipes, files, probes.
_RESERVED = 128
_WANTED = 65_536
# How many clients Twisted may accept in one go (it doubles this at most), and how many more than the limit are let in
# for that reason: accepting cannot be stopped in the middle.
_AT_ONCE = 20
_SLACK = 64


class Port(Protocol):
    """What listens: Twisted's tcp.Port."""

    numberAccepts: int

    def pauseProducing(self) -> None:
        """Accept nobody for now."""

    def resumeProducing(self) -> None:
        """Accept again."""


class Crowd:
    """Every client connection. `in_use` tells how many connections to modules there are besides.

    A client too many from one address is turned away; this machine's own address is exempt, because it stands for
    everyone behind a proxy or a tunnel that runs here. When all are too many, or file descriptors run short, accepting
    stops until there is room: who waits in the queue is served later, who is turned away would try again at once.
    """

    def __init__(self, limits: Limits, in_use: Callable[[], int]) -> None:
        self._limits = limits
        self._in_use = in_use
        self._members: set[Connection] = set()
        self._by_address: Counter[str] = Counter()
        self._port: Port | None = None
        self._paused = False

    def __len__(self) -> int:
        return len(self._members)

    def __iter__(self) -> Iterator[Connection]:
        """A copy, because those who are asked to leave do so at once."""
        return iter(tuple(self._members))

    def listening(self, port: Port) -> None:
        """This is what accepts the clients."""
        self._port = port
        port.numberAccepts = _AT_ONCE

    def admits(self, address: str) -> bool:
        """Whether one more client from this address may come."""
        few = self._by_address[address] < self._limits.connections_per_address or is_loopback(address)
        return few and not self._full(_SLACK)

    def joined(self, connection: Connection) -> None:
        """A client is connected."""
        self._members.add(connection)
        self._by_address[connection.peer] += 1
        if self._port is None:
            return
        self._port.numberAccepts = _AT_ONCE
        if self._full() and not self._paused:
            self._paused = True
            self._port.pauseProducing()

    def left(self, connection: Connection) -> None:
        """The connection closed."""
        self._members.discard(connection)
        self._by_address[connection.peer] -= 1
        if not self._by_address[connection.peer]:
            del self._by_address[connection.peer]
        self.look_for_room()

    def look_for_room(self) -> None:
        """Accept again when there is room."""
        if self._paused and self._port is not None and not self._full():
            self._paused = False
            self._port.resumeProducing()

    def _full(self, slack: int = 0) -> bool:
        members = len(self._members) - slack
        return members >= self._limits.connections or members + self._in_use() >= self._limits.descriptors


def descriptor_budget() -> int:
    """Raise the process's limit of open files as far as it goes; how many of them connections may use."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _WANTED if hard == resource.RLIM_INFINITY else min(_WANTED, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return max(64, (wanted if soft == resource.RLIM_INFINITY else soft) - _RESERVED)
