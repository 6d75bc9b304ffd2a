"""What a check is: a small class that looks at one thing."""

from collections.abc import Awaitable, Sequence
from typing import Protocol, TypeAlias

from parachute_hub.problems.model import Problem

Wake: TypeAlias = str
"""What has changed: `modules` (a module's state or registration), `jobs` (an operation), `reports` (what was reported),
or an act of docs/activity.md by which the problem may be over.
"""


class Check(Protocol):
    """Looks at one thing, every `period` seconds and within a second after each change that `wakes` names.

    `name` is unique. It names the check in the log and in the problem that says that the check itself failed.
    """

    @property
    def name(self) -> str: ...

    @property
    def period(self) -> float: ...

    @property
    def wakes(self) -> tuple[Wake, ...]: ...

    def look(self) -> Sequence[Problem] | Awaitable[Sequence[Problem]]:
        """The problems that there are now. May raise, which is a problem of its own; the last findings then stay."""
