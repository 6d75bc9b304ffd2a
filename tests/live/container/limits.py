"""Memory and CPU limits as a platform sets them: a control group of the old (v1) or the new (v2) kind."""

import contextlib
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol
from uuid import uuid4

_TOP = Path("/sys/fs/cgroup")
_PERIOD_US = 100_000


class NoControlGroups(Exception):
    """This machine lets us limit nothing, so what is measured in a container would prove nothing."""


class Group(Protocol):
    """A limited group of processes."""

    @property
    def joining(self) -> list[Path]:
        """Files to which a process writes its id to become a member."""

    @property
    def shown(self) -> Mapping[str, Path]:
        """What a container sees below /sys/fs/cgroup: name to folder."""

    def members(self) -> list[int]:
        """Process ids."""

    def usage(self) -> int:
        """Bytes charged now, page cache included."""

    def anonymous(self) -> int:
        """Bytes that cannot be dropped: without page cache."""

    def peak(self) -> int:
        """The most bytes that were ever charged."""

    def oom_kills(self) -> int:
        """How many processes the kernel killed for memory."""

    def remove(self) -> None:
        """Forget the group; its processes have ended."""


def group(memory: int, cpus: float) -> Group:
    """A new group with `memory` bytes and `cpus` cores. Raises NoControlGroups."""
    name = f"parachute-{os.getpid()}-{uuid4().hex[:8]}"
    try:
        if (_TOP / "cgroup.controllers").exists():
            return _Unified(name, memory, cpus)
        return _Split(name, memory, cpus)
    except OSError as error:
        raise NoControlGroups(f"Neither kind of control group can be made here: {error}") from error


class _Split:
    """Version 1: one hierarchy for memory, one for the CPU."""

    def __init__(self, name: str, memory: int, cpus: float) -> None:
        self._memory = _TOP / "memory" / name
        self._cpu = _TOP / "cpu" / name
        for folder in (self._memory, self._cpu):
            folder.mkdir()
        (self._memory / "memory.limit_in_bytes").write_text(str(memory))
        with contextlib.suppress(OSError):  # absent where the kernel does not count swap
            (self._memory / "memory.memsw.limit_in_bytes").write_text(str(memory))
        (self._cpu / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
        (self._cpu / "cpu.cfs_quota_us").write_text(str(int(_PERIOD_US * cpus)))

    @property
    def joining(self) -> list[Path]:
        return [self._memory / "cgroup.procs", self._cpu / "cgroup.procs"]

    @property
    def shown(self) -> Mapping[str, Path]:
        return {"memory": self._memory, "cpu": self._cpu}

    def members(self) -> list[int]:
        return _numbers(self._memory / "cgroup.procs")

    def usage(self) -> int:
        return int((self._memory / "memory.usage_in_bytes").read_text())

    def anonymous(self) -> int:
        return _table(self._memory / "memory.stat")["total_rss"]

    def peak(self) -> int:
        return int((self._memory / "memory.max_usage_in_bytes").read_text())

    def oom_kills(self) -> int:
        return _table(self._memory / "memory.oom_control")["oom_kill"]

    def remove(self) -> None:
        for folder in (self._memory, self._cpu):
            _remove(folder)


class _Unified:
    """Version 2: one hierarchy."""

    def __init__(self, name: str, memory: int, cpus: float) -> None:
        (_TOP / "cgroup.subtree_control").write_text("+memory +cpu")
        self._folder = _TOP / name
        self._folder.mkdir()
        (self._folder / "memory.max").write_text(str(memory))
        with contextlib.suppress(OSError):
            (self._folder / "memory.swap.max").write_text("0")
        (self._folder / "cpu.max").write_text(f"{int(_PERIOD_US * cpus)} {_PERIOD_US}")

    @property
    def joining(self) -> list[Path]:
        return [self._folder / "cgroup.procs"]

    @property
    def shown(self) -> Mapping[str, Path]:
        return {".": self._folder}

    def members(self) -> list[int]:
        return _numbers(self._folder / "cgroup.procs")

    def usage(self) -> int:
        return int((self._folder / "memory.current").read_text())

    def anonymous(self) -> int:
        return _table(self._folder / "memory.stat")["anon"]

    def peak(self) -> int:
        return int((self._folder / "memory.peak").read_text())

    def oom_kills(self) -> int:
        return _table(self._folder / "memory.events")["oom_kill"]

    def remove(self) -> None:
        _remove(self._folder)


def _table(path: Path) -> dict[str, int]:
    return {name: int(value) for name, value in (line.split() for line in path.read_text().splitlines())}


def _numbers(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()]


def _remove(folder: Path) -> None:
    """A group can be removed a moment after its last process was reaped."""
    for _ in range(100):
        with contextlib.suppress(OSError):
            folder.rmdir()
            return
        time.sleep(0.02)
    folder.rmdir()
