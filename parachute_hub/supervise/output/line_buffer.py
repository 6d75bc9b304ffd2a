"""Bytes of a child's output made into lines, and how many of them are kept. Pure: the time is an argument."""

from attrs import define, field

from parachute_hub.supervise.limits import LogLimits

CUT = " ... (line cut)"


class Splitter:
    """Cuts a stream of bytes into lines of text.

    A character or a line may be split between two pieces. Bytes that are not UTF-8 become U+FFFD. A line longer than
    `longest` bytes is cut and marked. A progress bar that overwrites itself with carriage returns is one line: its last
    state, as on a terminal.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._partial = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> list[str]:
        """The lines that are complete with `data`."""
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

    def skip(self) -> None:
        """Bytes are missing from here on: drop what is half read, and begin again after the next line end."""
        self._partial.clear()
        self._skipping = True

    def flush(self) -> list[str]:
        """The stream is over: what is left is a line."""
        rest, self._skipping = bytes(self._partial), False
        self._partial.clear()
        return [self._text(rest)] if rest else []

    def _text(self, line: bytes) -> str:
        cut = len(line) > self._longest
        shown = line[: self._longest].rstrip(b"\r").rpartition(b"\r")[2]
        return shown.decode("utf-8", "replace") + (CUT if cut else "")


@define
class Budget:
    """A bucket of bytes that fills at `limits.rate` a second up to `limits.burst`; may be overdrawn by one piece."""

    limits: LogLimits
    left: float = field(init=False)
    _at: float | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self.left = float(self.limits.burst)

    def charge(self, now: float, size: int, lines: int) -> None:
        """Take for `size` bytes in `lines` lines."""
        self.refill(now)
        self.left -= max(size, lines * self.limits.line_charge)

    def refill(self, now: float) -> None:
        """Let it fill until `now` (monotonic seconds)."""
        if self._at is not None:
            self.left = min(self.limits.burst, self.left + (now - self._at) * self.limits.rate)
        self._at = now

    @property
    def spent(self) -> bool:
        """Nothing more is kept until it has filled again."""
        return self.left <= 0

    @property
    def filled(self) -> bool:
        """Enough for a second's worth: worth listening again."""
        return self.left >= min(self.limits.rate, self.limits.burst)
