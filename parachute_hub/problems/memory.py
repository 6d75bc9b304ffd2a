"""What the hub remembers of its problems across restarts: `<home>/hub/problems.json`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from attrs import asdict, field
from attrs.validators import in_, instance_of

from parachute_hub.problems.model import Problem, Severity, Standing
from parachute_hub.system import strict_json
from parachute_hub.system.atomic_files import atomic_write, read_bounded
from parachute_hub.system.records import frozen

FILE_LIMIT = 1024 * 1024


@frozen(kw_only=True)
class Known:
    """One problem as it stood when the hub last ran, found by `check`; `since` is in epoch seconds."""

    check: str = field(validator=instance_of(str))
    key: str = field(validator=instance_of(str))
    severity: Severity = field(validator=in_(("error", "warning", "info")))
    essence: str = field(validator=instance_of(str))
    title: str = field(validator=instance_of(str))
    since: float = field(validator=instance_of((int, float)))
    dismissed: bool = field(validator=instance_of(bool))

    @classmethod
    def of(cls, check: str, standing: Standing) -> Self:
        """What to remember of it."""
        problem = standing.problem
        return cls(
            check=check,
            key=problem.key,
            severity=problem.severity,
            essence=problem.essence,
            title=problem.title,
            since=standing.since,
            dismissed=standing.dismissed,
        )

    def holds_for(self, problem: Problem) -> bool:
        """Whether it is still the same, so that a dismissal holds."""
        return (self.severity, self.essence) == (problem.severity, problem.essence)

    def standing(self, problem: Problem) -> Standing:
        """The problem, found again."""
        return Standing(problem=problem, since=self.since, dismissed=self.dismissed and self.holds_for(problem))

    def over(self) -> Standing:
        """It is over: what can still be told of it."""
        problem = Problem(key=self.key, severity=self.severity, title=self.title, text=self.title, clears="It is over.")
        return Standing(problem=problem, since=self.since, dismissed=self.dismissed)


class ProblemsFile:
    """The file. Nothing is lost with it but the times and the dismissals, so a damaged one counts as empty."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Mapping[str, Known]:
        """The problems by key."""
        try:
            told: Any = strict_json.read(read_bounded(self._path, FILE_LIMIT), limit=FILE_LIMIT).value
            return {one["key"]: Known(**one) for one in told["problems"]}
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return {}

    def write(self, known: Sequence[Known]) -> None:
        """Replace the file. Blocks. Raises OSError."""
        atomic_write(self._path, strict_json.write({"problems": [asdict(one) for one in known]}), durable=False)
