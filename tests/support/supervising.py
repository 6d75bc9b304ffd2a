"""A supervisor without processes: modules have the state that the test sets."""

from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from typing import Any

from attrs import define, evolve, field

from parachute_hub.supervise.model import ModuleState, Status
from parachute_hub.supervise.output.log_ring import LogRing


async def _kept_nowhere(short: str, on: bool) -> None:
    """Whether it is enabled is not asked for."""


@define
class FakeSupervisor:
    """The Supervisor's interface. `outcome` is the status after a start, by short name."""

    want: Callable[[str, bool], Awaitable[None]] = _kept_nowhere
    outcome: dict[str, Status] = field(factory=dict)
    calls: list[tuple[str, str]] = field(factory=list)
    listening: dict[str, list[int]] = field(factory=dict)
    _statuses: dict[str, Status] = field(factory=dict)
    _rings: dict[str, LogRing] = field(factory=dict)
    _pids: Iterator[int] = field(factory=lambda: count(4711))

    async def start(self, short: str) -> Status:
        """Ready immediately, unless `outcome` says otherwise."""
        return await self._started("start", short)

    async def restart(self, short: str, why: str = "") -> Status:
        return await self._started("restart", short)

    async def stop(self, short: str) -> Status:
        self.calls.append(("stop", short))
        await self.want(short, False)
        self._rings.setdefault(short, LogRing(65536))
        return self._put(short, ModuleState.STOPPED)

    async def remove(self, short: str) -> None:
        self.calls.append(("remove", short))
        self._statuses.pop(short, None)
        self._rings.pop(short, None)

    def status(self, short: str) -> Status | None:
        return self._statuses.get(short)

    def owned_port(self, short: str) -> int | None:
        """The first of `listening`."""
        return next(iter(self.listening.get(short, [])), None)

    def all(self) -> list[Status]:
        """Every module that was ever started."""
        return list(self._statuses.values())

    def log(self, short: str) -> LogRing | None:
        """Its log, once it was started or stopped."""
        return self._rings.get(short)

    async def listens(self, short: str) -> list[int]:
        return self.listening.get(short, [])

    def say(self, short: str, text: str) -> None:
        """The module writes a line."""
        self._rings[short].append(0.0, text)

    async def _started(self, word: str, short: str) -> Status:
        self.calls.append((word, short))
        await self.want(short, True)
        self._rings.setdefault(short, LogRing(65536))
        told = self.outcome.get(short)
        if told is None:
            return self._put(short, ModuleState.READY, pid=next(self._pids))
        self._statuses[short] = evolve(told, short=short)
        return self._statuses[short]

    def _put(self, short: str, state: ModuleState, **fields: Any) -> Status:
        self._statuses[short] = Status(short=short, state=state, reason="As the test says.", since=0.0, **fields)
        return self._statuses[short]
