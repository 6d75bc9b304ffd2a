"""What happens once before a module's first start: its first settings, and its `init.command` if the owner agreed."""

from collections.abc import Sequence
from typing import Protocol

from parachute_hub.confinement.rules import Confines
from parachute_hub.jobs.runner import JobFailed, Work
from parachute_hub.modules.definition.catalog import CatalogEntry
from parachute_hub.modules.launch.first_config import FirstConfig
from parachute_hub.modules.launch.launcher import ModuleLauncher
from parachute_hub.modules.launch.package_process import Reactor
from parachute_hub.modules.operations.init_command import InitCommand
from parachute_hub.system.records import frozen
from parachute_hub.system.storage_trouble import StorageBusy


class WritesConfig(Protocol):
    """Writes the first configuration of a module of the catalog."""

    async def write(self, entry: CatalogEntry) -> bool:
        """True if one was written. Raises OSError or StorageBusy."""


class RunsInit(Protocol):
    """Runs a package's `init.command`."""

    async def run(self, work: Work, short: str, words: Sequence[str]) -> None:
        """Raises JobFailed."""


def first_start(launcher: ModuleLauncher, reactor: Reactor, confiner: Confines | None) -> "FirstStart":
    """With the real collaborators. `confiner` is None if nothing is confined."""
    fence, around = launcher.fence, launcher.around
    hub = f"http://127.0.0.1:{fence.hub_port}" if fence is not None else around.issuer
    config = FirstConfig(home=around.home, hub=hub, directory=launcher.directory, files=launcher.files)
    return FirstStart(config, InitCommand(launcher=launcher, reactor=reactor, confiner=confiner))


@frozen
class FirstStart:
    """Prepares it."""

    config: WritesConfig
    command: RunsInit

    async def prepare(self, work: Work, short: str, entry: CatalogEntry | None, words: Sequence[str] | None) -> None:
        """`entry` is the catalog's, if it vouches for the package; `words` are the command to run. Raises JobFailed."""
        if entry is not None:
            await self._configure(work, entry)
        if words:
            work.step("prepare")
            await self.command.run(work, short, words)

    async def _configure(self, work: Work, entry: CatalogEntry) -> None:
        try:
            written = await self.config.write(entry)
        except (OSError, StorageBusy) as error:
            raise JobFailed(f"The first settings of {entry.short} could not be written: {error}.") from None
        if written:
            work.line(f"{entry.short} has settings to begin with; see its page.")
