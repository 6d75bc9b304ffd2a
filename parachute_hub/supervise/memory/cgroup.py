"""The container's memory limit and usage, from cgroup v2 or v1."""

import sys
from pathlib import Path

from parachute_hub.system.kernel_files import read_kernel_file
from parachute_hub.system.records import frozen

# No limit is `max` in v2 and a number near 2**63 in v1.
_UNLIMITED = 1 << 60
OWN_GROUP = "parachute-hub"
"""Where the hub moves itself below its cgroup, to make room for those of its modules (`module_groups`)."""


@frozen
class Cgroup:
    """The hub's memory cgroup: its folder and version (2, 1, or 0 without one)."""

    folder: Path
    version: int

    @classmethod
    def find(cls, proc: Path = Path("/proc"), mounts: Path = Path("/sys/fs/cgroup")) -> "Cgroup":
        """The cgroup named by /proc/self/cgroup, or the root if the container does not expose that path."""
        try:
            lines = (proc / "self/cgroup").read_text().splitlines() if sys.platform == "linux" else []
        except OSError:
            lines = []
        for line in lines:
            _, controllers, path = line.split(":", 2)
            if controllers.split(",").count("memory"):
                found = _first(mounts / "memory", path, "memory.limit_in_bytes")
                if found:
                    return cls(found, 1)
        for line in lines:
            _, controllers, path = line.split(":", 2)
            if not controllers:
                # A hub that took over from another one starts where that one had moved itself.
                found = _first(mounts, path.removesuffix(f"/{OWN_GROUP}"), "memory.current")
                if found:
                    return cls(found, 2)
        return cls(mounts, 0)

    def limit(self) -> int | None:
        """Bytes the container may use in total; None without a limit."""
        name = {1: "memory.limit_in_bytes", 2: "memory.max"}.get(self.version)
        number = self._number(name) if name else None
        return None if number is None or number >= _UNLIMITED else number

    def charged(self) -> int | None:
        """Bytes in use, also by file pages; cheaper to read than `used`."""
        name = {1: "memory.usage_in_bytes", 2: "memory.current"}.get(self.version)
        return self._number(name) if name else None

    def used(self) -> int | None:
        """Bytes in use that the kernel cannot simply reclaim: without inactive file pages."""
        number = self.charged()
        if number is None:
            return None
        return max(
            0, number - self._field("memory.stat", "total_inactive_file" if self.version == 1 else "inactive_file")
        )

    def oom_kills(self) -> int:
        """OOM kills in this cgroup; 0 where the kernel does not count them."""
        return self._field({1: "memory.oom_control", 2: "memory.events"}.get(self.version, ""), "oom_kill")

    def _number(self, name: str) -> int | None:
        try:
            return int(read_kernel_file(f"{self.folder}/{name}"))
        except (OSError, ValueError):
            return None

    def _field(self, name: str, key: str) -> int:
        if not name:
            return 0
        try:
            for line in (self.folder / name).read_text().splitlines():
                found, _, value = line.partition(" ")
                if found == key:
                    return int(value)
        except (OSError, ValueError):
            return 0
        return 0


def _first(mount: Path, path: str, name: str) -> Path | None:
    for folder in (mount / path.strip("/"), mount):
        if (folder / name).is_file():
            return folder
    return None
