"""What installs and updates need: bun, the registry, and newer versions."""

from collections.abc import Awaitable, Callable, Sequence

from attrs import define, field, frozen

from parachute_hub.problems.check import Wake
from parachute_hub.problems.facts import KnowsModules
from parachute_hub.problems.model import Problem, click, link, words


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
