"""The hub's own log: the latest lines in memory, and two files that outlive a restart."""

from collections.abc import Callable
from pathlib import Path

from parachute_hub.supervise.output.log_files import LOG_BYTES, LogFiles, last_mark
from parachute_hub.supervise.output.log_ring import LogRing
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.log_lines import MARK_LEVELS, Level, Line

NAME = "hub"
_RING_BYTES = 64 * 1024
_KILLED = "The hub before this one did not stop in good order: it was killed, crashed, or lost power."


class HubLog:
    """Receives the lines of `system.logs.LineObserver`. Until the home is ours and `open`, it keeps them in memory.

    `room` is what its files may take, in bytes.
    """

    def __init__(self) -> None:
        self.ring = LogRing(_RING_BYTES)
        self.room: Callable[[], int] = lambda: LOG_BYTES
        self._files: LogFiles | None = None

    def open(self, folder: Path, now: float) -> None:
        """Go on in this folder, and mark how the hub before this one ended. Blocks."""
        try:
            killed = last_mark(folder, NAME) == "start"
        except OSError:
            killed = False
        self._files = LogFiles(folder, NAME, lambda: self.room(), FileWriter())
        self._files.write(self.ring.since(0))
        if killed:
            self.mark(now, "crash", _KILLED)

    def through(self, writer: FileWriter) -> None:
        """Write beside the reactor while it runs, and inline after it."""
        if self._files is not None:
            self._files.through(writer)

    def keep(self, at: float, level: Level, text: str) -> None:
        """Lines of one event."""
        lines = [self.ring.append(at, line, level) for line in text.split("\n")]
        if self._files is not None:
            self._files.write(lines)

    def mark(self, at: float, kind: str, text: str) -> None:
        """A moment in the hub's life: `start`, `stop`, `crash`."""
        line = Line(0, at, text, MARK_LEVELS.get(kind, "info"), kind)
        self.ring.append(at, text, line.level, kind)
        if self._files is not None:
            self._files.write([line])
