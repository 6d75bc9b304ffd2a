"""A problem, as every page, command and notice shows it."""

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from attrs import evolve, field

from parachute_hub.system.records import frozen
from parachute_hub.system.timestamps import to_the_second

Severity: TypeAlias = Literal["error", "warning", "info"]
"""`error`: something does not work, or data is at risk. `warning`: it will soon. `info`: for when there is time."""

_RANKS: Final[Mapping[str, int]] = {"error": 0, "warning": 1, "info": 2}


@frozen(kw_only=True)
class Fix:
    """One way out: `label` is a button's text, or a whole sentence if there is nothing to click.

    `page` leads to a page of the admin app. `method` and `path` are a request to the admin API, the same for a button
    and for `parachute doctor --fix`. `safe` fixes lose nothing, so `--fix` makes them without asking.
    """

    label: str
    page: str | None = None
    method: str | None = None
    path: str | None = None
    body: Mapping[str, Any] | None = None
    safe: bool = False

    def to_json(self) -> dict[str, Any]:
        """The form of the API: `request` is None for words and links."""
        request = {"method": self.method, "path": self.path, "body": self.body} if self.path else None
        return {"label": self.label, "page": self.page, "request": request, "safe": self.safe}


def words(label: str) -> Fix:
    """A fix that a person makes elsewhere."""
    return Fix(label=label)


def link(label: str, page: str) -> Fix:
    """A page of the admin app where it is fixed."""
    return Fix(label=label, page=page)


def click(label: str, method: str, path: str, *, body: Mapping[str, Any] | None = None, safe: bool = False) -> Fix:
    """A request of the admin API that fixes it."""
    return Fix(label=label, method=method, path=path, body=body, safe=safe)


@frozen(kw_only=True)
class Problem:
    """Something that is wrong now.

    `key` is stable: the same for as long as it is the same problem. `title` is a headline, `text` one or two sentences
    for people, `detail` what somebody else said about it, `found` the measured facts, `clears` when it goes away.
    `title` and `text` are sent elsewhere by notices, so they hold no name of a person or a note, no address and no line
    of a log; those belong into `detail`. Nothing here is a secret. `short` is the module concerned.

    `essence` is what a dismissal holds for: a dismissed problem returns when its severity or its essence changes.
    Numbers that move all the time belong into `text` and `found` only.
    """

    key: str
    severity: Severity
    title: str
    text: str
    clears: str
    detail: str = ""
    found: Mapping[str, Any] = field(factory=dict)
    fixes: tuple[Fix, ...] = ()
    short: str | None = None
    essence: str = ""

    def same_as(self, other: "Problem") -> bool:
        """Whether a dismissal of the other holds for this one, and nobody need hear of it again."""
        return (self.key, self.severity, self.essence) == (other.key, other.severity, other.essence)


@frozen(kw_only=True)
class Standing:
    """A problem that the hub has now. Times are in epoch seconds."""

    problem: Problem
    since: float
    dismissed: bool = False

    def followed_by(self, problem: Problem) -> "Standing":
        """The same problem found again; a change ends the dismissal."""
        return evolve(self, problem=problem, dismissed=self.dismissed and problem.same_as(self.problem))

    def to_json(self) -> dict[str, Any]:
        """The form of the API and of events."""
        problem = self.problem
        return {
            "key": problem.key,
            "severity": problem.severity,
            "title": problem.title,
            "text": problem.text,
            "detail": problem.detail,
            "found": dict(problem.found),
            "clears": problem.clears,
            "fixes": [fix.to_json() for fix in problem.fixes],
            "short": problem.short,
            "since": to_the_second(self.since),
            "dismissed": self.dismissed,
        }


def ordered(standing: "list[Standing]") -> "list[Standing]":
    """The most serious first, then the oldest."""
    return sorted(standing, key=lambda one: (_RANKS[one.problem.severity], one.since, one.problem.key))
