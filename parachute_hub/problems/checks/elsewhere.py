"""Modules on other machines that cannot be used."""

from collections.abc import Mapping
from typing import Final

from parachute_hub.problems.check import Wake
from parachute_hub.problems.facts import KnowsModules, ModuleFacts
from parachute_hub.problems.model import Problem, click, link
from parachute_hub.supervise.model import ModuleState, Reach
from parachute_hub.system.records import frozen

_TEXTS: Final[Mapping[Reach, tuple[str, str]]] = {
    "not answering": (
        "The machine that runs {name} does not answer",
        "{name} cannot be used until it does. The hub asks it every ten seconds.",
    ),
    "wrong certificate": (
        "Another machine answers for {name}",
        "Its certificate is not the one that you approved, so the hub sends nothing there. "
        "If you replaced the machine, end the link and make it anew.",
    ),
    "refused": (
        "The machine that runs {name} refuses this hub",
        "If it was set up anew, end the link and pair them again.",
    ),
    "online": (
        "{name} does not run on its machine",
        "The other machine answers, but does not run it.",
    ),
}


@frozen(kw_only=True)
class OtherMachines:
    """A module that is to run on another machine, and does not."""

    modules: KnowsModules
    name: str = "modules on other machines"
    period: float = 15.0
    wakes: tuple[Wake, ...] = ("modules",)

    def look(self) -> list[Problem]:
        """Each that cannot be used."""
        return [found for module in self.modules() if not module.busy and (found := _away(module))]


def _away(module: ModuleFacts) -> Problem | None:
    status = module.status
    if status is None or status.elsewhere is None or status.state not in (ModuleState.BACKOFF, ModuleState.PARKED):
        return None
    there = status.elsewhere
    texts = _TEXTS.get(there.reach)
    if texts is None:
        return None
    title, text = (each.format(name=module.name) for each in texts)
    return Problem(
        key=f"module-elsewhere:{module.short}",
        severity="error",
        title=title,
        text=text,
        detail=f"{there.address}: {status.reason}",
        clears="It goes away once the other machine runs the module, or the link has ended.",
        found={"reach": there.reach},
        fixes=(click("Try again", "POST", f"{module.api}/start", safe=True), link("Details", module.page)),
        short=module.short,
        essence=there.reach,
    )
