"""Routes a child's output through masking and rate limiting to the ring, the log files and the hub's log."""

from collections.abc import Callable

from parachute_hub.supervise.limits import LogLimits
from parachute_hub.supervise.output.line_buffer import Budget, Splitter
from parachute_hub.supervise.output.log_files import LogFiles
from parachute_hub.supervise.output.log_ring import LogRing
from parachute_hub.system.log_lines import MARK_LEVELS, Line, level_of
from parachute_hub.system.timers import FailureLog


class Output:
    """Handles the output of one module's successive processes.

    Over the budget it asks (`flooded`) for line counts (`dropped`) instead of bytes until the budget recovers, and logs
    how many lines were dropped. `now` is monotonic seconds, `wall` epoch seconds.
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
        self._failures = FailureLog()

    def received(self, data: bytes) -> None:
        """Handle a chunk of output."""
        lines = self._splitter.feed(data)
        self._budget.charge(self._now(), len(data), len(lines))
        self._keep(lines)

    @property
    def partial(self) -> bytes:
        """The last line so far, which is not kept yet."""
        return self._splitter.partial

    @property
    def flooded(self) -> bool:
        """True if the budget is exhausted and output must be dropped."""
        return self._budget.spent

    def dropped(self, lines: int) -> None:
        """`lines` line ends were read and discarded."""
        self._dropped += lines
        self._splitter.skip()

    def recovered(self) -> bool:
        """True if output is wanted again; first logs how many lines were dropped."""
        self._budget.refill(self._now())
        if not self._budget.filled:
            return False
        self._tell_dropped()
        return True

    def note(self, text: str) -> None:
        """Add a line written by the hub."""
        self._keep([f"(hub) {text}"])

    def mark(self, kind: str, text: str) -> None:
        """Mark a moment in the module's life, such as a start or a crash. The hub's own log has it anyway."""
        self._failures.attempt("Marking a moment in a log", self._marked, kind, text)

    def ended(self) -> None:
        """The process is gone; flush its last line."""
        self._tell_dropped()
        self._keep(self._splitter.flush())

    def close(self) -> None:
        self._files.close()

    def _tell_dropped(self) -> None:
        if self._dropped:
            count, self._dropped = self._dropped, 0
            self.note(f"suppressed {count} lines over the log rate limit")

    def _keep(self, lines: list[str]) -> None:
        if not lines:
            return
        # A logging failure must not affect the module.
        self._failures.attempt("Storing log lines of a module", self._told, lines)

    def _told(self, lines: list[str]) -> None:
        masked = self._mask("\n".join(lines)).split("\n")
        at = self._wall()
        self._files.write([Line(0, at, text, level_of(text)) for text in masked])
        for text in masked:
            self.ring.append(at, text, level_of(text))
            self._log_line(text)

    def _marked(self, kind: str, text: str) -> None:
        at, level = self._wall(), MARK_LEVELS.get(kind, "info")
        self._files.write([Line(0, at, text, level, kind)])
        self.ring.append(at, text, level, kind)
