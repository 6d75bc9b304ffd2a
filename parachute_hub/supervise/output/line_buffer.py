"""Splits output into lines and limits how many are kept. Pure: the time is an argument."""

from attrs import field

from parachute_hub.supervise.limits import LogLimits
from parachute_hub.system.records import define

CUT = " ... (line cut)"


class Splitter:
    """Splits a byte stream into lines of text.

    Characters and lines may span chunks. Invalid UTF-8 becomes U+FFFD. Lines over `longest` bytes are cut and marked. A
    progress bar that overwrites itself with carriage returns counts as one line with its final state, as on a terminal.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._partial = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[str]:
        """The lines completed by `data`."""
        if self._skipping:
            end = data.find(b"\n")
            if end < 0:
                return []
            data, self._skipping = data[end + 1 :], False
        *whole, rest = data.split(b"\n")
        lines = []
        if whole:
            lines.append(self._text(bytes(self._partial) + whole[0]))
            lines.extend(map(self._text, whole[1:]))
            self._partial.clear()
        self._partial += rest
        if len(self._partial) > self._longest:
            lines.append(self._text(bytes(self._partial)))
            self._partial.clear()
            self._skipping = True
        return lines

    @property
    def partial(self) -> bytes:
        """The last line so far."""
        return bytes(self._partial)

    def skip(self) -> None:
        """Bytes are missing here: drop the partial line and resume after the next line end."""
        self._partial.clear()
        self._skipping = True

    def flush(self) -> list[str]:
        """End of stream: return the rest as a line."""
        rest, self._skipping = bytes(self._partial), False
        self._partial.clear()
        return [self._text(rest)] if rest else []

    def _text(self, line: bytes) -> str:
        cut = len(line) > self._longest
        shown = line[: self._longest].rstrip(b"\r").rpartition(b"\r")[2]
        return shown.decode("utf-8", "replace") + (CUT if cut else "")


@define
class Budget:
    """A token bucket of bytes, filled at `limits.rate` per second up to `limits.burst`. One chunk may overdraw it."""

    limits: LogLimits
    left: float = field(init=False)
    _at: float | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self.left = float(self.limits.burst)

    def charge(self, now: float, size: int, lines: int) -> None:
        """Charge `size` bytes in `lines` lines."""
        self.refill(now)
        self.left -= max(size, lines * self.limits.line_charge)

    def refill(self, now: float) -> None:
        """Refill up to `now` (monotonic seconds)."""
        if self._at is not None:
            self.left = min(self.limits.burst, self.left + (now - self._at) * self.limits.rate)
        self._at = now

    @property
    def spent(self) -> bool:
        """True if the budget is exhausted."""
        return self.left <= 0

    @property
    def filled(self) -> bool:
        """True if there is budget for a second of output again."""
        return self.left >= min(self.limits.rate, self.limits.burst)
