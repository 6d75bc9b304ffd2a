"""Audits what nobody requested directly: how operations end, what happens to modules, and problems."""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import field

from parachute_hub.events import JobChanged, ModuleChanged, NumberedEvent, ProblemChanged
from parachute_hub.store.rows import Act
from parachute_hub.system.doer import Doer, acting
from parachute_hub.system.records import define

JOBS: Final[Mapping[str, str]] = {
    "install": "module-install",
    "upgrade": "module-upgrade",
    "rollback": "module-rollback",
    "restore-data": "module-restore-data",
    "uninstall": "module-uninstall",
    "delete-data": "module-delete-data",
    "move": "module-move",
    "restore-backup": "module-restored",
    "backup": "backup-made",
    "verify": "backup-verified",
}
"""The act of each kind of operation. A test fails for a kind that is missing here."""

STATES: Final[Mapping[str, str]] = {
    "backoff": "module-crashed",
    "parked": "module-parked",
    "held": "module-held",
}

PROBLEMS: Final[Mapping[str, str]] = {"appeared": "problem-found", "cleared": "problem-solved"}
"""The acts of problems; a changed one is no new one, and dismissing is an act of a person."""

_OUTCOMES: Final[Mapping[str, str]] = {"succeeded": "ok", "cancelled": "cancelled"}
_BACKUP: Final = "backup"
_OF_VERSIONS: Final = frozenset({"upgrade", "rollback"})
"""Operations whose last line says what became of the version."""


@define(kw_only=True)
class EventTrail:
    """Listens on the bus. `note` stores an act; `clock` is in epoch seconds.

    An operation's last event comes on behalf of whoever started it, because operations keep their context.
    """

    note: Callable[[Act], object]
    clock: Callable[[], float]
    _noted: "deque[str]" = field(factory=lambda: deque(maxlen=200), init=False)
    _states: dict[str, tuple[str, Any]] = field(factory=dict, init=False)

    def heard(self, numbered: NumberedEvent) -> None:
        """Note what the event says has happened."""
        match numbered.event:
            case JobChanged(job):
                self._job(job)
            case ModuleChanged(short, status):
                self._module(short, status)
            case ProblemChanged(change, problem):
                self._problem(change, problem)

    def _job(self, job: Mapping[str, Any]) -> None:
        if job["status"] == "running" or job["id"] in self._noted:
            return
        self._noted.append(job["id"])
        self.note(
            Act(
                at=self.clock(),
                actor="",
                action=JOBS.get(job["kind"], job["kind"]),
                subject="" if job["short"] == _BACKUP else job["short"],
                outcome=_OUTCOMES.get(job["outcome"] or "", "failed"),
                why=job.get("error") or _told(job),
            )
        )

    def _module(self, short: str, status: Mapping[str, Any]) -> None:
        """A state is news when it begins, or begins again after another crash."""
        now = (status["state"], status["restarts"])
        before, self._states[short] = self._states.get(short), now
        # What is wrong with another machine is a problem, which is noted as such.
        action = None if status.get("elsewhere") else STATES.get(status["state"])
        if action is not None and now != before:
            self.note(
                Act(
                    at=self.clock(),
                    actor="",
                    action=action,
                    subject=short,
                    outcome="failed",
                    why=status.get("reason") or "",
                )
            )

    def _problem(self, change: str, problem: Mapping[str, Any]) -> None:
        """Found and over, with the headline that Home shows. Whoever made the hub look has not done it."""
        action = PROBLEMS.get(change)
        if action is None:
            return
        bad = change == "appeared" and problem["severity"] != "info"
        why = problem["text"] if change == "appeared" else ""
        acting(
            Doer(),
            self.note,
            Act(
                at=self.clock(),
                actor="",
                action=action,
                subject=problem["title"],
                outcome="failed" if bad else "ok",
                why=why,
            ),
        )


def _told(job: Mapping[str, Any]) -> str:
    """From which version to which, or that there was nothing newer."""
    lines = job["log"] if job["kind"] in _OF_VERSIONS and job["outcome"] == "succeeded" else ()
    return str(lines[-1]) if lines else ""
