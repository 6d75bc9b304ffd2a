"""Replaces the hub by the version that is installed now, in the same process: docs/decisions/250."""

import os
import signal
import threading
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any, Literal, NoReturn, Protocol

from attrs import field
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from parachute_hub import __version__
from parachute_hub.app.handover import Left
from parachute_hub.app.proving import NotProven, Proven
from parachute_hub.settings import Settings
from parachute_hub.site.errors import Refused
from parachute_hub.system.records import define

# Until requests under way and operations have to be over. After that requests are cut off; operations prevent it.
DRAIN_SECONDS = 30.0
# How long clients wait in the kernel at a time. A request may need another one, for which nobody listens meanwhile.
HOLD_SECONDS = 2.0
# The answer to whoever asked for it goes out first.
_ANSWER_SECONDS = 0.2
_FIRST_PAUSE = 0.5
_POLL = 0.01
_FLUSH_SECONDS = 0.5
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_ELSEWHERE = {
    "render": "On Render, a new version comes with a deploy.",
    "fly": "On Fly, a new version comes with a deploy.",
}


class Replaceable(Protocol):
    """The composed hub."""

    def operation(self) -> str | None:
        """The operation that is under way, as a sentence."""

    def busy(self) -> str | None:
        """Why it cannot be replaced right now, as a sentence: an operation, or what is over soon."""

    def end_streams(self) -> None:
        """End the event streams of pages."""

    def hand_over(self) -> Left:
        """Close everything but what the next hub goes on with."""


class HeldClients(Protocol):
    """The front."""

    @property
    def busy(self) -> int:
        """Number of requests under way that will end by themselves."""

    def hold(self, held: bool) -> None:
        """Leave new clients and further requests in the kernel, or take them again."""

    def end_streams(self) -> None:
        """End WebSockets and event streams."""


@define(kw_only=True)
class RestartInPlace:
    """One restart at a time. `prove` raises NotProven. `leave` does not return: it runs the other version.

    `composed` is set once the hub is up. `state` is what it does now, `problem` why the last one did not happen.
    """

    reactor: Any
    front: HeldClients
    settings: Settings
    leave: Callable[[str], NoReturn]
    is_leaving: Callable[[], bool]
    prove: Callable[[], Awaitable[Proven]]
    composed: Replaceable | None = field(default=None, init=False)
    state: Literal["idle", "checking", "waiting"] = field(default="idle", init=False)
    problem: str = field(default="", init=False)
    _log = Logger()

    def refusal(self) -> Refused | None:
        """Why it cannot happen now."""
        elsewhere = _ELSEWHERE.get(self.settings.platform)
        if elsewhere is not None:
            return Refused(409, "not_here", elsewhere)
        if self.state != "idle":
            return Refused(409, "operation_in_progress", "The hub is about to restart already.")
        if self.composed is None or self.is_leaving():
            return Refused(409, "not_now", "The hub is starting or stopping.")
        found = self.composed.operation()
        return None if found is None else Refused(409, "operation_in_progress", f"{found} Try again once it is over.")

    async def begin(self) -> str:
        """Check the version that is installed now, and let it take over soon. Returns it. Raises Refused."""
        refusal = self.refusal()
        if refusal is not None:
            raise refusal
        self.state, self.problem = "checking", ""
        try:
            proven = await self.prove()
        except NotProven as error:
            self._not_done(f"The installed version would not start, so this one stays. {error}")
            raise Refused(409, "check_failed", self.problem) from None
        except BaseException:
            self.state = "idle"
            raise
        self.state = "waiting"
        taking = Deferred.fromCoroutine(self._take_its_time(proven.version))
        taking.addErrback(self._failed)
        return proven.version

    async def _take_its_time(self, version: str) -> None:
        """Wait for a moment without requests and operations, then make way."""
        seconds = self.reactor.seconds
        until, pause = seconds() + DRAIN_SECONDS, _FIRST_PAUSE
        await deferLater(self.reactor, _ANSWER_SECONDS)
        if version == __version__:
            self._log.info("Version {version} restarts soon", version=version)
        else:
            self._log.info("Version {version} takes over soon from {before}", version=version, before=__version__)
        while not self.is_leaving():
            busy = self._busy()
            if busy is None:
                self.front.hold(True)
                if (await self._quiet() or seconds() >= until) and not self.is_leaving() and self._busy() is None:
                    await self._make_way(version)
                    return
                self.front.hold(False)
            elif seconds() >= until:
                self._not_done(f"The hub did not restart, because it was at work. {busy}")
                return
            await deferLater(self.reactor, pause)
            pause *= 2
        self._not_done("The hub was stopped.")

    def _busy(self) -> str | None:
        return self.composed.busy() if self.composed is not None else None

    async def _quiet(self) -> bool:
        """Whether all requests that are under way end within HOLD_SECONDS."""
        return await self._until(lambda: not self.front.busy, HOLD_SECONDS)

    async def _until(self, over: Callable[[], bool], within: float) -> bool:
        until = self.reactor.seconds() + within
        while not over():
            if self.reactor.seconds() >= until:
                return False
            await deferLater(self.reactor, _POLL)
        return True

    async def _make_way(self, version: str) -> None:
        if self.composed is not None:
            self.composed.end_streams()
        self.front.end_streams()
        # Programs that end with this hub are reaped by it.
        await self._until(lambda: not self.front.busy and self._busy() is None, _FLUSH_SECONDS)
        keep_signals()
        # A signal that came just before is a call that the reactor has not made yet: it stops in its second turn.
        for _ in range(2):
            await deferLater(self.reactor, 0)
        if self.is_leaving():
            return
        try:
            self.leave(version)
        except BaseException:
            # Half of it is closed. The modules end with this process, and whoever started it starts another one.
            self._log.failure("The hub could not make way, and ends")
            os._exit(1)

    def _failed(self, failure: Failure) -> None:
        self._log.failure("The hub could not restart in place", failure)
        self.front.hold(False)
        self._not_done("The hub did not restart, because of an error that its log has.")

    def _not_done(self, why: str) -> None:
        self.state, self.problem = "idle", why
        self._log.warn("{why}", why=why)


def keep_signals() -> None:
    """Let signals to end wait for the hub that comes, also one that has just arrived. Only in the main thread.

    Other threads do not block them and may get them, but Python calls the handler in the main thread. What that one
    sends to itself waits there, since it blocks it, and execve(2) keeps what waits.
    """

    def put_back(number: int, frame: FrameType | None) -> None:
        signal.pthread_kill(threading.get_ident(), number)

    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    for number in _SIGNALS:
        signal.signal(number, put_back)


def heed_signals() -> None:
    """Take the signals that waited, and those to come."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)


def end_processes(left: Left) -> None:
    """End processes that no hub goes on with. Their supervisor would have swept them at its next start."""
    for pid in _groups(left):
        with suppress(OSError):
            os.killpg(pid, signal.SIGTERM)


def _groups(left: Left) -> Sequence[int]:
    return [one.process.pid for one in left.modules if one.process is not None]
