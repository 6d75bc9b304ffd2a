"""A long operation on a module as plain data, for the API and the on-disk journal."""

from collections.abc import Mapping
from typing import Any, Self

from attrs import asdict, field
from attrs.validators import and_, deep_iterable, ge, in_, instance_of, le, optional

from parachute_hub.system import strict_json
from parachute_hub.system.records import frozen
from parachute_hub.system.timestamps import to_the_millisecond

FILE_LIMIT = 16 * 1024 * 1024
_DEPTH = 64
# Upper bound for timestamps read from a file: datetime must be able to represent them.
_TIME: Any = and_(instance_of((int, float)), ge(0), le(1e11))
_WORD = instance_of(str)
_WORDS = deep_iterable(_WORD, instance_of(tuple))


@frozen
class Step:
    """A named step of a job. Times are in epoch seconds; `size` is in bytes, for steps that have one.

    With `total`, `size` of `total` bytes are done.
    """

    name: str = field(validator=_WORD)
    started_at: float = field(validator=_TIME)
    finished_at: float | None = field(default=None, validator=optional(_TIME))
    size: int | None = field(default=None, validator=optional(instance_of(int)))
    total: int | None = field(default=None, validator=optional(instance_of(int)))
    status: str = field(default="running", validator=_WORD)


@frozen
class Undo:
    """How to undo one change: handler name, JSON arguments, and the message to show afterwards.

    A `live` undo only applies while the hub that made the change is running.
    """

    handler: str = field(validator=_WORD)
    text: str = field(validator=_WORD)
    arguments: Mapping[str, Any] = field(validator=instance_of(dict))
    live: bool = field(default=False, validator=instance_of(bool))


@frozen(kw_only=True)
class Job:
    """One operation. `status` is running, succeeded or failed; `outcome` can also be cancelled or interrupted.

    `committed` means the point of no return was passed: the job is not undone, whatever happens next.
    """

    id: str = field(validator=_WORD)
    kind: str = field(validator=_WORD)
    short: str = field(validator=_WORD)
    params: Mapping[str, Any] = field(validator=instance_of(dict))
    started_at: float = field(validator=_TIME)
    status: str = field(default="running", validator=in_(("running", "succeeded", "failed")))
    outcome: str | None = field(default=None, validator=optional(_WORD))
    committed: bool = field(default=False, validator=instance_of(bool))
    steps: tuple[Step, ...] = field(default=(), validator=deep_iterable(instance_of(Step), instance_of(tuple)))
    log: tuple[str, ...] = field(default=(), validator=_WORDS)
    undo: tuple[Undo, ...] = field(default=(), validator=deep_iterable(instance_of(Undo), instance_of(tuple)))
    undone: tuple[str, ...] = field(default=(), validator=_WORDS)
    error: str | None = field(default=None, validator=optional(_WORD))
    error_detail: Mapping[str, Any] | None = field(default=None, validator=optional(instance_of(dict)))
    finished_at: float | None = field(default=None, validator=optional(_TIME))

    @property
    def over(self) -> bool:
        """True once the job has ended."""
        return self.finished_at is not None

    @property
    def half_done(self) -> bool:
        """True if the job neither ended nor committed."""
        return not self.over and not self.committed

    def to_json(self) -> dict[str, Any]:
        """The API representation."""
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
        """The on-disk representation."""
        return strict_json.write(asdict(self), indent=1)

    @classmethod
    def from_bytes(cls, content: bytes) -> Self:
        """Parse a job file. Raises ValueError, KeyError or TypeError if it is malformed."""
        raw = strict_json.read(content, limit=FILE_LIMIT, depth=_DEPTH).value
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
        "total": step.total,
    }
