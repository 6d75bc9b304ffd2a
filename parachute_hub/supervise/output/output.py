"""Where a child's output goes: masked, into the ring, the files and the hub's own log, within a budget."""

from collections.abc import Callable

from parachute_hub.supervise.limits import LogLimits
from parachute_hub.supervise.output.line_buffer import Budget, Splitter
from parachute_hub.supervise.output.log_files import LogFiles
from parachute_hub.supervise.output.log_ring import LogRing
from parachute_hub.system.timers import Failures


class Output:
    """Takes the bytes of one module's processes, one process after the other.

    Over the budget it asks (`flooded`) to be given no more bytes but only their numbers (`dropped`) until it has filled
    again; how many lines were lost stands in the log. `now` is monotonic seconds, `wall` seconds since the epoch.
    """

    def __init__(
        self,
        *,
        ring: LogRing,
        files: LogFiles,
        log_line: Callable[[str], None],
        mask: Callable[[str], str],
        limits: LogLimits,
        now: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self.ring = ring
        self._files = files
        self._log_line = log_line
        self._mask = mask
        self._now = now
        self._wall = wall
        self._splitter = Splitter(limits.line)
        self._budget = Budget(limits)
        self._dropped = 0
        self._failures = Failures()

    def received(self, data: bytes) -> None:
        """Bytes came."""
        lines = self._splitter.feed(data)
        self._budget.charge(self._now(), len(data), len(lines))
        self._keep(lines)

    @property
    def flooded(self) -> bool:
        """The budget is spent: drop what comes."""
        return self._budget.spent

    def dropped(self, lines: int) -> None:
        """`lines` line ends were read and thrown away."""
        self._dropped += lines
        self._splitter.skip()

    def recovered(self) -> bool:
        """Whether bytes are wanted again; if so, says first what is missing."""
        self._budget.refill(self._now())
        if not self._budget.filled:
            return False
        self._mark()
        return True

    def note(self, text: str) -> None:
        """Add a line of the hub's own."""
        self._keep([f"(hub) {text}"])

    def ended(self) -> None:
        """The process is gone: its last line may lack its end."""
        self._mark()
        self._keep(self._splitter.flush())

    def close(self) -> None:
        """Nothing follows."""
        self._files.close()

    def _mark(self) -> None:
        if self._dropped:
            count, self._dropped = self._dropped, 0
            self.note(f"suppressed {count} lines: more than the log takes")

    def _keep(self, lines: list[str]) -> None:
        if not lines:
            return
        # Whatever is wrong with a log, the module goes on.
        self._failures.attempt("Keeping the lines of a module", self._told, lines)

    def _told(self, lines: list[str]) -> None:
        masked = self._mask("\n".join(lines)).split("\n")
        at = self._wall()
        self._files.write(at, masked)
        for line in masked:
            self.ring.append(at, line)
            self._log_line(line)
