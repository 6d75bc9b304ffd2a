"""One module process in its own session, tracked until its whole group is gone."""

import fcntl
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Protocol, TypeAlias

from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from parachute_hub.confinement.kernel import NotConfined
from parachute_hub.confinement.rules import Confines, Rules
from parachute_hub.supervise.limits import Timing
from parachute_hub.supervise.output.output import Output
from parachute_hub.system.records import frozen

_STDIN, _STDOUT = 0, 1
# A flooding child is not blocked, which would stall bun's event loop, and its output is not kept: docs/decisions/050.
_DROP_PERIOD = 0.01
_DROP_BITES = 4
_DROP_BITE = 1 << 18
_PIPE = 1 << 20
_GROUP_POLL = 0.02


@frozen
class Exit:
    """How the process ended: exit `code`, or the number of a `signal`.

    `asked`: the hub had told it to end. `killed`: the hub had sent SIGKILL.
    """

    code: int | None
    signal: int | None
    asked: bool
    killed: bool

    @property
    def by_others(self) -> bool:
        """SIGKILL from elsewhere, such as the kernel's OOM killer."""
        return self.signal == signal.SIGKILL and not self.killed

    @property
    def signal_name(self) -> str | None:
        """The signal's name, as far as it has one; most real-time signals do not."""
        if not self.signal:
            return None
        try:
            return signal.Signals(self.signal).name
        except ValueError:
            return f"signal {self.signal}"

    def kind(self, oom: bool) -> str:
        """The mark in the module's log: `oom`, `stop` or `crash`."""
        if oom:
            return "oom"
        return "stop" if self.asked else "crash"

    def told(self, oom: bool, last: str) -> str:
        """A sentence for a user. `last` is the last line that the process wrote, which usually says why."""
        if oom:
            return "The system stopped it because memory ran out."
        if self.signal:
            return f"It was stopped by the system ({self.signal_name})."
        if self.code == 0:
            return "It exited without an error."
        said = f'Its last words: "{last}"' if last else "Check its log."
        return f"It exited with exit code {self.code}. {said}"


Start: TypeAlias = Callable[[Callable[[], int], Callable[[], object]], int]
"""Starts a process by the first function, which then waits for the second."""


Adopt: TypeAlias = Callable[[Any, ProcessProtocol, int, int, int], None]
"""`adopted.adopt`."""


def plainly(spawn: Callable[[], int], release: Callable[[], object]) -> int:
    """Start unconfined."""
    pid = spawn()
    release()
    return pid


def way(rules: Rules | None, confiner: Confines | None) -> Start:
    """How to start a launch with these rules. Raises NotConfined."""
    if rules is None:
        return plainly
    if confiner is None:
        raise NotConfined("nothing here can do that")
    return partial(confiner.start, rules)


class Spawner(Protocol):
    """The part of a reactor that spawns processes."""

    def spawnProcess(self, processProtocol: Any, executable: Any, *args: Any, **kwargs: Any) -> Any:
        """As in IReactorProcess."""


class Child(ProcessProtocol):
    """A running child. `ended` is called once, after the process is reaped, its output read and its group empty."""

    transport: Any

    def __init__(
        self,
        *,
        clock: IReactorTime,
        timing: Timing,
        output: Output,
        signal_group: Callable[[int, int], None],
        group_lives: Callable[[int], bool],
        ended: Callable[[Exit], None],
    ) -> None:
        self._clock = clock
        self._signal_group = signal_group
        self._group_lives = group_lives
        self._timing = timing
        self._output = output
        self._ended = ended
        self._exit: Exit | None = None
        self._kill: IDelayedCall | None = None
        self._drop: IDelayedCall | None = None
        self._drain: IDelayedCall | None = None
        self._asked = self._killed = False
        self._empty_by = 0.0
        self.pid = 0

    def spawn(self, reactor: Spawner, argv: tuple[str, ...], env: Mapping[str, str], start: Start = plainly) -> None:
        """Start the process by way of `start`. Raises OSError if the system is out of processes or descriptors."""
        gate, key = os.pipe()

        def spawned() -> int:
            reactor.spawnProcess(self, argv[0], argv, env=env, childFDs={_STDIN: gate, _STDOUT: "r"})
            return self.pid

        def release() -> None:
            with suppress(BrokenPipeError):
                os.write(key, b"\n")

        try:
            start(spawned, release)
        finally:
            os.close(gate)
            os.close(key)

    def take_over(self, adopt: Adopt, reactor: Any, pid: int, descriptor: int) -> None:
        """Go on with a process that an older hub started. Raises OSError if it is not a child of ours."""
        adopt(reactor, self, pid, descriptor, _STDOUT)

    def hand_over(self) -> int | None:
        """Stop reading its output. Returns the descriptor for a newer hub; None if the process has ended."""
        reader = self.transport.pipes.get(_STDOUT)
        if self._exit is not None or reader is None:
            return None
        if self._drop is not None:
            self._drop.cancel()
        reader.stopReading()
        return int(reader.fileno())

    def connectionMade(self) -> None:
        """Twisted callback: the process is running."""
        self.pid = self.transport.pid

    def end(self, grace: float) -> None:
        """SIGTERM to the group, SIGKILL after `grace` seconds. Idempotent; the shortest grace period wins."""
        self._asked = True
        if self._exit is not None:
            return
        self._signal(signal.SIGTERM)
        # A stopped process does not act on SIGTERM.
        self._signal(signal.SIGCONT)
        if self._kill is None:
            self._kill = self._clock.callLater(grace, self._kill_now)
        elif self._kill.getTime() > self._clock.seconds() + grace:
            self._kill.reset(grace)

    def kill(self) -> None:
        """SIGKILL the group now."""
        self._asked = self._killed = True
        self._signal(signal.SIGKILL)

    def _kill_now(self) -> None:
        self._kill = None
        self._output.note("it did not end in time and was killed")
        self.kill()

    def _signal(self, number: int) -> None:
        try:
            self._signal_group(self.pid, number)
        except ProcessLookupError:
            self._signal_leader(number)
        except PermissionError:
            return

    def _signal_leader(self, number: int) -> None:
        """In its first millisecond the child does not have its own group yet."""
        try:
            self.transport.signalProcess(number)
        except (ProcessExitedAlready, OSError):
            return

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """Twisted callback: output."""
        self._output.received(data)
        if self._output.flooded and self._drop is None and _STDOUT in self.transport.pipes:
            reader = self.transport.pipes[_STDOUT]
            reader.stopReading()
            _widen(reader.fileno())
            self._drop = self._clock.callLater(_DROP_PERIOD, self._drop_some, bytearray(_DROP_BITE))

    def _drop_some(self, buffer: bytearray) -> None:
        """Drain the pipe periodically in large reads, so that the child keeps running and the hub stays idle."""
        self._drop = None
        reader = self.transport.pipes.get(_STDOUT) if self.transport else None
        if reader is None:
            return
        size = 0
        for _ in range(_DROP_BITES):
            size = _read(reader.fileno(), buffer)
            if size > 0:
                self._output.dropped(buffer.count(b"\n", 0, size))
            if size < len(buffer):
                break
        if size == 0 or self._output.recovered():
            reader.startReading()
        else:
            self._drop = self._clock.callLater(_DROP_PERIOD, self._drop_some, buffer)

    def processExited(self, reason: Failure) -> None:
        """Twisted callback: the process is reaped. Kill what is left in its group, then close its pipe."""
        self._exit = self._how(reason)
        if self._kill is not None:
            self._kill.cancel()
            self._kill = None
        self._signal(signal.SIGKILL)
        self._drain = self._clock.callLater(self._timing.drain, self._close_pipe)

    def _close_pipe(self) -> None:
        """A process outside the group still has the pipe open."""
        self._drain = None
        self.transport.closeChildFD(_STDOUT)

    def processEnded(self, reason: Failure) -> None:
        """Twisted callback: the pipe is closed as well."""
        for call in (self._drain, self._drop):
            if call is not None and call.active():
                call.cancel()
        self._drain = self._drop = None
        self._output.ended()
        self._empty_by = self._clock.seconds() + self._timing.group
        self._await_group(self._exit or self._how(reason))

    def _await_group(self, ended: Exit) -> None:
        """Wait for the group rather than the leader, since another member may still hold the port."""
        if not self._group_lives(self.pid) or self._clock.seconds() >= self._empty_by:
            self._ended(ended)
        else:
            self._clock.callLater(_GROUP_POLL, self._await_group, ended)

    def _how(self, reason: Failure) -> Exit:
        error = reason.value
        if isinstance(error, ProcessTerminated):
            return Exit(error.exitCode, error.signal, self._asked, self._killed)
        return Exit(0 if isinstance(error, ProcessDone) else None, None, self._asked, self._killed)


def _read(descriptor: int, buffer: bytearray) -> int:
    """The number of bytes read; 0 at end of file, -1 if nothing is available."""
    try:
        return os.readv(descriptor, [buffer])
    except BlockingIOError:
        return -1
    except OSError:
        return 0


def _widen(descriptor: int) -> None:
    """Enlarge the pipe, so that the child can run longer between reads. Linux only; refused to users with many
    pipes.
    """
    try:
        fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE)
    except (AttributeError, OSError):
        return
