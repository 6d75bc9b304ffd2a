"""The wizard as a state machine: a screen is a state, an answer an input, and TABLE says which is taken where.

Answers may come in any order that the table allows, from several tabs. Whatever the order, the wizard is done only when
every chosen module's install has begun.
"""

import json
from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any, Literal, Protocol

from attrs import evolve, field

from parachute_hub.system.records import frozen

Screen = Literal["account", "modules", "vault-name", "scribe-key", "installing", "reach", "done"]
Step = Literal["welcome", "vault", "expose", "done"]

Input = Literal["choose", "vault", "scribe", "install", "continue", "reach"]

TABLE: Mapping[Screen, frozenset[Input]] = {
    "account": frozenset(),
    "modules": frozenset({"choose", "vault", "install", "reach"}),
    "vault-name": frozenset({"choose", "vault", "install", "reach"}),
    "scribe-key": frozenset({"choose", "vault", "scribe", "install", "reach"}),
    "installing": frozenset({"install", "continue", "reach"}),
    "reach": frozenset({"choose", "install", "continue", "reach"}),
    "done": frozenset({"install", "continue"}),
}
"""The inputs that each state takes. `refusal` adds what depends on the answers themselves."""

_OPEN: Mapping[Screen, str] = {
    "account": "Create the owner's account first.",
    "modules": "Choose the modules first.",
    "vault-name": "Name the first vault first.",
    "scribe-key": "Answer the question about speech to text first.",
}
_ANSWERED = "This was already answered. Change it on the hub's own pages."

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
    reference: bool = False


class SetupInstalls(Protocol):
    """The installer, as the wizard uses it. Jobs are mappings in API form."""

    def offers(self) -> Sequence[Offer]:
        """The modules on offer, in display order."""

    def begin(self, short: str, options: Mapping[str, Any]) -> Coroutine[Any, Any, str]:
        """Start an install and return the job's id. Options: `first_vault` (a name), `environment` (a mapping)."""

    def job(self, job_id: str) -> Mapping[str, Any] | None:
        """The job's progress; None for an unknown id."""

    def retry(self, job_id: str, *, lean: bool = False) -> Coroutine[Any, Any, str]:
        """Retry a failed job with the same options; `lean` leaves out optional dependencies. Returns the new id."""


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
        return "installing"
    if progress.chosen and not progress.installs_seen:
        return "installing"
    return "done" if progress.reached else "reach"


def refusal(progress: SetupProgress, given: Input, *, has_owner: bool) -> str | None:
    """Why an input is not taken now; None if it is."""
    now = screen(progress, has_owner=has_owner)
    if given not in TABLE[now]:
        return _OPEN.get(now, _ANSWERED)
    if given == "choose" and progress.jobs:
        return "This was already answered. Add modules on the hub's own page."
    if given == "vault" and progress.chosen is not None and "vault" not in progress.missing_jobs:
        return "The vault is not among the modules that wait for an answer."
    if given == "reach" and progress.reached:
        return "This was already answered. Change the address in the hub's settings."
    return None


def seen(progress: SetupProgress) -> SetupProgress:
    """The owner leaves the progress screen; it opens again for an install that has not begun."""
    return progress if progress.missing_jobs else evolve(progress, installs_seen=True)


def reach(progress: SetupProgress) -> SetupProgress:
    """The address is settled. Open questions stay open; running installs go on by themselves."""
    watching = screen(progress, has_owner=True) == "installing"
    return evolve(seen(progress) if watching else progress, reached=True)


def begun(progress: SetupProgress, short: str, job_id: str) -> SetupProgress:
    """A module's install has begun, chosen before or not."""
    chosen = tuple(dict.fromkeys((*(progress.chosen or ()), short)))
    return evolve(progress, chosen=chosen, jobs={**progress.jobs, short: job_id})


def may_reopen(progress: SetupProgress, wanted: str, *, has_owner: bool) -> bool:
    """True if a question may be shown again: the choice of modules, until installing begins."""
    return wanted in ("modules", "vault") and refusal(progress, "choose", has_owner=has_owner) is None


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
