"""The hub itself: its database, its files, and operations that failed."""

from collections.abc import Callable, Sequence
from typing import Final

from parachute_hub.jobs.model import Job
from parachute_hub.problems.check import Wake
from parachute_hub.problems.facts import KnowsModules
from parachute_hub.problems.model import Problem, link, words
from parachute_hub.system.records import frozen

_TROUBLE: Final = {
    "removed": "Its file was removed while the hub runs. What is saved now is lost at the next start.",
    "replaced": "Its file was replaced while the hub runs. What is saved now is lost at the next start.",
    "unreadable": "Its file cannot be read any more.",
}


@frozen(kw_only=True)
class DatabaseTrouble:
    """The database. `trouble` is a word of `store.database.Database.trouble`, or None."""

    trouble: Callable[[], str | None]
    name: str = "the database"
    period: float = 15.0
    wakes: tuple[Wake, ...] = ()

    def look(self) -> list[Problem]:
        """What is wrong with the open file."""
        word = self.trouble()
        if word is None:
            return []
        return [
            Problem(
                key="database",
                severity="error",
                title="The hub's database is in trouble",
                text=_TROUBLE.get(word, "It reports an error."),
                clears="It goes away once the hub was restarted with a good file.",
                found={"trouble": word},
                fixes=(words("Stop the hub, put the file or a backup back, and start it again."),),
                essence=word,
            )
        ]


@frozen(kw_only=True)
class UnusableRows:
    """Rows of services.json that cannot be used. `problems` are sentences."""

    problems: Callable[[], Sequence[str]]
    name: str = "services.json"
    period: float = 30.0
    wakes: tuple[Wake, ...] = ("modules",)

    def look(self) -> list[Problem]:
        """All of them as one problem."""
        told = self.problems()
        if not told:
            return []
        return [
            Problem(
                key="services-file",
                severity="warning",
                title="services.json has mistakes",
                text="Some of what it says about modules cannot be used.",
                detail=" ".join(told[:3]) + (f" And {len(told) - 3} more." if len(told) > 3 else ""),
                clears="It goes away once the file is right again.",
                found={"problems": list(told[:20])},
                fixes=(words("Remove or install again the module that it names, or correct the file."),),
                essence="\n".join(told),
            )
        ]


@frozen(kw_only=True)
class UnknownModules:
    """Modules that services.json names and nobody installed. `unknown` gives their names, without those that an
    operation is installing or removing.
    """

    unknown: Callable[[], Sequence[str]]
    name: str = "modules that nobody installed"
    period: float = 30.0
    wakes: tuple[Wake, ...] = ("modules",)

    def look(self) -> list[Problem]:
        """One problem for each, up to a number that fits a page."""
        return [
            Problem(
                key=f"module-unknown:{name}",
                severity="info",
                title=f"{name} was not installed here",
                text="services.json names it, but this hub did not install it, so it is not run.",
                clears="It goes away once you keep it, or its entry is gone from services.json.",
                fixes=(link("Keep it on the Modules page", "/admin/modules"),),
            )
            for name in dict.fromkeys(self.unknown()[:20])
        ]


@frozen(kw_only=True)
class OpenFiles:
    """Files of the hub that other users of the machine can read. `loose` gives names and the command that closes."""

    loose: Callable[[], Sequence[tuple[str, str]]]
    name: str = "who can read the hub's files"
    period: float = 60.0
    wakes: tuple[Wake, ...] = ()

    def look(self) -> list[Problem]:
        """The home, and the command's token."""
        return [
            Problem(
                key=f"open-file:{name}",
                severity="error" if name == "operator.token" else "warning",
                title="Other users of this machine can read the hub's files",
                text=f"{name} is readable for others. Whoever reads it can use what is in it.",
                clears="It goes away once only the hub's user can read it.",
                fixes=(words(f"Run: {command} - or `parachute doctor --fix`, which does so."),),
            )
            for name, command in self.loose()
        ]


@frozen(kw_only=True)
class OtherHub:
    """Another hub that works with the same files. `signs` are sentences about what it changed."""

    signs: Callable[[], Sequence[str]]
    name: str = "another hub with the same files"
    period: float = 60.0
    wakes: tuple[Wake, ...] = ()

    def look(self) -> list[Problem]:
        """What another hub did here."""
        signs = self.signs()
        if not signs:
            return []
        return [
            Problem(
                key="other-hub",
                severity="error",
                title="Another hub uses the same folder",
                text=f"{' '.join(signs)} Two hubs undo each other's changes.",
                clears="It goes away once the other hub has stopped for an hour.",
                fixes=(words("Stop the other hub. If it starts by itself, turn that off."),),
                essence=" ".join(signs),
            )
        ]


@frozen(kw_only=True)
class FailedOperations:
    """The newest operation of a module, if it failed in the last day. Backups report their own.

    `jobs` gives them newest first, `failed_since` the time before which a failure is old news.
    """

    jobs: Callable[[], Sequence[Job]]
    failed_since: Callable[[], float]
    modules: KnowsModules
    backups: str = "backup"
    name: str = "operations that failed"
    period: float = 60.0
    wakes: tuple[Wake, ...] = ("jobs",)

    def look(self) -> list[Problem]:
        """A later success settles a failure; a cancelled one is none."""
        names = {module.short: module.name for module in self.modules()}
        newest: dict[str, Job] = {}
        for job in self.jobs():
            newest.setdefault(job.short, job)
        return [
            Problem(
                key=f"operation:{job.short}",
                severity="warning",
                title=f"{names.get(job.short, job.short)}: the {job.kind.replace('-', ' ')} failed",
                text="Its page has the details.",
                detail=job.error or "",
                clears="It goes away with the next one that works, or after a day.",
                found={"kind": job.kind, "undone": list(job.undone)},
                fixes=(link("Details", f"/admin/modules/{job.short}"),),
                short=job.short,
                essence=job.id,
            )
            for job in newest.values()
            if job.status == "failed"
            and job.outcome != "cancelled"
            and job.short != self.backups
            and (job.finished_at or 0) >= self.failed_since()
        ]
