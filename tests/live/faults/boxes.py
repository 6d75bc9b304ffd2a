"""A cgroup of a test."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

from tests.requirements import cgroup_folder


class Box:
    """A cgroup of this test with a limit; removed afterwards. Needs `right("to make cgroups")`."""

    def __init__(self, controller: str, name: str, limit: tuple[str, str, int]) -> None:
        one, two, value = limit
        root = cgroup_folder(controller)
        self.folder = root / f"parachute-{name}-{os.getpid()}"
        self.folder.mkdir()
        (self.folder / (one if root.name == controller else two)).write_text(str(value))

    def run(self, *words: str) -> "subprocess.Popen[str]":
        """A process inside it that dies with us."""
        join = f'echo $$ > {self.folder}/cgroup.procs; exec setpriv --pdeathsig KILL "$0" "$@"'
        argv = ["/bin/sh", "-c", join, sys.executable, "-m", "tests.live.faults.boxed", *words]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)

    def take(self, pid: int) -> None:
        """Move a process in; its future children are inside too."""
        (self.folder / "cgroup.procs").write_text(str(pid))

    def kill(self) -> None:
        """Kill whatever is left in it."""
        for pid in (self.folder / "cgroup.procs").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)

    def close(self) -> None:
        for _ in range(100):
            try:
                self.folder.rmdir()
            except OSError:
                time.sleep(0.05)
            else:
                return
