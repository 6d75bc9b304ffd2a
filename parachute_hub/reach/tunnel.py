"""A program that has to go on running for the way to be open. It is started again when it ends by itself."""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from parachute_hub.reach.findings import last_words
from parachute_hub.reach.programs import Ran, Running

READY_SECONDS: Final = 60.0
_FIRST_WAIT, _LONGEST_WAIT = 2.0, 300.0
# One that ran for so long begins anew with the shortest wait.
_RAN_WELL: Final = 600.0
_log = Logger()


class Starts(Protocol):
    """`programs.Programs.start`."""

    def __call__(self, command: Sequence[str], heard: Callable[[str], None]) -> Running: ...


class DidNotStart(Exception):
    """The program ended, or said nothing of what was waited for. The text says why."""


class Tunnel:
    """`command` runs until `stop`. `ready` finds in its output what shows that it works.

    `again`: it is started again when it ends, with longer and longer waits.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        start: Starts,
        clock: IReactorTime,
        ready: Callable[[str], str | None],
        again: bool = True,
    ) -> None:
        self._command = tuple(command)
        self._start = start
        self._clock = clock
        self._ready = ready
        self._again = again
        self._running: Running | None = None
        self._waiting: Deferred[str] | None = None
        self._retry: IDelayedCall | None = None
        self._wait = _FIRST_WAIT
        self._began = 0.0
        self._stopped = False
        self.why = ""

    @property
    def is_up(self) -> bool:
        """True while the program runs."""
        return self._running is not None and not self._running.is_over

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        transport = self._running.transport if self._running is not None and not self._running.is_over else None
        return transport.pid if transport is not None else None

    async def open(self) -> str:
        """Start it, and wait until it works. Returns what `ready` found. Raises DidNotStart, and nothing runs then."""
        waiting: Deferred[str] = Deferred()
        self._waiting = waiting
        self._run()
        late = self._clock.callLater(READY_SECONDS, self._give_up)
        try:
            return await waiting
        except DidNotStart:
            await self.stop()
            raise
        finally:
            self._waiting = None
            if late.active():
                late.cancel()

    def keep(self) -> None:
        """Start it without waiting: as after a restart of the hub."""
        self._run()

    async def stop(self) -> None:
        """End it, and wait until it is gone."""
        self._stopped = True
        if self._retry is not None and self._retry.active():
            self._retry.cancel()
        if self._running is not None and not self._running.is_over:
            await self._running.end()

    def _run(self) -> None:
        self._retry = None
        self._began = self._clock.seconds()
        try:
            self._running = self._start(self._command, self._heard)
        except OSError as error:
            self._ended(Ran(code=None, out="", err=f"{self._command[0]} cannot be run: {error.strerror}"))
        else:
            self._running.ended.addCallback(self._gone)

    def _heard(self, said: str) -> None:
        found = self._ready(said) if self._waiting is not None else None
        if found is not None and self._waiting is not None and not self._waiting.called:
            self._waiting.callback(found)

    def _gone(self, ran: Ran) -> Ran:
        self._ended(ran)
        return ran

    def _ended(self, ran: Ran) -> None:
        self.why = last_words(ran.said) or f"It ended with {ran.code}."
        if self._waiting is not None and not self._waiting.called:
            self._waiting.errback(DidNotStart(self.why))
            return
        if self._stopped:
            return
        _log.warn("{program} ended: {why}", program=self._command[0], why=self.why)
        if self._again:
            if self._clock.seconds() - self._began > _RAN_WELL:
                self._wait = _FIRST_WAIT
            self._retry = self._clock.callLater(self._wait, self._run)
            self._wait = min(_LONGEST_WAIT, 2 * self._wait)

    def _give_up(self) -> None:
        if self._waiting is not None and not self._waiting.called:
            said = last_words(self._running.said) if self._running is not None else ""
            self._waiting.errback(DidNotStart(f"It did not get ready within a minute. {said}".strip()))
