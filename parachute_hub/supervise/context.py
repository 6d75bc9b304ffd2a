"""What every module of one hub stands on, and who provides it."""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from attrs import frozen

from parachute_hub.supervise.limits import LogLimits, Timing
from parachute_hub.supervise.model import Launch, Status
from parachute_hub.supervise.process.command_line import Tools
from parachute_hub.supervise.process.process_tags import Whose
from parachute_hub.supervise.process.processes import Holder

T = TypeVar("T")


class Launcher(Protocol):
    """Says how a module is run."""

    def launch(self, short: str) -> Launch:
        """Called anew for every spawn. Raises CannotLaunch."""


class Desired(Protocol):
    """The stored wish for on or off."""

    def wanted(self, short: str) -> bool:
        """Whether the module should run."""

    def want(self, short: str, on: bool) -> None:
        """Store the wish."""


class System(Protocol):
    """Processes and ports; `processes.Processes`. Slow but for `group_lives`: called in a thread."""

    def group_lives(self, group: int) -> bool:
        """Whether a process group has a member that is not a zombie."""

    def signal(self, whose: Whose, number: int) -> list[int]:
        """Send a signal to those picked."""

    def holder(self, port: int, whose: Whose) -> Holder | None:
        """Who listens on a port."""

    def owner(self, session: int, port: int, whose: Whose) -> Holder | None:
        """Who listens on a port, looking at a session first."""

    def ports(self, whose: Whose) -> list[int]:
        """Where those picked listen."""

    def footprints(self, sessions: Mapping[str, int]) -> dict[str, int]:
        """What sessions take."""

    def own(self) -> int:
        """What the hub takes."""


class OomKills(Protocol):
    """Counts what the kernel killed for lack of memory; `cgroup.Cgroup`."""

    def oom_kills(self) -> int:
        """So many since the container was made; 0 where nobody counts."""


class InThread(Protocol):
    """Runs a slow function elsewhere."""

    def __call__(self, function: Callable[..., T], *args: Any) -> Awaitable[T]:
        """Its result, later."""


@frozen(kw_only=True)
class Ground:
    """One hub's collaborators. `now` is monotonic seconds, `wall` seconds since the epoch, `signal_group` os.killpg.

    `home` and `life` mark our processes. `under_way` counts the requests that a port has not answered yet.
    """

    reactor: Any
    launcher: Launcher
    system: System
    oom: OomKills
    under_way: Callable[[int], int]
    in_thread: InThread
    signal_group: Callable[[int, int], None]
    tools: Tools
    home: str
    life: str
    log_folder: Path
    timing: Timing
    limits: LogLimits
    emit: Callable[[Status], None]
    log_line: Callable[[str, str], None]
    mask: Callable[[str], str]
    random: Callable[[], float]
    now: Callable[[], float]
    wall: Callable[[], float]
