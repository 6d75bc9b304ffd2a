"""Runs the vault module's commands: `parachute-vault create NAME --json` and `parachute-vault remove NAME --yes`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Protocol

from attrs import field
from twisted.internet.defer import CancelledError, DeferredLock

from parachute_hub.confinement.kernel import NotConfined
from parachute_hub.confinement.rules import Confines
from parachute_hub.modules.launch.package_process import OUTPUT_LIMIT, Reactor, Spawn, begin
from parachute_hub.site.errors import Refused
from parachute_hub.system import strict_json
from parachute_hub.system.records import define
from parachute_hub.system.strict_json import BadJson

SECONDS: Final = 20


class VaultLauncher(Protocol):
    """Builds module launches."""

    async def launch(self, short: str) -> Spawn:
        """Raises an exception with a sentence if the module is not installed or cannot run."""


async def _nothing() -> None:
    """Unconfined modules write services.json themselves; most commands need no last look before they begin."""


@define
class VaultCommand:
    """Creates and deletes vaults, one at a time, because the command and the daemon share services.json.

    It is confined like the daemon. `wrote` is called when it has ended and may have written its row.
    """

    launcher: VaultLauncher
    reactor: Reactor
    confiner: Confines
    wrote: Callable[[], Awaitable[None]] = _nothing
    _turn: DeferredLock = field(factory=DeferredLock, init=False)

    async def create(self, name: str) -> Mapping[str, Any]:
        """The command's JSON output. Raises Refused 409, 400 or 502."""
        return _answer(await self._run("create", name, "--json"))

    async def remove(self, name: str, begin: Callable[[], Awaitable[object]] = _nothing) -> None:
        """Delete a vault with everything in it. Raises Refused 409, 400 or 502.

        `begin` is awaited when it is this command's turn, and prevents it by raising Refused.
        """
        await self._run("remove", name, "--yes", begin=begin)

    async def _run(self, *words: str, begin: Callable[[], Awaitable[object]] = _nothing) -> bytes:
        await self._turn.acquire()
        try:
            await begin()
            return await self._output(words)
        finally:
            self._turn.release()

    async def _output(self, words: Sequence[str]) -> bytes:
        try:
            spawn = await self.launcher.launch("vault")
        except Exception as error:
            raise Refused(409, "no_vault_module", f"This needs the vault module. {error}") from None
        entry = spawn.argv.index("run") + 2
        try:
            run = begin(self.reactor, self.confiner, spawn, (*spawn.argv[:entry], *words), SECONDS)
        except NotConfined as error:
            raise Refused(502, "vault_command_failed", f"The vault module could not be separated: {error}.") from None
        try:
            code = await run.ended
        except CancelledError:
            await run.gone  # it may still be writing what the next one reads
            raise
        await self.wrote()
        if code is None:
            raise Refused(502, "vault_command_failed", f"The vault module did not answer within {SECONDS} seconds.")
        if code != 0:
            sentence = _last_line(run.errors) or f"The vault module ended with code {code}."
            raise Refused(400 if code == 2 else 502, "vault_command_failed", sentence)
        return run.output


def _answer(output: bytes) -> Mapping[str, Any]:
    """The JSON object on the last line that contains one, since some releases print notes first."""
    for line in reversed(output.splitlines()):
        try:
            value = strict_json.read(line, limit=OUTPUT_LIMIT).value
        except BadJson:
            continue
        if isinstance(value, dict):
            return value
    raise Refused(502, "vault_command_failed", "The vault module answered in a form that the hub does not know.")


def _last_line(errors: bytes) -> str:
    lines = [line for line in errors.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else ""
