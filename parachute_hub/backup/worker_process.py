"""Runs the worker process of `archive.worker`: one job, its reports, and its archive in or out."""

import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.interfaces import IReactorProcess
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from parachute_hub.system import strict_json
from parachute_hub.system.loading import lazily
from parachute_hub.system.records import define

with lazily():
    from parachute_hub.backup.archive import layout

MODULE = "parachute_hub.backup.archive.worker"
LINE_BYTES = 2 * 1024 * 1024
_ERROR_BYTES = 16 * 1024
SILENCE_SECONDS = 1800.0
"""Copying a large database on a slow disk reports nothing, so this is long."""
ENDING_SECONDS = 10.0
_STALLED = (
    "Nothing happened there for a long time, so this was given up. Check that the disk or service answers, then "
    "try again."
)
_log = Logger()


class WorkFailed(Exception):
    """The worker reported why it failed; the text is for people, `kind` a stable word."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Sink(Protocol):
    """Takes an archive that is downloaded."""

    def write(self, data: bytes) -> None:
        """The next bytes."""


class Run:
    """One running worker.

    `ended` fires with its last report, or fails with WorkFailed. Cancelling it kills the process and waits for its end.
    """

    def __init__(
        self,
        reactor: IReactorProcess,
        command: list[str],
        environment: Mapping[str, str],
        job: Mapping[str, Any],
        *,
        on_report: Callable[[Mapping[str, Any]], None],
        sink: Sink | None = None,
        keep_stdin: bool = False,
    ) -> None:
        self.ended: Deferred[Mapping[str, Any]] = Deferred(lambda _: self.kill())
        self.gone: Deferred[None] = Deferred()
        self._protocol = _Protocol(self, on_report, sink)
        self._process: Any = reactor.spawnProcess(
            self._protocol,
            command[0],
            command,
            env=dict(environment),
            childFDs={0: "w", 1: "r", 2: "r", 3: "r"},
        )
        self.pid: int = self._process.pid
        self._process.write(strict_json.write(dict(job)) + b"\n")
        if not keep_stdin:
            self._process.closeStdin()

    def feed(self, data: bytes) -> "Deferred[None]":
        """The next bytes of an archive that is uploaded; fires when the worker took them."""
        if self._protocol.over or 0 not in self._process.pipes:
            return _failed("The restore has ended.")
        taken: Deferred[None] = Deferred()
        self._protocol.waiting = taken
        self._process.writeToChild(0, data)
        pipe = self._process.pipes[0]
        pipe.registerProducer(_Taken(pipe, taken, self._protocol), False)
        return taken

    def finish(self) -> None:
        """The archive is complete."""
        if not self._protocol.over:
            self._process.closeStdin()

    def pause(self) -> None:
        """Take no more of its archive for now."""
        if 1 in self._process.pipes:
            self._process.pipes[1].pauseProducing()

    def resume(self) -> None:
        """Go on."""
        if 1 in self._process.pipes:
            self._process.pipes[1].resumeProducing()

    def give_up(self) -> None:
        """End it because it reports nothing. Nobody waits for its end: on a lost disk it may live on."""
        if not self.ended.called:
            self.ended.errback(WorkFailed("stalled", _STALLED))
        self.kill()

    def kill(self) -> None:
        """End it at once."""
        with suppress(Exception):
            self._process.signalProcess(signal.SIGKILL.name[3:])


@define(eq=False)
class _Taken:
    """Asks to be told when a pipe has written everything."""

    _pipe: Any
    _taken: "Deferred[None]"
    _protocol: "_Protocol"

    def resumeProducing(self) -> None:
        """Everything was written."""
        self._pipe.unregisterProducer()
        self._protocol.waiting = None
        if not self._taken.called:
            self._taken.callback(None)

    def stopProducing(self) -> None:
        """The pipe is closed; the process's end tells."""


class _Protocol(ProcessProtocol):
    """Collects the reports."""

    def __init__(self, run: Run, on_report: Callable[[Mapping[str, Any]], None], sink: Sink | None) -> None:
        self._run = run
        self._on_report = on_report
        self._sink = sink
        self._partial = b""
        self._errors = bytearray()
        self._last: Mapping[str, Any] | None = None
        self.waiting: Deferred[None] | None = None
        self.over = False

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Reports, the archive, or what Python says of an error."""
        if childFD == 1 and self._sink is not None:
            self._sink.write(data)
        elif childFD == 2:
            self._errors += data[: _ERROR_BYTES - len(self._errors)]
        elif childFD == 3:
            *lines, self._partial = (self._partial + data).split(b"\n")
            for line in lines:
                self._report(line)

    def _report(self, line: bytes) -> None:
        report = strict_json.read(line, limit=LINE_BYTES).value
        if report["event"] in ("done", "failed"):
            self._last = report
        else:
            self._on_report(report)

    def processEnded(self, reason: Failure) -> None:
        """All pipes are closed and the process has exited. Why it ended is told first, then that it did."""
        self.over = True
        self._settle(reason)
        self._run.gone.callback(None)
        if self.waiting is not None and not self.waiting.called:
            self.waiting.errback(WorkFailed("failed", "The restore has ended."))

    def _settle(self, reason: Failure) -> None:
        if self._run.ended.called:
            return
        if self._last is not None and self._last["event"] == "done":
            self._run.ended.callback(self._last)
        elif self._last is not None:
            self._run.ended.errback(WorkFailed(str(self._last["kind"]), str(self._last["error"])))
        else:
            self._run.ended.errback(self._died(reason))

    def _died(self, reason: Failure) -> WorkFailed:
        # Its first line may hold secrets of the job, so only the lines of Python's own traceback are logged.
        text = self._errors.decode("utf-8", "replace")
        place = [line.strip() for line in text.splitlines() if line.startswith('  File "')][-1:]
        how = "without a report" if reason.check(ProcessDone) else f"({reason.getErrorMessage()})"
        _log.error("The backup process ended {how} {place}", how=how, place=" ".join(place))
        if getattr(reason.value, "signal", None) == signal.SIGKILL:
            return WorkFailed("killed", "The backup process was killed, perhaps because memory ran out. Try again.")
        return WorkFailed("failed", "The backup process ended unexpectedly. The hub's log has the details.")


@define
class Workers:
    """Starts workers. `environment` is what they may see; `wrapped` puts a command into a session of its own.

    `scratch` is the folder of their temporary files; `in_thread` runs what blocks.
    """

    reactor: Any
    environment: Mapping[str, str]
    wrapped: Callable[[list[str]], list[str]]
    scratch: Path
    in_thread: Callable[..., Awaitable[Any]]

    def start(
        self,
        job: Mapping[str, Any],
        on_report: Callable[[Mapping[str, Any]], None] = lambda report: None,
        *,
        sink: Sink | None = None,
        keep_stdin: bool = False,
    ) -> Run:
        """Start one. Raises WorkFailed when it cannot be started."""
        command = self.wrapped([sys.executable, "-m", MODULE])
        try:
            run = Run(
                self.reactor,
                command,
                self.environment,
                job,
                on_report=on_report,
                sink=sink,
                keep_stdin=keep_stdin,
            )
        except OSError as error:
            raise WorkFailed("failed", f"The backup process could not be started: {error.strerror}.") from error
        run.gone.addCallback(lambda _: Deferred.fromCoroutine(self._sweep(run.pid)))
        run.gone.addErrback(lambda failure: _log.failure("Temporary files of a backup could not be removed", failure))
        return run

    async def _sweep(self, pid: int) -> None:
        """One that was killed leaves what it had unpacked or copied."""
        await self.in_thread(remove_scratch, self.scratch, pid)

    async def do(
        self,
        job: Mapping[str, Any],
        on_report: Callable[[Mapping[str, Any]], None] = lambda report: None,
        *,
        silence: float = SILENCE_SECONDS,
    ) -> Mapping[str, Any]:
        """Run one to its end: its last report. Raises WorkFailed, also when it reports nothing for `silence` seconds.

        Cancelling ends the process first, unless it cannot be ended.
        """

        def heard(report: Mapping[str, Any]) -> None:
            quiet.reset(silence)
            on_report(report)

        run = self.start(job, heard)
        quiet = self.reactor.callLater(silence, run.give_up)
        try:
            return await run.ended
        except CancelledError:
            await self._gone(run)
            raise
        finally:
            if quiet.active():
                quiet.cancel()

    def _gone(self, run: Run) -> "Deferred[None]":
        over: Deferred[None] = Deferred()
        late = self.reactor.callLater(ENDING_SECONDS, over.callback, None)

        def ended(_: object) -> None:
            if late.active():
                late.cancel()
                over.callback(None)

        run.gone.addCallback(ended)
        return over


def remove_scratch(folder: Path, pid: int) -> None:
    """Remove the temporary files of the worker with this process id. Blocks."""
    for left in folder.glob(layout.scratch_prefix(pid) + "*"):
        shutil.rmtree(left, ignore_errors=True)


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """What a worker needs of the hub's environment: no secret of it."""
    names = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "PYTHONPATH", "VIRTUAL_ENV")
    return {name: environment[name] for name in names if name in environment}


def _failed(text: str) -> "Deferred[None]":
    failed: Deferred[None] = Deferred()
    failed.errback(WorkFailed("failed", text))
    return failed
