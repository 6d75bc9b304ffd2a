"""Keeps the memory of clients that stopped moving within a budget, by cutting off the longest stalled."""

from twisted.logger import Logger

from parachute_hub.proxy.backlog import Backlog
from parachute_hub.proxy.client_address import is_loopback
from parachute_hub.proxy.connection import Connection
from parachute_hub.proxy.interfaces import ReadState
from parachute_hub.proxy.limits import Limits
from parachute_hub.proxy.transport import unsent

# Bytes that a request body may occupy on its way to the module: the queue before the connection, or its write buffer.
_BODY_HELD = 64 * 1024
_RESPONDING = (ReadState.RESPONSE, ReadState.TUNNEL)


class Stalls:
    """The stalled clients of a front."""

    _log = Logger()

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._backlog: Backlog[Connection] = Backlog(
            most=limits.stalled, most_bytes=limits.stalled_bytes, share=limits.stalled_share
        )
        self._cut = 0

    def __len__(self) -> int:
        return len(self._backlog)

    def stalled(self, connection: Connection, now: float) -> None:
        """A client holds memory and does not move on."""
        self._backlog.add(connection, connection.address, _held(connection), now)
        self._keep_budget(connection.address)

    def moving(self, connection: Connection) -> None:
        """It moves on, or is closed."""
        self._backlog.remove(connection)

    def measure(self, now: float) -> None:
        """Once a second: whoever took something meanwhile starts anew."""
        for connection in self._backlog.members:
            before = self._backlog.held
            self._backlog.measured(connection, _held(connection), now)
            if self._backlog.held < before and connection.deadline is not None and connection.state in _RESPONDING:
                connection.deadline = now + self._limits.stall_seconds
        for connection in self._backlog.members[:1]:
            self._keep_budget(connection.address)
        if self._cut:
            self._log.warn("Disconnected {count} stalled clients that held memory", count=self._cut)
            self._cut = 0

    def _keep_budget(self, address: str) -> None:
        while (victim := self._backlog.excess(address, shared=is_loopback(address))) is not None:
            self._backlog.remove(victim)
            self._cut += 1
            victim.transport.abortConnection()


def _held(connection: Connection) -> int:
    """Bytes: what the client has not taken, what of its requests waits, and what a body may occupy."""
    waiting = connection.buffered() + connection.behind + unsent(connection.transport)
    return waiting + _BODY_HELD if connection.state is ReadState.BODY else waiting
