"""The latest lines of a module, numbered without gaps, for whoever wants to read or follow them."""

from collections import deque
from collections.abc import Callable

from attrs import frozen

from parachute_hub.system.timers import Failures


@frozen
class Line:
    """One line: its place in the sequence from 1, when it came (seconds since the epoch), and the text."""

    number: int
    at: float
    text: str


class LogRing:
    """Keeps lines up to `capacity` bytes of text; the oldest whole lines go first, the newest always stays."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._lines: deque[Line] = deque()
        self._size = 0
        self._number = 0
        self._listeners: list[Callable[[Line], None]] = []
        self._failures = Failures()

    def append(self, at: float, text: str) -> None:
        """Keep a line and tell those who follow."""
        self._number += 1
        line = Line(self._number, at, text)
        self._lines.append(line)
        self._size += _size(line)
        while self._size > self._capacity and len(self._lines) > 1:
            self._size -= _size(self._lines.popleft())
        if self._listeners:
            self._failures.each("Following a log", lambda listener: listener(line), tuple(self._listeners))

    def since(self, number: int) -> list[Line]:
        """The lines after `number`; all that are kept when it lies further back."""
        if not self._lines:
            return []
        missing = max(0, number + 1 - self._lines[0].number)
        if missing >= len(self._lines):
            return []
        return list(self._lines)[missing:]

    def subscribe(self, listener: Callable[[Line], None]) -> Callable[[], None]:
        """Call `listener` for each line from now on; the answer ends it."""
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
    """About what a line takes; the text's bytes are not worth counting exactly."""
    return len(line.text) + 1
