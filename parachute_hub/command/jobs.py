"""Commands that begin a job in the hub and follow it to its end."""

import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

from attrs import define, field

from parachute_hub.command.client import CommandError, HubClient

POLL = 0.3
_END = frozenset({"succeeded", "failed"})


@define
class Progress:
    """Shows a job's log lines as they come: live in a terminal, plainly in a pipe, not at all when quiet."""

    out: TextIO = field(factory=lambda: sys.stderr)
    quiet: bool = False
    _shown: int = 0

    def show(self, job: dict[str, Any]) -> None:
        """The lines that were not shown yet."""
        lines = job.get("log") or []
        for line in lines[self._shown :]:
            if not self.quiet:
                self.out.write(f"  {line}\n")
                self.out.flush()
        self._shown = len(lines)


def follow(
    client: HubClient, operation: str, progress: Progress, sleep: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """Wait for a job and give back its last state. Raises CommandError when it failed."""
    while True:
        job = client.call("GET", f"/api/modules/operations/{operation}")
        progress.show(job)
        if job.get("status") in _END:
            break
        sleep(POLL)
    if job["status"] == "failed":
        raise CommandError(str(job.get("error") or "The job failed; the hub's log says why."))
    return job


def run_job(client: HubClient, path: str, body: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Begin a job at a path of the API and follow it."""
    begun = client.call("POST", path, body)
    operation = begun.get("operation_id")
    return follow(client, str(operation), progress) if operation else begun
