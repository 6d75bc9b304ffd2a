"""Backups that are missing, late or failing."""

from collections.abc import Callable, Sequence

from parachute_hub.problems.check import Wake
from parachute_hub.problems.model import Problem, link
from parachute_hub.system.records import frozen


@frozen(kw_only=True)
class BackupTrouble:
    """What the backups report of themselves: keys and sentences."""

    problems: Callable[[], Sequence[tuple[str, str]]]
    name: str = "backups"
    period: float = 60.0
    wakes: tuple[Wake, ...] = ("jobs",)

    def look(self) -> list[Problem]:
        """One problem for each destination in trouble."""
        return [
            Problem(
                key=key,
                severity="error",
                title="Backups do not work",
                text="A backup failed, or there is no recent one. If the disk fails, what is new is lost.",
                detail=text,
                clears="It goes away with the next backup that works.",
                fixes=(link("Show backups", "/admin/backups"),),
            )
            for key, text in self.problems()
        ]
