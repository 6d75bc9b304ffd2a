"""A hub that notes each write to the disk on the reactor's thread: `python -m tests.live.watched_hub`.

WATCHED names a file that gets a line for each: what, the path, and where in the hub. Writes count from `SIGUSR2` on, so
that a hub may open its database and its keys before it serves anyone.
"""

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from parachute_hub.__main__ import main as main_of_hub

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGES = frozenset(
    {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.chmod", "os.utime"}
)
# Neither is a disk.
_ELSEWHERE = ("/dev/", "/proc/")


class Watch:
    """Notes what the thread that created it does."""

    def __init__(self, path: str) -> None:
        self._notes = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._thread, self._process = threading.get_ident(), os.getpid()
        self._on = False

    def begin(self, *_: Any) -> None:
        """From now on."""
        self._on = True
        self._note("watching", "")

    def audited(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook (PEP 578)."""
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, str | bytes | os.PathLike) and isinstance(flags, int) and flags & WRITING:
                self.seen(event, os.fsdecode(path))
        elif event in CHANGES:
            self.seen(event, str(arguments[0]))

    def wrapped(self, name: str) -> None:
        """Note calls of a function of `os` that has no audit event."""
        real: Callable[..., Any] = getattr(os, name)

        def call(*arguments: Any) -> Any:
            self.seen(name, str(arguments))
            return real(*arguments)

        setattr(os, name, call)

    def seen(self, what: str, path: str) -> None:
        if self._on and threading.get_ident() == self._thread and os.getpid() == self._process:
            if not path.startswith(_ELSEWHERE):
                self._note(what, path)

    def _note(self, what: str, path: str) -> None:
        stack = [f"{frame.filename.rpartition('parachute_hub/')[2]}:{frame.lineno}" for frame in _ours()]
        os.write(self._notes, json.dumps([what, path, stack]).encode() + b"\n")


def _ours() -> list[traceback.FrameSummary]:
    return [frame for frame in traceback.extract_stack() if "/parachute_hub/" in frame.filename]


def main() -> None:
    """Watch, then be the hub."""
    watch = Watch(os.environ["WATCHED"])
    for name in ("fsync", "fdatasync", "sync", "posix_fallocate"):
        watch.wrapped(name)
    sys.addaudithook(watch.audited)
    signal.signal(signal.SIGUSR2, watch.begin)
    main_of_hub()


if __name__ == "__main__":
    main()
