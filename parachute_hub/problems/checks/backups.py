"""Backups that are missing, late or failing."""

from collections.abc import Callable, Sequence
from typing import Final

from parachute_hub.problems.check import Wake
from parachute_hub.problems.model import Problem, link
from parachute_hub.system.records import frozen

_BEGUN: Final = ("backup-sheet", "backup-nowhere")
"""Somebody has begun to set backups up: nothing has failed."""


@frozen(kw_only=True)
class BackupTrouble:
    """What the backups report of themselves: keys and sentences."""

    problems: Callable[[], Sequence[tuple[str, str]]]
    name: str = "backups"
    period: float = 60.0
    wakes: tuple[Wake, ...] = ("jobs", "backup-place-added", "backup-place-removed", "backup-schedule-changed")

    def look(self) -> list[Problem]:
        """One problem for each destination in trouble."""
        return [_problem(key, text) for key, text in self.problems()]


def _problem(key: str, detail: str) -> Problem:
    begun = key in _BEGUN
    return Problem(
        key=key,
        severity="warning" if begun else "error",
        title="Finish setting up backups" if begun else "Backups do not work",
        text="If the disk fails now, everything is lost."
        if begun
        else "A backup failed, or there is no recent one. If the disk fails, what is new is lost.",
        detail=detail,
        clears="It goes away once backups are set up." if begun else "It goes away with the next backup that works.",
        fixes=(link("Show backups", "/admin/backups"),),
    )
