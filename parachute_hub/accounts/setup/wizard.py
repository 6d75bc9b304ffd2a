"""Which screen of the first run comes next: a pure reading of what was answered so far. Nothing is asked twice."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Protocol

from attrs import evolve, field, frozen

Screen = Literal["account", "modules", "vault-name", "scribe-key", "installing", "reach", "done"]
Step = Literal["welcome", "vault", "expose", "done"]

# The names of the older hub's steps, which scripts know.
STEPS: Mapping[Screen, Step] = {
    "account": "welcome",
    "modules": "vault",
    "vault-name": "vault",
    "scribe-key": "vault",
    "installing": "vault",
    "reach": "expose",
    "done": "done",
}


@frozen(kw_only=True)
class Offer:
    """A module that can be chosen. Sizes are estimates, None when nobody knows."""

    short: str
    name: str
    tagline: str
    purpose: str = ""
    size_bytes: int | None = None
    memory_mb: int | None = None
    installed: bool = False


class Installs(Protocol):
    """The installer, as far as the wizard needs it. A job is a mapping in the API's form."""

    def offers(self) -> Sequence[Offer]:
        """What can be chosen, in the order to show it."""

    def begin(self, short: str, options: Mapping[str, Any]) -> str:
        """Start to install; the id of the job. Options: `first_vault` (a name), `environment` (names to values)."""

    def job(self, job_id: str) -> Mapping[str, Any] | None:
        """How far a job is; None when nobody remembers it."""

    def retry(self, job_id: str) -> str:
        """Try a failed job again with the same options; the id of the new job."""


@frozen(kw_only=True)
class Progress:
    """What the owner answered. `chosen` is None before the choice; `jobs` maps modules to their latest job."""

    chosen: tuple[str, ...] | None = None
    vault_name: str | None = None
    scribe_settled: bool = False
    jobs: Mapping[str, str] = field(factory=dict)
    installs_seen: bool = False
    reached: bool = False

    def to_text(self) -> str:
        """As it is stored."""
        return json.dumps(
            {
                "chosen": self.chosen,
                "vault_name": self.vault_name,
                "scribe_settled": self.scribe_settled,
                "jobs": dict(self.jobs),
                "installs_seen": self.installs_seen,
                "reached": self.reached,
            }
        )

    @classmethod
    def from_text(cls, text: str | None) -> "Progress":
        """What was stored; the beginning when nothing was."""
        stored = json.loads(text) if text else {}
        chosen = stored.pop("chosen", None)
        return cls(chosen=None if chosen is None else tuple(chosen), **stored)

    @property
    def missing_jobs(self) -> tuple[str, ...]:
        """Chosen modules whose installation has not begun."""
        return tuple(short for short in self.chosen or () if short not in self.jobs)


def screen(progress: Progress, *, has_owner: bool) -> Screen:
    """The first question without an answer."""
    if not has_owner:
        return "account"
    if progress.chosen is None:
        return "modules"
    if progress.missing_jobs:
        if "vault" in progress.missing_jobs and progress.vault_name is None:
            return "vault-name"
        if "scribe" in progress.missing_jobs and not progress.scribe_settled:
            return "scribe-key"
    if progress.chosen and not progress.installs_seen:
        return "installing"
    return "done" if progress.reached else "reach"


def may_reopen(progress: Progress, wanted: str) -> bool:
    """Whether a question may be shown again: the choice of modules, until something is being installed."""
    return wanted in ("modules", "vault") and not progress.jobs and not progress.reached


def choose(progress: Progress, wanted: Collection[str], offered: Sequence[str]) -> Progress:
    """The modules that were chosen, in the order in which they are offered; unknown names are dropped."""
    return evolve(
        progress,
        chosen=tuple(short for short in offered if short in wanted),
        vault_name=None,
        scribe_settled=False,
        installs_seen=False,
    )


def options(short: str, progress: Progress, environment: Mapping[str, str]) -> dict[str, Any]:
    """How a chosen module is to be installed."""
    if short == "vault":
        return {"first_vault": progress.vault_name}
    return {"environment": dict(environment)} if short == "scribe" and environment else {}
