"""One long operation on a module, as data: for the API, and for the disk, so that a restarted hub can tell of it."""

import json
from collections.abc import Mapping
from typing import Any, Self

from attrs import asdict, frozen

from parachute_hub.moments import to_the_millisecond


@frozen
class Step:
    """A named part of a job. Times are in seconds since the epoch; `size` is in bytes, where that means something."""

    name: str
    started_at: float
    finished_at: float | None = None
    size: int | None = None
    status: str = "running"


@frozen
class Undo:
    """How one change is undone: the name of a handler, its arguments (JSON), and what to say when it was done.

    `live` means: only while the hub runs that made the change.
    """

    handler: str
    text: str
    arguments: Mapping[str, Any]
    live: bool = False


@frozen(kw_only=True)
class Job:
    """One operation. `status` is running, succeeded or failed; `outcome` also knows cancelled and interrupted.

    `committed` means that its purpose is reached: it is not undone any more, whatever happens.
    """

    id: str
    kind: str
    short: str
    params: Mapping[str, Any]
    started_at: float
    status: str = "running"
    outcome: str | None = None
    committed: bool = False
    steps: tuple[Step, ...] = ()
    log: tuple[str, ...] = ()
    undo: tuple[Undo, ...] = ()
    undone: tuple[str, ...] = ()
    error: str | None = None
    error_detail: Mapping[str, Any] | None = None
    finished_at: float | None = None

    @property
    def over(self) -> bool:
        """Whether it has come to its end."""
        return self.finished_at is not None

    @property
    def half_done(self) -> bool:
        """Whether it has neither come to its end nor reached its purpose."""
        return not self.over and not self.committed

    def to_json(self) -> dict[str, Any]:
        """The form of the API (modules.md 5.4) and our additions."""
        told: dict[str, Any] = {
            "id": self.id,
            "kind": self.kind,
            "short": self.short,
            "status": self.status,
            "log": list(self.log),
            "startedAt": to_the_millisecond(self.started_at),
            "outcome": self.outcome,
            "steps": [_step_json(step) for step in self.steps],
            "cancellable": not (self.over or self.committed),
            "undone": list(self.undone),
        }
        if self.error is not None:
            told["error"] = self.error
        if self.error_detail is not None:
            told["error_detail"] = dict(self.error_detail)
        if self.finished_at is not None:
            told["finishedAt"] = to_the_millisecond(self.finished_at)
        return told

    def to_bytes(self) -> bytes:
        """The form on disk."""
        return json.dumps(asdict(self), indent=1).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """The job in a file. Raises ValueError, KeyError or TypeError for what is none."""
        raw = json.loads(content)
        return cls(
            **{
                **raw,
                "steps": tuple(Step(**step) for step in raw["steps"]),
                "undo": tuple(Undo(**undo) for undo in raw["undo"]),
                "log": tuple(raw["log"]),
                "undone": tuple(raw["undone"]),
            }
        )


def _step_json(step: Step) -> dict[str, Any]:
    seconds = None if step.finished_at is None else round(step.finished_at - step.started_at, 3)
    return {
        "name": step.name,
        "state": step.status,
        "startedAt": to_the_millisecond(step.started_at),
        "seconds": seconds,
        "bytes": step.size,
    }
