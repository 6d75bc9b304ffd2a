"""What a backup costs the hub on which it is made: how long modules take to answer meanwhile, the hub's memory before
and after it, and the worker's. `python -m bench backup`
"""

import http.client
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from attrs import define

from tests.live.harness import OWNER, HubProcess, packed_examples
from tests.live.test_backup_s3 import workers_of
from tests.live.test_backup_size import MEGABYTE, make_vault

MEGABYTES = 200
QUIET_SECONDS = 15.0
PAUSE = 0.01


def answers(hub: HubProcess, paths: dict[str, str], over: Callable[[], bool]) -> dict[str, list[float]]:
    """Milliseconds of requests to each module, one after the other on a kept connection, until `over`."""
    found: dict[str, list[float]] = {name: [] for name in paths}
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=30)
    while not over():
        for name, path in paths.items():
            began = time.perf_counter()
            connection.request("GET", path)
            connection.getresponse().read()
            found[name].append((time.perf_counter() - began) * 1000)
        time.sleep(PAUSE)
    connection.close()
    return found


@define
class Watch:
    """Looks at the hub between requests, as much while it is quiet as during a backup, until an operation is over and a
    moment has passed.
    """

    hub: HubProcess
    operation: str
    until: float = 0.0
    worker: int = 0

    def over(self) -> bool:
        """Notes the worker's memory on the way."""
        for pid in workers_of(self.hub):
            try:
                self.worker = max(self.worker, psutil.Process(pid).memory_info().rss)
            except psutil.Error:
                continue
        job = self.hub.client.call("GET", f"/api/modules/operations/{self.operation}")
        return "finishedAt" in job and time.monotonic() > self.until


def told(quiet: list[float], busy: list[float]) -> str:
    """Medians and 99th percentiles."""
    middle, most = ([sorted(values)[int(len(values) * part)] for values in (quiet, busy)] for part in (0.5, 0.99))
    return f"p50 {middle[0]:.1f} and {middle[1]:.1f}, p99 {most[0]:.1f} and {most[1]:.1f} ms"


def memory(hub: HubProcess) -> float:
    assert hub.process is not None
    return float(psutil.Process(hub.process.pid).memory_info().rss / MEGABYTE)


def main() -> None:
    """Three times quiet and busy, so that a machine that others use shows."""
    with tempfile.TemporaryDirectory(prefix="parachute-bench-") as folder:
        root = Path(folder)
        hub = HubProcess(home=root / "home", catalog=packed_examples(), environment=OWNER)
        make_vault(root / "home", MEGABYTES * MEGABYTE)
        hub.start()
        try:
            hub.install("hello")
            last = hub.install("vault")["id"]
            (root / "disk").mkdir()
            call = hub.client.call
            key = call("POST", "/api/backups/key")["identity"]
            call("POST", "/api/backups/key/confirm", {"characters": key[-4:]})
            place = call("POST", "/api/backups/places", {"kind": "folder", "path": str(root / "disk")})["id"]
            paths = {"hello": "/hello/health", "vault": "/vault/default/health"}
            for _ in range(3):
                before = memory(hub)
                still = Watch(hub, last, until=time.monotonic() + QUIET_SECONDS)
                quiet = answers(hub, paths, still.over)
                last = call("POST", f"/api/backups/places/{place}/run")["operation_id"]
                watch = Watch(hub, last)
                busy = answers(hub, paths, watch.over)
                for name in paths:
                    print(f"{name}, quiet and during a backup: {told(quiet[name], busy[name])}")
                worker, after = watch.worker / MEGABYTE, memory(hub)
                print(f"memory: worker {worker:.0f} MB, hub before {before:.1f} and after {after:.1f} MB")
        finally:
            hub.end()
