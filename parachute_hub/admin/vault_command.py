"""Runs `parachute-vault create NAME --json`, the vault module's command to create a vault."""

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, cast

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall, IProcessTransport, IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from parachute_hub.confinement.kernel import NotConfined
from parachute_hub.confinement.rules import Confines, Rules
from parachute_hub.site.errors import Refused
from parachute_hub.system import strict_json
from parachute_hub.system.strict_json import BadJson

SECONDS: Final = 20
DRAIN: Final = 1.0
_OUTPUT_LIMIT: Final = 64 * 1024
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


class VaultLauncher(Protocol):
    """Builds module launches."""

    def launch(self, short: str) -> Spawn:
        """Raises an exception with a sentence if the module is not installed or cannot run."""


class Reactor(IReactorProcess, IReactorTime):
    """The parts of a reactor used here."""


@define
class VaultCommand:
    """Creates vaults, one at a time, because the command and the daemon share services.json.

    It is confined like the daemon. `wrote` is called when it has ended and may have written its row.
    """

    launcher: VaultLauncher
    reactor: Reactor
    confiner: Confines
    wrote: Callable[[], None] = lambda: None
    _turn: DeferredLock = field(factory=DeferredLock, init=False)

    async def create(self, name: str) -> Mapping[str, Any]:
        """The command's JSON output. Raises Refused 409, 400 or 502."""
        await self._turn.acquire()
        try:
            return await self._create(name)
        finally:
            self._turn.release()

    async def _create(self, name: str) -> Mapping[str, Any]:
        try:
            spawn = self.launcher.launch("vault")
        except Exception as error:
            raise Refused(409, "no_vault_module", f"No vault can be made without the vault module. {error}") from None
        entry = spawn.argv.index("run") + 2
        run = _VaultProcess(self.reactor)
        # The shell changes the folder, since another working directory would make the hub fork.
        argv = ("/bin/sh", "-c", _SHELL, spawn.cwd, *spawn.argv[:entry], "create", name, "--json")

        def spawned() -> int:
            return self.reactor.spawnProcess(run, argv[0], argv, env=dict(spawn.env)).pid or 0

        try:
            if spawn.rules is None:
                spawned()
            else:
                self.confiner.start(spawn.rules, spawned)
        except NotConfined as error:
            raise Refused(502, "vault_command_failed", f"The vault module could not be separated: {error}.") from None
        try:
            code = await run.ended
        except CancelledError:
            await run.gone  # it may still be writing what the next one reads
            raise
        self.wrote()
        if code is None:
            raise Refused(502, "vault_command_failed", f"The vault module did not answer within {SECONDS} seconds.")
        if code != 0:
            sentence = _last_line(run.errors) or f"The vault module ended with code {code}."
            raise Refused(400 if code == 2 else 502, "vault_command_failed", sentence)
        return _answer(run.output)


class _VaultProcess(ProcessProtocol):
    """One process: its output, and its exit code through `ended`, None if it had to be killed."""

    def __init__(self, clock: IReactorTime) -> None:
        self.ended: Deferred[int | None] = Deferred()
        self.gone: Deferred[None] = Deferred()
        self.output = b""
        self.errors = b""
        self._clock = clock
        self._limit: IDelayedCall | None = None
        self._exited = False
        self._late = False

    def connectionMade(self) -> None:
        self._process.closeStdin()
        self._limit = self._clock.callLater(SECONDS, self._give_up)

    def outReceived(self, data: bytes) -> None:
        self.output = (self.output + data)[:_OUTPUT_LIMIT]

    def errReceived(self, data: bytes) -> None:
        self.errors = (self.errors + data)[-_OUTPUT_LIMIT:]

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

    def _give_up(self) -> None:
        process = self._process
        if not self._exited:
            self._late = True
            process.signalProcess("KILL")
        process.loseConnection()

    @property
    def _process(self) -> IProcessTransport:
        return cast(IProcessTransport, self.transport)


def _answer(output: bytes) -> Mapping[str, Any]:
    """The JSON object on the last line that contains one, since some releases print notes first."""
    for line in reversed(output.splitlines()):
        try:
            value = strict_json.read(line, limit=_OUTPUT_LIMIT).value
        except BadJson:
            continue
        if isinstance(value, dict):
            return value
    raise Refused(502, "vault_command_failed", "The vault module answered in a form that the hub does not know.")


def _last_line(errors: bytes) -> str:
    lines = [line for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else ""
