"""Modules that can read what is not theirs."""

from collections.abc import Callable
from typing import Final

from parachute_hub.problems.check import Wake
from parachute_hub.problems.facts import KnowsModules, ModuleFacts
from parachute_hub.problems.model import Problem, link, words
from parachute_hub.supervise.model import Isolation
from parachute_hub.system.records import frozen

_KEY: Final = "separation"
_CLEARS: Final = "It goes away once the hub runs where it can separate modules."


@frozen(kw_only=True)
class Separation:
    """Whether this machine separates modules, and which modules run without. `machine` is how a new one is started."""

    machine: Callable[[], Isolation]
    modules: KnowsModules
    name: str = "separation of modules"
    period: float = 60.0
    wakes: tuple[Wake, ...] = ("modules",)

    def look(self) -> list[Problem]:
        """One for the machine, else one for each module that runs without separation."""
        here = self.machine()
        running = [one for one in self.modules() if one.status is not None and one.status.isolation is not None]
        if here.state == "off":
            return [_none(here, running)]
        loose = [_loose(module) for module in running if _state(module) == "off"]
        return [*loose, *([_partly(here)] if here.state == "partly" and running else [])]


def _state(module: ModuleFacts) -> str | None:
    isolation = module.status.isolation if module.status else None
    return isolation.state if isolation else None


def _none(here: Isolation, running: list[ModuleFacts]) -> Problem:
    names = ", ".join(module.name for module in running)
    meaning = f"{names} can read and change everything on this hub." if names else "Modules would run without."
    return Problem(
        key=_KEY,
        severity="warning",
        title="Modules are not separated",
        text=f"{here.why} {meaning}",
        clears=_CLEARS,
        found={"modules": [module.short for module in running]},
        fixes=(words("Run the hub on Linux 5.13 or newer, and install only modules that you trust with everything."),),
        essence=here.why,
    )


def _partly(here: Isolation) -> Problem:
    return Problem(
        key=_KEY,
        severity="info",
        title="Modules are not fully separated",
        text=f"This machine cannot restrict {' and '.join(here.missing)}. Modules still see no data but their own.",
        clears=_CLEARS,
        found={"missing": list(here.missing)},
        fixes=(words("Run the hub on Linux 6.12 or newer."),),
        essence=" ".join(here.missing),
    )


def _loose(module: ModuleFacts) -> Problem:
    isolation = module.status.isolation if module.status else None
    return Problem(
        key=f"{_KEY}:{module.short}",
        severity="warning",
        title=f"{module.name} is not separated",
        text=f"{isolation.why if isolation else ''} It can read and change everything on this hub.".strip(),
        clears="It goes away once the module runs separated.",
        fixes=(link("Separate it on its page", module.page),),
        short=module.short,
        essence="off",
    )
