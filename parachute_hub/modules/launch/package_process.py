"""Runs one command of a package to its end, confined like the module itself."""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall, IProcessTransport, IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from parachute_hub.confinement.rules import Confines, Rules

DRAIN: Final = 1.0
OUTPUT_LIMIT: Final = 64 * 1024
# The shell changes the folder, since another working directory would make the hub fork.
_SHELL: Final = 'umask 077; cd "$0" && exec "$@"'


class Spawn(Protocol):
    """A module's launch (`supervise.model.Launch`): bun, its options, `run`, the entry file, and arguments."""

    @property
    def argv(self) -> tuple[str, ...]:
        """The command line of the module's daemon."""

    @property
    def cwd(self) -> str:
        """The package's folder."""

    @property
    def env(self) -> Mapping[str, str]:
        """The whole environment."""

    @property
    def rules(self) -> Rules | None:
        """The confinement rules, or None."""


class Reactor(IReactorProcess, IReactorTime):
    """The parts of a reactor used here."""


def begin(
    reactor: Reactor, confiner: Confines | None, spawn: Spawn, argv: Sequence[str], seconds: float
) -> "PackageProcess":
    """Start `argv` as the module would be started. It is killed after `seconds`. Raises NotConfined."""
    run = PackageProcess(reactor, seconds)
    words = ("/bin/sh", "-c", _SHELL, spawn.cwd, *argv)

    def spawned() -> int:
        return reactor.spawnProcess(run, words[0], words, env=dict(spawn.env)).pid or 0

    if spawn.rules is None or confiner is None:
        spawned()
    else:
        confiner.start(spawn.rules, spawned)
    return run


class PackageProcess(ProcessProtocol):
    """One process: its output, and its exit code through `ended`, None if it had to be killed."""

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self.ended: Deferred[int | None] = Deferred()
        self.gone: Deferred[None] = Deferred()
        self.output = b""
        self.errors = b""
        self._clock = clock
        self._seconds = seconds
        self._limit: IDelayedCall | None = None
        self._exited = False
        self._late = False

    def connectionMade(self) -> None:
        self._process.closeStdin()
        self._limit = self._clock.callLater(self._seconds, self._give_up)

    def outReceived(self, data: bytes) -> None:
        self.output = (self.output + data)[:OUTPUT_LIMIT]

    def errReceived(self, data: bytes) -> None:
        self.errors = (self.errors + data)[-OUTPUT_LIMIT:]

    def processExited(self, reason: Failure) -> None:
        """Do not wait for processes it started, which may keep its output open."""
        self._exited = True
        if self._limit is not None and self._limit.active():
            self._limit.reset(DRAIN)

    def processEnded(self, reason: Failure) -> None:
        if self._limit is not None and self._limit.active():
            self._limit.cancel()
        how = reason.value
        code = 0 if isinstance(how, ProcessDone) else 1
        if isinstance(how, ProcessTerminated):
            code = how.exitCode or 1
        self.gone.callback(None)
        self.ended.callback(None if self._late else code)

    def kill(self) -> None:
        """SIGKILL it now; `gone` follows."""
        if not self._exited:
            self._process.signalProcess("KILL")

    def _give_up(self) -> None:
        process = self._process
        if not self._exited:
            self._late = True
            process.signalProcess("KILL")
        process.loseConnection()

    @property
    def _process(self) -> IProcessTransport:
        return cast(IProcessTransport, self.transport)
