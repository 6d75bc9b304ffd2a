"""Starts jobs in the hub and follows them."""

import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from attrs import field

from parachute_hub.cli.client import CommandError, HubClient
from parachute_hub.cli.tables import lasting, size
from parachute_hub.system.log_lines import visible
from parachute_hub.system.records import define

POLL = 0.3
WIDTH = 78
ENDS = frozenset({"succeeded", "failed"})
_BAR = 20
_SURE_AFTER = 3.0
"""Seconds after which the speed so far says how long a step will take."""
_CLEAR = "\r\x1b[K"


@define
class ProgressPrinter:
    """Displays a job's progress. `live` is for terminals: the current step, on a line that is overwritten.

    `width` is the terminal's, in columns. In a pipe, only complete lines are printed: each step once, and the job's
    output. `quiet` prints nothing.
    """

    out: TextIO = field(factory=lambda: sys.stderr)
    quiet: bool = False
    live: bool = False
    width: int = WIDTH
    _log: tuple[str, ...] = ()
    _steps: int = 0

    def show(self, job: dict[str, Any]) -> None:
        """Print what is new."""
        if self.quiet:
            return
        steps, log = job.get("steps") or [], tuple(job.get("log") or ())
        text = "".join(f"  {step['name']}\n" for step in steps[self._steps :]) if not self.live else ""
        text += "".join(f"    {visible(line)}\n" for line in unseen(self._log, log))
        self._steps, self._log = len(steps), log
        if self.live:
            text = (
                _CLEAR + text + (under_way(steps, time.time(), self.width - 1) if job.get("status") not in ENDS else "")
            )
        if text:
            self.out.write(text)
            self.out.flush()

    def step(self, name: str, done: int, total: int | None, began: float) -> None:
        """Show one step that no job has, begun at a time in epoch seconds."""
        started = datetime.fromtimestamp(began, UTC).isoformat()
        self.show({"steps": [{"name": name, "state": "running", "bytes": done, "total": total, "startedAt": started}]})

    def leave(self) -> None:
        """Clear the live line."""
        if self.live and not self.quiet:
            self.out.write(_CLEAR)


def unseen(before: Sequence[str], now: Sequence[str]) -> Sequence[str]:
    """The new lines of a log whose oldest lines are dropped.

    >>> unseen(("a", "b", "c"), ("b", "c", "d")), unseen((), ("a",)), unseen(("a",), ("x", "y"))
    (('d',), ('a',), ('x', 'y'))
    """
    for dropped in range(len(before) + 1):
        kept = len(before) - dropped
        if tuple(before[dropped:]) == tuple(now[:kept]):
            return tuple(now[kept:])
    return tuple(now)


def under_way(steps: Sequence[dict[str, Any]], now: float | None = None, width: int = WIDTH) -> str:
    """The current step, on a line that fits a terminal. With `now`, in epoch seconds, also how long it takes yet.

    >>> under_way([{"name": "fetch", "state": "running", "bytes": 2097152}])
    '  fetch ... 2.0 MB'
    >>> under_way([{"name": "store", "state": "running", "bytes": 2097152, "total": 8388608}])
    '  store [#####---------------] 25 % of 8.0 MB'
    >>> step = {"name": "store", "state": "running", "bytes": 4, "total": 16, "startedAt": "1970-01-01T00:00:00.000Z"}
    >>> under_way([step], 60.0)
    '  store [#####---------------] 25 % of 16 B, about 3 minutes left'
    """
    current = next((step for step in reversed(steps) if step.get("state") == "running"), None)
    if current is None:
        return ""
    done, total = current.get("bytes") or 0, current.get("total")
    if not total:
        return f"  {current['name']} ...{f' {size(done)}' if done else ''}"[:width]
    share = min(1.0, done / total)
    bar = f"[{'#' * int(share * _BAR):-<{_BAR}}] {share * 100:.0f} % of {size(total)}"
    passed = 0.0 if now is None else now - datetime.fromisoformat(current["startedAt"]).timestamp()
    left = f", about {lasting(passed * (total - done) / done)} left" if done and passed > _SURE_AFTER else ""
    return f"  {current['name']} {bar}{left}"[:width]


def follow(
    client: HubClient, operation: str, progress: ProgressPrinter, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """Wait for a job and return its final state. Raises CommandError if it failed, or on Ctrl-C."""
    try:
        while True:
            job = client.call("GET", f"/api/modules/operations/{operation}")
            progress.show(job)
            if job.get("status") in ENDS:
                break
            sleep(POLL)
    except KeyboardInterrupt:
        progress.leave()
        raise CommandError(
            "The hub continues in the background. `parachute status` shows the result.", code=130
        ) from None
    if job["status"] == "failed":
        undone = "".join(f"\n  Undone: {text}" for text in job.get("undone") or ())
        text = str(job.get("error") or "The operation failed. The hub's log says why.") + undone
        raise CommandError(text, detail=job.get("error_detail"))
    return job


def run_job(
    client: HubClient, path: str, body: dict[str, Any], progress: ProgressPrinter, *, bearer: str | None = None
) -> dict[str, Any]:
    """Start a job at an API path and follow it. `bearer` replaces the operator token for the start."""
    begun = client.call("POST", path, body, bearer=bearer)
    operation = begun.get("operation_id")
    return follow(client, str(operation), progress) if operation else begun
