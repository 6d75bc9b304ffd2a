"""Modules that run but lack a setting without which they cannot do their work."""

from collections.abc import Awaitable, Callable, Sequence

from parachute_hub.problems.check import Wake
from parachute_hub.problems.facts import KnowsModules, ModuleFacts
from parachute_hub.problems.model import Problem, link
from parachute_hub.site.errors import Refused
from parachute_hub.supervise.model import ModuleState
from parachute_hub.system.records import frozen


@frozen(kw_only=True)
class Unconfigured:
    """A module without its key. `missing` gives the titles of needed settings; it raises Refused for a module that has
    no settings or does not answer, which other checks report.
    """

    modules: KnowsModules
    missing: Callable[[str], Awaitable[Sequence[str]]]
    name: str = "settings that modules need"
    period: float = 900.0
    wakes: tuple[Wake, ...] = ("modules", "module-config")

    async def look(self) -> Sequence[Problem]:
        """Ask the modules that run."""
        return [
            _lacks(module, titles)
            for module in self.modules()
            if module.status is not None and module.status.state is ModuleState.READY and not module.busy
            if (titles := await self._ask(module))
        ]

    async def _ask(self, module: ModuleFacts) -> Sequence[str]:
        try:
            return await self.missing(module.short)
        except Refused:
            return ()


def _lacks(module: ModuleFacts, titles: Sequence[str]) -> Problem:
    return Problem(
        key=f"module-settings:{module.short}",
        severity="warning",
        title=f"{module.name} needs a setting",
        text=f"It runs, but cannot do its work without this: {', '.join(titles)}.",
        clears="It goes away once the setting is there.",
        found={"missing": list(titles)},
        fixes=(link("Enter it", f"{module.page}/settings"),),
        short=module.short,
        essence=" ".join(titles),
    )
