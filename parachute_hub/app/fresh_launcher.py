"""Builds command lines of modules with the current origin, in a file of its own so that a module host loads no more."""

from collections.abc import Callable, Mapping

from attrs import evolve

from parachute_hub.accounts.model import Origins
from parachute_hub.modules.launch.launcher import ModuleLauncher
from parachute_hub.supervise.model import Launch
from parachute_hub.system.records import frozen


@frozen
class FreshLauncher:
    """A `supervise.Launcher` that passes the current origin to modules, rather than the one at startup."""

    launcher: ModuleLauncher
    origins: Origins
    variables: Callable[[], Mapping[str, str]] = dict

    async def launch(self, short: str) -> Launch:
        """Raises CannotLaunch."""
        before = self.launcher.around
        around = evolve(
            before,
            issuer=self.origins.issuer(),
            origins=tuple(self.origins.answering()),
            module_variables={**before.module_variables, **self.variables()},
        )
        return await evolve(self.launcher, around=around).launch(short)
