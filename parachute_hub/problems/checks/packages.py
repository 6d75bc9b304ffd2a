"""What installs and updates need: bun, the registry, and newer versions."""

from collections.abc import Awaitable, Callable, Sequence

from attrs import field

from parachute_hub.problems.check import Wake
from parachute_hub.problems.facts import KnowsModules, ModuleFacts
from parachute_hub.problems.model import Problem, click, link, words
from parachute_hub.system.records import define, frozen


@frozen(kw_only=True)
class BunMissing:
    """Without bun no module starts. `lacks` is a sentence that says what to do, None if it is there."""

    lacks: Callable[[], str | None]
    name: str = "bun"
    period: float = 60.0
    wakes: tuple[Wake, ...] = ()

    def look(self) -> list[Problem]:
        """Whether the program is there."""
        why = self.lacks()
        if why is None:
            return []
        return [
            Problem(
                key="bun",
                severity="error",
                title="bun is missing",
                text="Modules cannot start or be installed without it.",
                clears="It goes away once bun is found.",
                fixes=(words(why),),
            )
        ]


@define(kw_only=True)
class RegistryUnreachable:
    """A package registry that does not answer. `ask` gives a sentence about what is wrong, None if nothing is."""

    ask: Callable[[], Awaitable[str | None]]
    name: str = "the package registry"
    period: float = 6 * 3600.0
    wakes: tuple[Wake, ...] = ()
    _failed: int = field(default=0, init=False)

    async def look(self) -> Sequence[Problem]:
        """Ask it; only the second failure in a row counts, and the next try comes soon."""
        why = await self.ask()
        self._failed = 0 if why is None else self._failed + 1
        self.period = 6 * 3600.0 if why is None else 300.0
        if self._failed < 2:
            return []
        return [
            Problem(
                key="registry",
                severity="warning",
                title="The package registry cannot be reached",
                text="Modules cannot be installed or updated. What is installed runs as before.",
                clears="It goes away once the registry answers; the hub asks every five minutes.",
                found={"why": why},
                fixes=(words("Check this machine's connection to the internet, its proxy and its firewall."),),
            )
        ]


@frozen(kw_only=True)
class Updates:
    """A newer version of an installed module."""

    modules: KnowsModules
    name: str = "updates of modules"
    period: float = 60.0
    wakes: tuple[Wake, ...] = ("modules",)

    def look(self) -> list[Problem]:
        """Each module that could be updated; a dismissal holds for that version."""
        return [
            Problem(
                key=f"update:{module.short}",
                severity="info",
                title=f"Update for {module.name}",
                text=(
                    f"Version {module.newer} is out; you have {module.version}. "
                    "If it does not start, the hub goes back to the old version."
                ),
                clears="It goes away with the update.",
                found={"installed": module.version, "newer": module.newer},
                fixes=(click("Update", "POST", f"{module.api}/upgrade"), link("Details", module.page)),
                short=module.short,
                essence=module.newer,
            )
            for module in self.modules()
            if module.newer is not None and not module.busy
        ]


@frozen(kw_only=True)
class WithdrawnVersions:
    """An installed version that the catalog has withdrawn."""

    modules: KnowsModules
    name: str = "withdrawn versions"
    period: float = 60.0
    wakes: tuple[Wake, ...] = ("modules",)

    def look(self) -> list[Problem]:
        """Each such module, with an update or the version before."""
        return [_withdrawn(module) for module in self.modules() if module.withdrawn is not None and not module.busy]


def _withdrawn(module: ModuleFacts) -> Problem:
    if module.newer is not None:
        fix = click(f"Update to {module.newer}", "POST", f"{module.api}/upgrade")
    elif module.previous is not None:
        fix = click(f"Go back to {module.previous}", "POST", f"{module.api}/rollback", body={})
    else:
        fix = click("Stop it", "POST", f"{module.api}/stop")
    return Problem(
        key=f"withdrawn:{module.short}",
        severity="error",
        title=f"This version of {module.name} was withdrawn",
        text=f"Version {module.version} should not be used any more. {module.withdrawn}",
        clears="It goes away with another version.",
        found={"installed": module.version},
        fixes=(fix, link("Details", module.page)),
        short=module.short,
        essence=module.version or "",
    )


@frozen(kw_only=True)
class HubUpdate:
    """A version of the hub newer than this `version`, where it is known. `how` says how to update it here."""

    version: str
    newer: Callable[[], str | None]
    how: str
    name: str = "updates of the hub"
    period: float = 3600.0
    wakes: tuple[Wake, ...] = ()

    def look(self) -> list[Problem]:
        """Whether there is one."""
        newer = self.newer()
        if newer is None:
            return []
        return [
            Problem(
                key="update-hub",
                severity="info",
                title="Update for the hub",
                text=f"Parachute Hub {newer} is out; this is {self.version}.",
                clears="It goes away with the update.",
                found={"installed": self.version, "newer": newer},
                fixes=(words(self.how),),
                essence=newer,
            )
        ]


def how_to_update(platform: str, in_container: bool) -> str:
    """How an owner updates the hub on this platform."""
    if platform == "render":
        return "In Render's dashboard open the service and choose Manual Deploy; nothing is updated by itself."
    if platform == "fly":
        return "On your own machine run: fly deploy"
    if in_container:
        return "On the machine that runs the container: docker compose pull && docker compose up -d"
    return "On this machine: pip install --upgrade parachute-hub, then start the hub again."
