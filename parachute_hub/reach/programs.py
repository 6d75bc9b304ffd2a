"""Runs the programs of others on this machine: found in the usual places, with little of the hub's environment."""

import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import psutil
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from parachute_hub.reach.findings import OUTPUT_LIMIT
from parachute_hub.system.records import frozen

TAG: Final = "PARACHUTE_HUB_REACH"
"""In the environment of what the hub leaves running, with the hub's home: finds it again after a crash."""
LOOK_SECONDS: Final = 8.0
RUN_SECONDS: Final = 60.0
KILL_SECONDS: Final = 5.0
_PLACES: Final = ("/usr/local/bin", "/opt/homebrew/bin", "/usr/bin", "/Applications/Tailscale.app/Contents/MacOS")
_KEPT: Final = 64 * 1024


@frozen(kw_only=True)
class Ran:
    """How a program ended. `code` is None if it had to be ended: it was too slow, or said enough."""

    code: int | None
    out: str
    err: str

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def said(self) -> str:
        """Everything that it wrote."""
        return f"{self.out}\n{self.err}"


class Running(ProcessProtocol):
    """One process. `ended` fires with a Ran; `heard` is called with the end of its output whenever there is more."""

    def __init__(self, reactor: Any, heard: Callable[[str], None], limit: int) -> None:
        self.ended: Deferred[Ran] = Deferred()
        self.is_over = False
        self._reactor = reactor
        self._heard = heard
        self._limit = limit
        self._written = {1: bytearray(), 2: bytearray()}

    @property
    def said(self) -> str:
        """Its output so far."""
        return "\n".join(content.decode("utf-8", "replace") for content in self._written.values())

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Keep the newest."""
        content = self._written[childFD]
        content += data
        del content[: max(0, len(content) - self._limit)]
        self._heard(self.said)

    def processEnded(self, reason: Failure) -> None:
        """It is gone, and its pipes are closed."""
        self.is_over = True
        code = 0 if reason.check(ProcessDone) else getattr(reason.value, "exitCode", None)
        out, err = (content.decode("utf-8", "replace") for content in self._written.values())
        self.ended.callback(Ran(code=code, out=out, err=err))

    def end(self) -> "Deferred[Ran]":
        """Ask it to end, and kill it if it does not."""
        gone: Deferred[Ran] = Deferred()
        if not self.is_over:
            self._signal(signal.SIGTERM)
            late = self._reactor.callLater(KILL_SECONDS, self._signal, signal.SIGKILL)
            self.ended.addCallback(_unless(late))

        def tell(ran: Ran) -> Ran:
            gone.callback(ran)
            return ran

        self.ended.addCallback(tell)
        return gone

    def _signal(self, number: signal.Signals) -> None:
        if self.transport is not None and not self.is_over:
            with suppress(Exception):
                self.transport.signalProcess(number.name[3:])


def _unless(call: Any) -> Callable[[Ran], Ran]:
    def cancel(ran: Ran) -> Ran:
        if call.active():
            call.cancel()
        return ran

    return cancel


@frozen(kw_only=True)
class Programs:
    """`environment` is what they may see; `tag` names this hub's home."""

    reactor: Any
    environment: Mapping[str, str]
    tag: str

    def find(self, name: str) -> str | None:
        """The path of a program, also where services and apps have no PATH to."""
        path = ":".join((*self.environment.get("PATH", "").split(":"), *_PLACES))
        return shutil.which(name, path=path)

    def start(
        self, command: Sequence[str], heard: Callable[[str], None] = lambda said: None, *, limit: int = _KEPT
    ) -> Running:
        """Start a program. Raises OSError."""
        running = Running(self.reactor, heard, limit)
        environment = {**self.environment, TAG: self.tag}
        self.reactor.spawnProcess(
            running, command[0], list(command), env=environment, path="/", childFDs={0: "w", 1: "r", 2: "r"}
        )
        assert running.transport is not None  # noqa: S101
        running.transport.closeStdin()
        return running

    async def run(
        self,
        command: Sequence[str],
        *,
        seconds: float = RUN_SECONDS,
        enough: Callable[[str], bool] = lambda said: False,
        limit: int = _KEPT,
    ) -> Ran:
        """Run a program to its end, or until it has said `enough`, for which it waits in vain. Never raises."""

        def heard(said: str) -> None:
            if enough(said):
                running.end()

        try:
            running = self.start(command, heard, limit=limit)
        except OSError as error:
            return Ran(code=None, out="", err=f"{command[0]} cannot be run: {error.strerror}")
        late = self.reactor.callLater(seconds, running.end)
        running.ended.addCallback(_unless(late))
        return await running.ended

    async def look(self, command: Sequence[str]) -> Ran:
        """Run one that only tells something."""
        return await self.run(command, seconds=LOOK_SECONDS, limit=OUTPUT_LIMIT)


def end_left_over(tag: str) -> int:
    """End what an earlier hub of this home left running, after a crash. Returns how many. Blocks."""
    ended = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.uids().real == _own_uid() and process.environ().get(TAG) == tag:
                process.terminate()
                ended.append(process)
    _, deaf = psutil.wait_procs(ended, timeout=KILL_SECONDS)
    for process in deaf:
        with suppress(psutil.Error):
            process.kill()
    return len(ended)


def _own_uid() -> int:
    return int(psutil.Process().uids().real)
