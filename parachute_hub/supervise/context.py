"""The collaborators and limits shared by all supervised modules."""

import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from attrs import Factory, field
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from parachute_hub.confinement.rules import Confines
from parachute_hub.supervise.limits import LogLimits, MemoryLimits, Timing
from parachute_hub.supervise.memory.cgroup import Cgroup
from parachute_hub.supervise.memory.module_groups import ModuleGroups
from parachute_hub.supervise.model import Allowance, Launch, Status
from parachute_hub.supervise.output.log_files import LOG_BYTES
from parachute_hub.supervise.output.output import Output
from parachute_hub.supervise.process.adopted import adopt
from parachute_hub.supervise.process.child import Adopt, Child, Exit
from parachute_hub.supervise.process.command_line import Tools, find_tools
from parachute_hub.supervise.process.process_tags import TagFilter, home_hash, new_life
from parachute_hub.supervise.process.processes import Holder, Processes
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.records import frozen
from parachute_hub.system.timers import FailureLog, Rest

T = TypeVar("T")


class Launcher(Protocol):
    """Builds the command line of a module."""

    async def launch(self, short: str) -> Launch:
        """Called for every spawn. Raises CannotLaunch."""


class Desired(Protocol):
    """The persisted enabled state."""

    def wanted(self, short: str) -> bool:
        """True if the module is enabled."""

    def want(self, short: str, on: bool) -> Awaitable[None]:
        """Store the enabled state: at once in memory, then on disk."""


class System(Protocol):
    """Processes and ports; implemented by `processes.Processes`. All but `group_lives` block; call them in a thread."""

    def group_lives(self, group: int) -> bool:
        """True if a process group has a member that is not a zombie."""

    def signal(self, tag_filter: TagFilter, number: int) -> list[int]:
        """Signal the matching processes. Returns their ids."""

    def holder(self, port: int, tag_filter: TagFilter) -> Holder | None:
        """Who listens on a port."""

    def owner(self, session: int, port: int, tag_filter: TagFilter) -> Holder | None:
        """Who listens on a port, checking one session first."""

    def ports(self, tag_filter: TagFilter) -> list[int]:
        """The ports on which the matching processes listen."""

    def members(self, sessions: Mapping[str, int]) -> dict[str, list[int]]:
        """Processes by session."""

    def footprints(self, members: Mapping[str, Sequence[int]]) -> dict[str, int]:
        """Memory in bytes by session."""

    def processor(self, members: Mapping[str, Sequence[int]]) -> dict[str, float]:
        """Processor time in seconds by session."""

    def own(self) -> int:
        """The hub's own memory in bytes."""


class MemoryCounters(Protocol):
    """Memory of the container the hub runs in; implemented by `memory.cgroup.Cgroup`."""

    def limit(self) -> int | None:
        """Bytes the container may use in total; None without a limit."""

    def charged(self) -> int | None:
        """Bytes in use, also by file pages; None where the kernel does not count."""

    def used(self) -> int | None:
        """Bytes in use, without reclaimable file pages; None where the kernel does not count."""

    def oom_kills(self) -> int:
        """OOM kills in this cgroup since it was created; 0 where the kernel does not count."""


class InThread(Protocol):
    """Runs a blocking function in a thread."""

    def __call__(self, function: Callable[..., T], *args: Any) -> Awaitable[T]:
        """Resolves with the function's result."""


class SupervisorThreads:
    """The supervisor's own thread pool.

    All threads are created on the first call, so that a fork bomb can be killed even when no thread can be created. The
    pool outlives the services, since stopping modules needs it.
    """

    _THREADS = 4

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._pool: ThreadPool | None = None

    def __call__(self, function: Callable[..., T], *args: Any) -> Awaitable[T]:
        """Resolves with the function's result."""
        if self._pool is None:
            self._pool = ThreadPool(self._THREADS, self._THREADS, "supervise")
            self._pool.start()
            self._reactor.addSystemEventTrigger("after", "shutdown", self._pool.stop)
        return deferToThreadPool(self._reactor, self._pool, function, *args)


@frozen(kw_only=True)
class SupervisorContext:
    """The collaborators of one supervisor.

    `home` is the hub's home folder; `home_id` and `life` tag its child processes. `emit` receives each new status,
    `log_line` each masked line of output (`short`, text). `log_folder` holds two files per module, written by
    `log_writer`, and `log_bytes` is what they may take. `random` returns 0..1. `now` is monotonic seconds, `wall` epoch
    seconds. `under_way` returns the number of unanswered requests to a port. `memory_limit` is the operator's limit for
    the whole hub in bytes, or None; `allowance` is each module's, which the kernel keeps where there are `groups`.
    `confiner` starts launches that have rules. `adopt` takes over processes of an older hub. `sleeps` are modules that
    start with the first request. `far` is the other machine of a module (a
    `far.Machine`), None for one that runs here.
    """

    reactor: Any
    launcher: Launcher
    desired: Desired
    home: Path
    emit: Callable[[Status], None]
    log_line: Callable[[str, str], None]
    log_folder: Path
    mask: Callable[[str], str]
    random: Callable[[], float]
    now: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    under_way: Callable[[int], int] = field(default=lambda port: 0)
    sleeps: Callable[[str], bool] = field(default=lambda short: False)
    allowance: Callable[[str], Allowance] = field(default=lambda short: Allowance())
    groups: ModuleGroups | None = None
    in_thread: InThread = Factory(lambda self: SupervisorThreads(self.reactor), takes_self=True)
    system: System = Factory(Processes)
    counters: MemoryCounters = Factory(Cgroup.find)
    signal_group: Callable[[int, int], None] = os.killpg
    confiner: Confines | None = None
    adopt: Adopt = adopt
    tools: Tools = Factory(find_tools)
    timing: Timing = Timing()
    limits: LogLimits = LogLimits()
    memory: MemoryLimits = MemoryLimits()
    memory_limit: int | None = None
    rest: Rest = Factory(lambda self: Rest(self.reactor), takes_self=True)
    log_writer: FileWriter = Factory(FileWriter)
    log_bytes: Callable[[], int] = field(default=lambda: LOG_BYTES)
    far: Callable[[str], Any] = field(default=lambda short: None)
    home_id: str = Factory(lambda self: home_hash(self.home), takes_self=True)
    _failures: FailureLog = field(factory=FailureLog, init=False)
    life: str = Factory(new_life)

    def child(self, output: Output, ended: Callable[[Exit], None]) -> Child:
        """One that is not started yet."""
        return Child(
            clock=self.reactor,
            timing=self.timing,
            output=output,
            signal_group=self.signal_group,
            group_lives=self.system.group_lives,
            ended=ended,
        )

    def limit(self, short: str, pid: int) -> None:
        """Let the kernel keep a new process to its module's allowance, where it can. A failure is logged."""
        if self.groups is not None:
            put = partial(self.in_thread, self.groups.put, short, pid, self.allowance(short))
            Deferred.fromCoroutine(self._failures.wait(f"Limiting {short}", put))
