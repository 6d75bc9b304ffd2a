"""A cgroup of a test."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from twisted.trial.unittest import SkipTest


class Box:
    """A cgroup of this test, with a limit; gone afterwards. Needs root."""

    def __init__(self, controller: str, name: str, limit: tuple[str, str, int]) -> None:
        one, two, value = limit
        v1 = Path("/sys/fs/cgroup") / controller
        root, file = (v1, one) if v1.is_dir() else (Path("/sys/fs/cgroup"), two)
        self.folder = root / f"parachute-{name}-{os.getpid()}"
        try:
            self.folder.mkdir()
            (self.folder / file).write_text(str(value))
        except OSError as error:
            raise SkipTest(f"no {controller} cgroup to be had here: {error}") from None

    def run(self, *words: str) -> "subprocess.Popen[str]":
        """A process of ours inside it, which dies with us."""
        join = f'echo $$ > {self.folder}/cgroup.procs; exec setpriv --pdeathsig KILL "$0" "$@"'
        argv = ["/bin/sh", "-c", join, sys.executable, "-m", "tests.live.faults.boxed", *words]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)

    def take(self, pid: int) -> None:
        """Move a process in; what it starts from now on is inside as well."""
        (self.folder / "cgroup.procs").write_text(str(pid))

    def kill(self) -> None:
        """Whatever is left in it."""
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
