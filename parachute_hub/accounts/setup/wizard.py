"""Determines the wizard's next screen from the answers so far."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, Protocol

from attrs import evolve, field, frozen

Screen = Literal["account", "modules", "vault-name", "scribe-key", "installing", "reach", "done"]
Step = Literal["welcome", "vault", "expose", "done"]

# Step names of the older hub, which scripts use.
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
    """A module on offer. Sizes are estimates, None if unknown."""

    short: str
    name: str
    tagline: str
    purpose: str = ""
    size_bytes: int | None = None
    memory_mb: int | None = None
    installed: bool = False


class SetupInstalls(Protocol):
    """The installer, as the wizard uses it. Jobs are mappings in API form."""

    def offers(self) -> Sequence[Offer]:
        """The modules on offer, in display order."""

    def begin(self, short: str, options: Mapping[str, Any]) -> str:
        """Start an install and return the job's id. Options: `first_vault` (a name), `environment` (a mapping)."""

    def job(self, job_id: str) -> Mapping[str, Any] | None:
        """The job's progress; None for an unknown id."""

    def retry(self, job_id: str) -> str:
        """Retry a failed job with the same options. Returns the new job's id."""


@frozen(kw_only=True)
class SetupProgress:
    """The owner's answers. `chosen` is None before the choice; `jobs` maps modules to their latest job."""

    chosen: tuple[str, ...] | None = None
    vault_name: str | None = None
    scribe_settled: bool = False
    jobs: Mapping[str, str] = field(factory=dict)
    installs_seen: bool = False
    reached: bool = False

    def to_text(self) -> str:
        """The stored form."""
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
    def from_text(cls, text: str | None) -> "SetupProgress":
        """Parse the stored form; None gives the initial state."""
        stored = json.loads(text) if text else {}
        chosen = stored.pop("chosen", None)
        return cls(chosen=None if chosen is None else tuple(chosen), **stored)

    @property
    def missing_jobs(self) -> tuple[str, ...]:
        """Chosen modules whose install has not started."""
        return tuple(short for short in self.chosen or () if short not in self.jobs)


def screen(progress: SetupProgress, *, has_owner: bool) -> Screen:
    """The first unanswered question."""
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


def may_reopen(progress: SetupProgress, wanted: str) -> bool:
    """True if a question may be shown again: the choice of modules, until installing begins."""
    return wanted in ("modules", "vault") and not progress.jobs and not progress.reached


def choose(progress: SetupProgress, wanted: Collection[str], offered: Sequence[str]) -> SetupProgress:
    """The chosen modules in display order; unknown names are dropped."""
    return evolve(
        progress,
        chosen=tuple(short for short in offered if short in wanted),
        vault_name=None,
        scribe_settled=False,
        installs_seen=False,
    )


def options(short: str, progress: SetupProgress, environment: Mapping[str, str]) -> dict[str, Any]:
    """Install options for a chosen module."""
    if short == "vault":
        return {"first_vault": progress.vault_name}
    return {"environment": dict(environment)} if short == "scribe" and environment else {}
