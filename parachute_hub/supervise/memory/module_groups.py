"""Limits that the kernel keeps: a cgroup (v2) for each module, below one that was delegated to the hub."""

import os
from pathlib import Path

from attrs import field

from parachute_hub.supervise.memory.cgroup import OWN_GROUP, Cgroup
from parachute_hub.supervise.model import Allowance
from parachute_hub.system.records import define

_WHOLE = Path("/sys/fs/cgroup")
# systemd marks what it hands over: `Delegate=` in systemd.resource-control(5).
_DELEGATED = "user.delegate"
_PERIOD = 100_000
# The hub restarts a module at its limit, and lets it finish first; the kernel ends one that goes on beyond.
_BEYOND = 8


@define
class ModuleGroups:
    """The modules' cgroups in `folder`, with the `controllers` that are there. All calls block."""

    folder: Path
    controllers: frozenset[str]
    _kept: dict[str, Allowance] = field(factory=dict, init=False)

    @classmethod
    def prepare(cls, cgroup: Cgroup, whole: Path = _WHOLE) -> "ModuleGroups | None":
        """Make room for modules in the hub's cgroup; None if it is not the hub's to divide.

        The processes in it move to one below, since a cgroup with processes cannot limit others below it. Below
        `whole`, the mounted hierarchy, only what systemd marks is the hub's: a terminal's belongs to the terminal.
        """
        folder = cgroup.folder
        if cgroup.version != 2 or not (folder == whole or _is_delegated(folder)):
            return None
        own = folder / OWN_GROUP
        try:
            if not os.access(folder / "cgroup.subtree_control", os.W_OK):
                return None
            own.mkdir(exist_ok=True)
            for pid in (folder / "cgroup.procs").read_text().split():
                (own / "cgroup.procs").write_text(pid)
            offered = (folder / "cgroup.controllers").read_text().split()
            found = frozenset({"memory", "cpu"}.intersection(offered))
            for controller in sorted(found):
                (folder / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError:
            return None
        return cls(folder, found) if found else None

    def put(self, short: str, pid: int, allowance: Allowance) -> None:
        """Put a new process, which has no children yet, into its module's cgroup. Raises OSError."""
        group = self._group(short)
        group.mkdir(exist_ok=True)
        self._kept.pop(short, None)
        self.keep(short, allowance)
        (group / "cgroup.procs").write_text(str(pid))

    def kept(self, short: str) -> Allowance | None:
        """What the kernel keeps a module to; None if it has not been told."""
        return self._kept.get(short)

    def keep(self, short: str, allowance: Allowance) -> None:
        """Let the kernel keep a module to this from now on. Raises OSError."""
        if self._kept.get(short) == allowance:
            return
        group = self._group(short)
        if "memory" in self.controllers:
            most = allowance.memory
            (group / "memory.max").write_text("max" if most is None else str(most + most // _BEYOND))
            # A part of a module that is left without the rest answers nobody.
            (group / "memory.oom.group").write_text("1")
        if "cpu" in self.controllers:
            share = allowance.processor
            (group / "cpu.max").write_text(f"{'max' if share is None else round(share * _PERIOD)} {_PERIOD}")
        self._kept[short] = allowance

    def _group(self, short: str) -> Path:
        return self.folder / f"module-{short}"


def _is_delegated(folder: Path) -> bool:
    try:
        return os.getxattr(folder, _DELEGATED) == b"1"
    except (OSError, AttributeError):
        return False
