"""Keeps the memory of clients that the hub waits for within a budget, by cutting off those that stalled."""

from collections.abc import Iterable, Iterator
from itertools import islice

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from parachute_hub.proxy.backlog import Backlog, Holding
from parachute_hub.proxy.connection import Connection
from parachute_hub.proxy.interfaces import ReadState
from parachute_hub.proxy.limits import Limits
from parachute_hub.proxy.shares import EVERYBODY, network
from parachute_hub.proxy.transport import progress, unread, unsent
from parachute_hub.system.heap import give_back_after_a_crowd
from parachute_hub.system.records import frozen
from parachute_hub.system.timers import FailureLog

# Objects for one client: the hub's, about 7 KB, the kernel's, about 14 KB, and the module's.
_CLIENT = 32 * 1024
# Bytes: less than that is not worth returning.
_CROWD = 4 * 1024 * 1024
# Bytes within a second: who takes as much uses what is held for it, and is not stalled.
_FLOWING = 64 * 1024
# How much more than stalled clients may be held for those.
_CREDIT_SHARE = 4
# Bytes that one which flows may take until it is measured again: a module's kernel holds more, the more was taken.
_AGAIN = 128 * 1024
# Measuring one takes some 25 µs. Nobody waits while a crowd of them is measured: so many at once, and all within
# so many seconds.
_SLICE, _ROUND = 8, 0.8
_REPORTED_EVERY = 60.0
_MEASURING = "Measuring stalled clients"


@frozen
class _Credit:
    """Bytes that a client which flows holds, and how many it will have taken when it is measured again."""

    size: int
    until: int


class Stalls:
    """The clients of a front that it waits for."""

    _log = Logger()

    def __init__(self, limits: Limits, clock: IReactorTime) -> None:
        self._limits = limits
        self._clock = clock
        self._backlog: Backlog[Connection] = Backlog(
            most_bytes=limits.stalled_bytes, share=limits.stalled_share, patience=limits.stalled_patience
        )
        self._cut = 0
        self._next_report = 0.0
        self._peak = 0
        # What clients had taken and sent when they were last measured.
        self._markers: dict[Connection, int] = {}
        self._credits: dict[Connection, _Credit] = {}
        self._credit_left = _CREDIT_SHARE * limits.stalled_bytes
        # Who is yet to be measured in this second, and when the next of them are.
        self._unmeasured: Iterator[Connection] = iter(())
        self._next_slice: IDelayedCall | None = None
        self._failures = FailureLog()
        self._failed = False

    def __len__(self) -> int:
        return len(self._backlog)

    @property
    def held(self) -> int:
        """Bytes that all of them hold, as last measured."""
        return self._backlog.held

    def stalled(self, connection: Connection, now: float) -> None:
        """The hub waits for this client."""
        marker = progress(connection.transport, self._markers.get(connection, 0))
        moved = marker - self._markers.setdefault(connection, marker)
        credit = self._credits.get(connection)
        if credit is not None and marker < credit.until:
            # It stalls hundreds of times a second.
            size = _CLIENT
        elif credit is not None or moved >= _FLOWING:
            size = self._credited(connection, _size(connection, exactly=True), marker + max(_AGAIN, moved))
        else:
            size = _size(connection, exactly=False)
        patient = connection.state is ReadState.TUNNEL
        self._backlog.add(connection, network(connection.address), Holding(size, 0, patient), now)
        self._keep_budget(connection.address, now)

    def moving(self, connection: Connection) -> None:
        """The hub no longer waits for it."""
        self._backlog.remove(connection)

    def closed(self, connection: Connection) -> None:
        """It is closed."""
        self._backlog.forget(connection)
        self._markers.pop(connection, None)
        self._end_credit(connection)

    def measure(self) -> None:
        """Once a second: whoever took or sent something meanwhile starts anew. Crowds are measured bit by bit."""
        self.stop()
        self._measure_each(self._unmeasured)
        if not self._failed:
            self._failures.worked(_MEASURING)
        self._failed = False
        for connection in [one for one in self._credits if one not in self._backlog]:
            self._end_credit(connection)
        self._after_a_crowd()
        self._report()
        members = self._backlog.members
        self._unmeasured = iter(members)
        self._measure_some(_ROUND * _SLICE / max(len(members), _SLICE))

    def stop(self) -> None:
        """Measure nobody until the next second."""
        if self._next_slice is not None and self._next_slice.active():
            self._next_slice.cancel()
        self._next_slice = None

    def _measure_some(self, pause: float) -> None:
        some = tuple(islice(self._unmeasured, _SLICE))
        if some:
            self._next_slice = self._clock.callLater(pause, self._measure_some, pause)
        self._measure_each(some)

    def _measure_each(self, some: Iterable[Connection]) -> None:
        for connection in some:
            try:
                self._measure(connection)
            except Exception:
                self._failed = True
                self._failures.failed(_MEASURING)

    def _measure(self, connection: Connection) -> None:
        if connection not in self._backlog:
            return
        now = self._clock.seconds()
        self._end_credit(connection)
        if connection.took_all(now):
            return
        size = _size(connection, exactly=True)
        marker = progress(connection.transport, -size)
        if marker - self._markers.get(connection, marker) >= _FLOWING:
            size = self._credited(connection, size, marker + _AGAIN)
        self._markers[connection] = marker
        patient = connection.state is ReadState.TUNNEL
        if self._backlog.measured(connection, Holding(size, marker, patient), now):
            connection.took_some(now)
        self._keep_budget(connection.address, now)

    def _credited(self, connection: Connection, size: int, until: int) -> int:
        """What one counts for that flows and holds `size`: its objects alone, while there is credit for that."""
        self._end_credit(connection)
        if size > self._credit_left:
            return size
        self._credits[connection] = _Credit(size, until)
        self._credit_left -= size
        return _CLIENT

    def _end_credit(self, connection: Connection) -> None:
        if (credit := self._credits.pop(connection, None)) is not None:
            self._credit_left += credit.size

    def _report(self) -> None:
        """Say how many were disconnected: at once, then at most once in so many seconds, for crowds last."""
        now = self._clock.seconds()
        if self._cut and now >= self._next_report:
            self._log.warn("Disconnected {count} stalled clients that held memory", count=self._cut)
            self._cut = 0
            self._next_report = now + _REPORTED_EVERY

    def _after_a_crowd(self) -> None:
        """Once most of what was held is free again, return it: the heap keeps it otherwise.

        Few small objects that outlive a crowd, made while it was there, keep as much memory as the crowd used.
        """
        held = self._backlog.held
        if held < self._peak / 4 and self._peak > _CROWD:
            self._backlog.forgive()
            network.cache_clear()
            give_back_after_a_crowd()
            self._peak = held
        self._peak = max(self._peak, held)

    def make_room(self, now: float, more_than: int) -> bool:
        """Cut off the longest stalled client of the network that has the most of them, because no other can connect.
        False if it has no more than so many.
        """
        victim = self._backlog.of_the_most(more_than)
        if victim is not None:
            self._end(victim, now)
        return victim is not None

    def _keep_budget(self, address: str, now: float) -> None:
        place, shared = network(address), address in EVERYBODY
        while (victim := self._backlog.excess(place, now, shared=shared)) is not None:
            self._end(victim, now)

    def _end(self, victim: Connection, now: float) -> None:
        self._backlog.cut(victim, now)
        self._cut += 1
        victim.transport.abortConnection()


def _size(connection: Connection, *, exactly: bool) -> int:
    waiting = unsent(connection.transport) + unread(connection.transport)
    return _CLIENT + waiting + connection.held(exactly=exactly)
