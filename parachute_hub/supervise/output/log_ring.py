"""A module's latest log lines, numbered without gaps, to read or follow."""

from collections import deque
from collections.abc import Callable

from parachute_hub.system.log_lines import Level, Line
from parachute_hub.system.timers import FailureLog


class LogRing:
    """Keeps up to `capacity` bytes of text; the oldest lines are dropped first, the newest is always kept."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._lines: deque[Line] = deque()
        self._size = 0
        self._number = 0
        self._listeners: list[Callable[[Line], None]] = []
        self._failures = FailureLog()

    def append(self, at: float, text: str, level: Level = "info", mark: str | None = None) -> Line:
        """Append a line and notify subscribers."""
        self._number += 1
        line = Line(self._number, at, text, level, mark)
        self._lines.append(line)
        self._size += _size(line)
        while self._size > self._capacity and len(self._lines) > 1:
            self._size -= _size(self._lines.popleft())
        if self._listeners:
            self._failures.each("Following a log", lambda listener: listener(line), tuple(self._listeners))
        return line

    def since(self, number: int) -> list[Line]:
        """The lines after `number`, as far as they are still kept."""
        if not self._lines:
            return []
        missing = max(0, number + 1 - self._lines[0].number)
        if missing >= len(self._lines):
            return []
        return list(self._lines)[missing:]

    def subscribe(self, listener: Callable[[Line], None]) -> Callable[[], None]:
        """Call `listener` for each new line; call the result to unsubscribe."""
        self._listeners.append(listener)

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)

        return end

    @property
    def latest(self) -> int:
        """The number of the newest line, 0 before the first."""
        return self._number


def _size(line: Line) -> int:
    """Approximate size of a line in memory."""
    return len(line.text) + 1
