"""Modules that do not run as they should."""

from collections.abc import Iterator
from typing import Final

from parachute_hub.problems.check import Wake
from parachute_hub.problems.facts import KnowsModules, ModuleFacts
from parachute_hub.problems.model import Problem, click, link, words
from parachute_hub.supervise.model import LISTENS, ModuleState
from parachute_hub.system.records import frozen

_PERIOD: Final = 15.0
_WAKES: Final[tuple[Wake, ...]] = ("modules",)


@frozen(kw_only=True)
class Crashing:
    """A module that keeps crashing, or that a guard stopped. Trouble with its port has a check of its own."""

    modules: KnowsModules
    name: str = "modules that crash"
    period: float = _PERIOD
    wakes: tuple[Wake, ...] = _WAKES

    def look(self) -> list[Problem]:
        """Parked, held and unwell modules."""
        return [found for module in self.modules() if (found := _unwell(module))]


def _unwell(module: ModuleFacts) -> Problem | None:
    status = module.status
    if status is None or module.drift in ("elsewhere", "squatted") or module.missing:
        return None
    if status.elsewhere is not None and status.state is not ModuleState.HELD:
        return None  # `checks.elsewhere` tells that.
    started = click("Start again", "POST", f"{module.api}/start", safe=True)
    told = {
        ModuleState.PARKED: (f"{module.name} keeps crashing", "error", "It stopped and will not restart by itself."),
        ModuleState.HELD: (
            f"{module.name} is stopped",
            "error",
            "The hub does not let it run; somebody has to look.",
        ),
        ModuleState.DEGRADED: (f"{module.name} does not answer well", "warning", "It runs, but does not answer."),
    }.get(status.state)
    if told is None:
        return None
    title, severity, otherwise = told
    return Problem(
        key=f"module-state:{module.short}",
        severity="error" if severity == "error" else "warning",
        title=title,
        text=otherwise,
        detail=status.reason,
        clears="It goes away once the module runs again, or is switched off.",
        found={"state": status.state.value, "restarts": status.restarts},
        fixes=(started, link("Details", module.page)),
        short=module.short,
        essence=f"{status.state.value} {(status.start_error or {}).get('error_type', '')}",
    )


@frozen(kw_only=True)
class Ports:
    """A module that does not listen where the hub expects it."""

    modules: KnowsModules
    name: str = "ports of modules"
    period: float = _PERIOD
    wakes: tuple[Wake, ...] = _WAKES

    def look(self) -> list[Problem]:
        """Port drift of each kind."""
        return [found for module in self.modules() if (found := _strayed(module))]


def _strayed(module: ModuleFacts) -> Problem | None:
    if module.drift is None:
        return None
    status = module.status
    error = (status.start_error if status else None) or {}
    listens = ", ".join(map(str, error.get(LISTENS) or ()))
    label, text = {
        "elsewhere": ("Use the port it listens on", f"It listens on port {listens} instead of the one it was given."),
        "squatted": ("Assign a new port", str(error.get("error_description") or "Another program has its port.")),
    }.get(module.drift, ("Restart it on its new port", "It still runs on the port that it had before."))
    return Problem(
        key=f"module-port:{module.short}",
        severity="warning" if module.drift == "row" else "error",
        title=f"{module.name} cannot be reached" if module.drift != "row" else f"{module.name} has a new port",
        text=text,
        clears="It goes away once the module listens on its port.",
        found={"drift": module.drift, "listens": list(error.get(LISTENS) or ())},
        fixes=(click(label, "POST", f"{module.api}/heal-port", safe=True), link("Details", module.page)),
        short=module.short,
        essence=module.drift,
    )


@frozen(kw_only=True)
class FailedParts:
    """An app that the module serving it reports as failing."""

    modules: KnowsModules
    name: str = "apps that modules serve"
    period: float = _PERIOD
    wakes: tuple[Wake, ...] = _WAKES

    def look(self) -> list[Problem]:
        """Each failing app."""
        return [
            Problem(
                key=f"module-part:{module.short}:{part.slug}",
                severity="error",
                title=f"{part.name} does not work",
                text=f"{module.name}, which serves it, reports that it fails. Its log may say why.",
                clears=f"It goes away once {module.name} reports that the app works.",
                fixes=(
                    link("Show the log", module.page),
                    click("Restart", "POST", f"{module.api}/restart", safe=True),
                ),
                short=module.short,
            )
            for module in self.modules()
            for part in module.parts
            if part.status == "failing"
        ]


@frozen(kw_only=True)
class SelfReports:
    """A module that runs, and says that a part of it does not work: in its health response, or while it started."""

    modules: KnowsModules
    name: str = "what modules say of themselves"
    period: float = _PERIOD
    wakes: tuple[Wake, ...] = _WAKES

    def look(self) -> list[Problem]:
        """Reports and warnings of modules that run."""
        return [found for module in self.modules() for found in _says(module)]


def _says(module: ModuleFacts) -> Iterator[Problem]:
    status = module.status
    if status is None or status.state not in (ModuleState.READY, ModuleState.DEGRADED):
        return
    clears, fixes = "It goes away once the module no longer says so.", (link("Show the log", module.page),)
    if status.reports:
        yield Problem(
            key=f"module-reports:{module.short}",
            severity="error",
            title=f"{module.name} reports a problem",
            text="It runs, but a part of it does not work.",
            detail=f"{'; '.join(status.reports)}.",
            clears=clears,
            fixes=fixes,
            short=module.short,
            essence="\n".join(status.reports),
        )
    elif status.warnings:
        more = f" (and {len(status.warnings) - 1} more)" if len(status.warnings) > 1 else ""
        yield Problem(
            key=f"module-warnings:{module.short}",
            severity="warning",
            title=f"{module.name} may not work fully",
            text="It reported a failure while it started.",
            detail=f"It wrote: {status.warnings[0]}{more}",
            clears="It goes away once it starts without a failure.",
            fixes=fixes,
            short=module.short,
            essence="\n".join(status.warnings),
        )


@frozen(kw_only=True)
class Incomplete:
    """A module whose program is gone, or a vault module without a vault."""

    modules: KnowsModules
    name: str = "what modules need"
    period: float = _PERIOD
    wakes: tuple[Wake, ...] = _WAKES

    def look(self) -> list[Problem]:
        """Missing programs and vaults."""
        return [found for module in self.modules() if not module.busy for found in _lacks(module)]


def _lacks(module: ModuleFacts) -> Iterator[Problem]:
    if module.missing:
        yield Problem(
            key=f"module-missing:{module.short}",
            severity="error",
            title=f"{module.name} is not on the disk",
            text="It is registered, but its program is missing. Its data is not affected.",
            clears="It goes away once it is installed again, or removed.",
            fixes=(
                click("Install again", "POST", f"{module.api}/install"),
                words("If its program is elsewhere, link its folder with `parachute install`."),
            ),
            short=module.short,
        )
    elif module.vaults == 0 and module.status is not None and module.status.state is ModuleState.READY:
        yield Problem(
            key=f"vault-none:{module.short}",
            severity="info",
            title=f"{module.name} has no vault yet",
            text="It is running, but there is nowhere to keep notes. Create your first vault.",
            clears="It goes away with the first vault.",
            fixes=(link("Create a vault", "/admin/vaults"),),
            short=module.short,
        )
