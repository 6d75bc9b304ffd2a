"""Ends modules that nobody uses, and wakes them for the next request, which waits meanwhile.

A sleeping module has no process. Its port stays its own. Only modules that the owner allowed to sleep do.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from attrs import field
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from parachute_hub.supervise.memory.policy import Container
from parachute_hub.supervise.model import ModuleState, Status
from parachute_hub.system.records import define, frozen
from parachute_hub.system.timers import FailureLog, Rest

PERIOD = 5.0
RESTING = 30.0
# What a module is expected to need if it never ran, in bytes.
_UNKNOWN = 64 << 20
# In use beyond this fraction of the limit, a module is woken only once another one sleeps.
_FULL = 0.9
# In seconds: a module that was used just now does not make room for others, which wait for that.
_JUST_USED = 0.3
_ROOM_POLL = 0.1
_ROOM_SECONDS = 10.0
# How long one that is ending is waited for before another one has to sleep.
_ENDING_SECONDS = 2.0
_RUNNING = (ModuleState.READY, ModuleState.DEGRADED)


class NoRoom(Exception):
    """No memory is left to wake a module, and no other one can sleep."""


class SleepingModules(Protocol):
    """The part of the supervisor that is used."""

    def all(self) -> list[Status]:
        """The status of every module."""

    def status(self, short: str) -> Status | None:
        """The status of one module; None if unknown."""

    def owned_port(self, short: str) -> int | None:
        """The port on which its own processes listen."""

    def container(self) -> Container:
        """Memory in use and the limit."""

    def size(self, short: str) -> int | None:
        """The module's latest memory use in bytes; None if it never ran."""

    async def sleep(self, short: str, why: str) -> Status | None:
        """End the process until somebody needs the module."""

    async def wake(self, short: str) -> Status | None:
        """Start a module that sleeps. Resolves when ready, slow or failed."""


@frozen
class Usage:
    """How a running module that may sleep is used: the seconds since, and the size in bytes."""

    short: str
    unused: float
    size: int


def to_end(idle: Sequence[Usage], used: int, need: int, limit: int) -> list[str] | None:
    """Which modules must sleep so that `need` more bytes fit: the least recently used first. None if none helps.

    >>> to_end([Usage("a", 5.0, 40), Usage("b", 60.0, 40)], used=80, need=40, limit=120)
    ['b']
    """
    missing, chosen = used + need - limit * _FULL, []
    for module in sorted(idle, key=lambda one: -one.unused):
        if missing <= 0:
            break
        if module.unused >= _JUST_USED:
            chosen.append(module.short)
            missing -= module.size
    return chosen if missing <= 0 else None


def _ends(status: Status) -> bool:
    """Whether its process is being ended, and no other one follows."""
    return status.state is ModuleState.STOPPING and status.pid is not None and not status.start_follows


@define
class _Seen:
    """A module's requests when it was last looked at, and when it was last in use."""

    requests: int
    at: float


@define(kw_only=True)
class Sleeper:
    """Watches the modules' use.

    `after` is the seconds without use after which a module sleeps; None if it may not. `requests` counts a module's
    requests so far, `under_way` those open at its port. `busy` asks the module on a port whether it works on something,
    `claimed` says whether an operation of the hub, such as an upgrade, does.
    `refused` has the modules that could not be woken for lack of memory, until they run.
    """

    modules: SleepingModules
    after: Callable[[str], float | None]
    requests: Callable[[str], int]
    under_way: Callable[[int], int]
    busy: Callable[[int], Awaitable[bool]]
    claimed: Callable[[str], bool]
    clock: Any
    refused: set[str] = field(factory=set, init=False)
    _seen: dict[str, _Seen] = field(factory=dict, init=False)
    _waking: dict[str, list["Deferred[None]"]] = field(factory=dict, init=False)
    _failures: FailureLog = field(factory=FailureLog, init=False)
    _log = Logger()

    def start(self, rest: Rest) -> LoopingCall:
        """Look at the modules every PERIOD seconds, or RESTING while nobody uses the hub."""
        look = lambda: Deferred.fromCoroutine(self.look())  # noqa: E731
        return rest.every(PERIOD, RESTING, look, "Looking for unused modules")

    async def look(self) -> None:
        """Let those sleep that were not used for long enough, and do not report a problem of their own."""
        for status in self.modules.all():
            allowed = self.after(status.short)
            if status.state not in _RUNNING:
                self._seen.pop(status.short, None)
                continue
            self.refused.discard(status.short)
            if (
                self._unused(status) >= (allowed or float("inf"))
                and not status.reports
                and not self.claimed(status.short)
            ):
                minutes = f"{(allowed or 0) / 60:g} min"
                await self._failures.wait(
                    f"Letting {status.short} sleep", self._end, status.short, f"Nobody used it for {minutes}."
                )

    async def wake(self, short: str) -> None:
        """Resolves once the module answers or cannot be started. Raises NoRoom.

        Callers that come meanwhile wait for the same start.
        """
        waiter: Deferred[None] = Deferred()
        self._waking.setdefault(short, []).append(waiter)
        if len(self._waking[short]) == 1:
            Deferred.fromCoroutine(self._wake(short)).addBoth(self._woken, short)
        await waiter

    async def reach(self, short: str, seconds: float) -> int | None:
        """The port of the module's own processes, woken if it sleeps; None if it does not run.

        For the hub's own requests, which are not counted: the module is in use for that many seconds.
        """
        status = self.modules.status(short)
        if status is not None and status.wakes:
            with suppress(NoRoom):
                await self.wake(short)
        self._seen[short] = _Seen(self.requests(short), self.clock.seconds() + seconds)
        return self.modules.owned_port(short)

    def _woken(self, result: Any, short: str) -> None:
        for waiter in self._waking.pop(short):
            waiter.callback(result)

    async def _wake(self, short: str) -> None:
        status = self.modules.status(short)
        if status is not None and status.state is ModuleState.ASLEEP:
            await self._make_room(short)
        self.refused.discard(short)
        self._seen.pop(short, None)
        await self.modules.wake(short)

    async def _make_room(self, short: str) -> None:
        begun = self.clock.seconds()
        by, soon = begun + _ROOM_SECONDS, begun + _ENDING_SECONDS
        while self.clock.seconds() <= by:
            ending: list[str] = []
            chosen = self._to_end(short)
            if chosen is None or (chosen and self.clock.seconds() < soon):
                ending = [status.short for status in self.modules.all() if _ends(status)]
            until = by if chosen is None else soon
            if ending:
                chosen = self._to_end(short, ending)
            if chosen is not None and all([await self._end(other, f"It made room for {short}.") for other in chosen]):
                if await self._gone([*ending, *chosen], until):
                    return
            elif not self._may_sleep(short):
                break
            await deferLater(self.clock, _ROOM_POLL)
        self.refused.add(short)
        raise NoRoom(short)

    async def _gone(self, shorts: Sequence[str], until: float) -> bool:
        """Whether none of these modules has a process any more; waits for those that are ending."""
        found = [self.modules.status(short) for short in shorts]
        while any(status is not None and _ends(status) for status in found) and self.clock.seconds() < until:
            await deferLater(self.clock, _ROOM_POLL)
            found = [self.modules.status(short) for short in shorts]
        return all(status is None or status.pid is None for status in found)

    def _may_sleep(self, but: str) -> list[Status]:
        """The running modules that may sleep now."""
        return [
            status
            for status in self.modules.all()
            if status.short != but
            and status.state in _RUNNING
            and self.after(status.short) is not None
            and not self.claimed(status.short)
        ]

    def _to_end(self, short: str, ending: Sequence[str] = ()) -> list[str] | None:
        """Which modules must sleep, as if those that are ending were gone."""
        container = self.modules.container()
        if container.limit is None or container.used is None:
            return []
        idle = [
            Usage(status.short, self._unused(status), self.modules.size(status.short) or _UNKNOWN)
            for status in self._may_sleep(short)
        ]
        # Those that are being woken have not taken all of their memory yet.
        need = sum(self.modules.size(waking) or _UNKNOWN for waking in self._waking)
        leaving = sum(self.modules.size(other) or 0 for other in ending)
        return to_end(idle, container.used - leaving, need, container.limit)

    async def _end(self, short: str, why: str) -> bool:
        """Let a module sleep. False if it works on something."""
        port = self.modules.owned_port(short)
        if port is not None and await self.busy(port):
            self._seen[short] = _Seen(self.requests(short), self.clock.seconds())
            return False
        status = self.modules.status(short)
        # Meanwhile a request may have come, or a person may have stopped it.
        if status is None or (port is not None and self.under_way(port)) or self.claimed(short):
            return False
        if status.state in _RUNNING:
            self._log.info("{short} sleeps: {why}", short=short, why=why)
            await self.modules.sleep(short, why)
        return True

    def _unused(self, status: Status) -> float:
        """Seconds since the module was last seen in use."""
        count = self.requests(status.short)
        now: float = self.clock.seconds()
        port = self.modules.owned_port(status.short)
        seen = self._seen.get(status.short)
        if seen is None or seen.requests != count or (port is not None and self.under_way(port)):
            self._seen[status.short] = seen = _Seen(count, max(now, seen.at if seen else now))
        return now - seen.at
