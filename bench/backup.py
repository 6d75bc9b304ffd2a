"""What a backup costs the hub on which it is made: how long modules take to answer meanwhile, the hub's memory before
and after it, and the worker's. `python -m bench backup`

The worker is stopped and continued twice a second, and each answer is counted with the one or the other, so whatever
else the machine does is in both.
"""

import contextlib
import http.client
import os
import signal
import tempfile
import time
from pathlib import Path

import psutil
from attrs import define, field

from tests.live.harness import OWNER, HubProcess, packed_examples
from tests.live.test_backup_s3 import workers_of
from tests.live.test_backup_size import MEGABYTE, make_vault

MEGABYTES = 200
BACKUPS = 3
# Seconds: how long the worker runs or stands still, and how long after a change no answer counts.
TURN, SETTLE = 0.5, 0.05
PAUSE = 0.005


@define
class Answers:
    """Milliseconds of each answer, by path, with the worker standing still (`quiet`) and running (`busy`)."""

    hub: HubProcess
    paths: tuple[str, ...]
    quiet: dict[str, list[float]] = field(factory=dict)
    busy: dict[str, list[float]] = field(factory=dict)
    worker: int = 0

    def during(self, operation: str) -> None:
        """Ask one after the other on a kept connection until the operation is over."""
        connection = http.client.HTTPConnection("127.0.0.1", self.hub.port, timeout=30)
        running, over = True, False
        while not over:
            running = not running
            workers = self._turn(running)
            over = "finishedAt" in self.hub.client.call("GET", f"/api/modules/operations/{operation}")
            began = time.monotonic()
            while time.monotonic() < began + TURN:
                for path in self.paths:
                    asked = time.perf_counter()
                    connection.request("GET", path)
                    connection.getresponse().read()
                    took = (time.perf_counter() - asked) * 1000
                    if workers and not over and time.monotonic() > began + SETTLE:
                        (self.busy if running else self.quiet).setdefault(path, []).append(took)
                time.sleep(PAUSE)
        connection.close()

    def _turn(self, running: bool) -> list[int]:
        """Stop or continue the workers: which there are. Notes their memory on the way."""
        workers = workers_of(self.hub)
        for pid in workers:
            with contextlib.suppress(ProcessLookupError, psutil.Error):
                os.kill(pid, signal.SIGCONT if running else signal.SIGSTOP)
                self.worker = max(self.worker, psutil.Process(pid).memory_info().rss)
        return workers

    def told(self) -> str:
        """A line for each path: medians and 99th percentiles."""
        return "\n".join(_told(path, sorted(self.quiet[path]), sorted(self.busy[path])) for path in self.paths)


def _told(path: str, quiet: list[float], busy: list[float]) -> str:
    middle, most = ([values[int(len(values) * part)] for values in (quiet, busy)] for part in (0.5, 0.99))
    figures = f"p50 {middle[0]:.1f} and {middle[1]:.1f}, p99 {most[0]:.1f} and {most[1]:.1f} ms"
    return f"{path}, worker still and running: {figures}; p99 {most[1] / most[0]:.2f} times ({len(quiet)}, {len(busy)})"


def memory(hub: HubProcess) -> float:
    """Megabytes."""
    assert hub.process is not None
    return float(psutil.Process(hub.process.pid).memory_info().rss / MEGABYTE)


def main() -> None:
    """Several backups, each with its check; then the figures of all."""
    with tempfile.TemporaryDirectory(prefix="parachute-bench-") as folder:
        root = Path(folder)
        hub = HubProcess(home=root / "home", catalog=packed_examples(), environment=OWNER)
        make_vault(root / "home", MEGABYTES * MEGABYTE)
        hub.start()
        try:
            for short in ("hello", "vault"):
                hub.install(short)
            (root / "disk").mkdir()
            call = hub.client.call
            key = call("POST", "/api/backups/key")["identity"]
            call("POST", "/api/backups/key/confirm", {"characters": key[-4:]})
            place = call("POST", "/api/backups/places", {"kind": "folder", "path": str(root / "disk")})["id"]
            answers = Answers(hub, ("/hello/health", "/vault/default/health"))
            before = memory(hub)
            for _ in range(BACKUPS):
                answers.during(call("POST", f"/api/backups/places/{place}/run")["operation_id"])
            print(answers.told())
            worker = answers.worker / MEGABYTE
            print(f"memory: worker {worker:.0f} MB, hub before {before:.1f} and after {memory(hub):.1f} MB")
            print(f"load {os.getloadavg()[0]:.0f}")
        finally:
            hub.end()
