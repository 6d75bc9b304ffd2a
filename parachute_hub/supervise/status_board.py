"""The published status of one module, and those who wait for it to settle."""

from collections.abc import Callable
from typing import Any

from attrs import evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from parachute_hub.supervise.model import ModuleState, Status
from parachute_hub.system.records import define

_log = Logger()


@define
class StatusBoard:
    """`late`: a module that starts counts as settled, since its first answer takes long."""

    status: Status
    _clock: IReactorTime
    _emit: Callable[[Status], None]
    late: bool = False
    _waiters: list[Deferred[Status]] = field(factory=list, init=False)

    def set(self, **changes: Any) -> None:
        """Change the status."""
        self.status = evolve(self.status, **changes)

    def publish(self) -> None:
        """Tell everybody."""
        try:
            self._emit(self.status)
        except Exception:
            _log.failure("Publishing the status of {short} failed", short=self.status.short)
        self._answer_soon()

    async def settled(self) -> Status:
        """Resolves with the status once it is neither starting nor stopping, or is late with its first answer."""
        waiter: Deferred[Status] = Deferred()
        self._waiters.append(waiter)
        self._answer_soon()
        return await waiter

    def _answer_soon(self) -> None:
        """Defer until the current transition is done, since a waiter may issue the next command immediately."""
        if self._waiters:
            self._clock.callLater(0, self._answer)

    def _answer(self) -> None:
        state = self.status.state
        if self.late if state is ModuleState.STARTING else state is not ModuleState.STOPPING:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                waiter.callback(self.status)
