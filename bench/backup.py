"""What a backup costs the hub on which it is made: how long modules take to answer meanwhile, the hub's memory before
and after it, and the worker's. `python -m bench backup`
"""

import http.client
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from parachute_hub.cli.progress import ProgressPrinter, follow
from tests.live.harness import HubProcess, packed_examples
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


def p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


def during_a_backup(hub: HubProcess, place: str, paths: dict[str, str]) -> tuple[dict[str, list[float]], float]:
    """The answers until the backup was made and checked; the most memory of a worker in MB."""
    begun = hub.client.call("POST", f"/api/backups/places/{place}/run")["operation_id"]
    most = 0

    def over() -> bool:
        nonlocal most
        for pid in workers_of(hub):
            try:
                most = max(most, psutil.Process(pid).memory_info().rss)
            except psutil.Error:
                continue
        return "finishedAt" in hub.client.call("GET", f"/api/modules/operations/{begun}")

    found = answers(hub, paths, over)
    follow(hub.client, begun, ProgressPrinter(quiet=True))
    return found, most / MEGABYTE


def timed(seconds: float) -> Callable[[], bool]:
    end = time.monotonic() + seconds
    return lambda: time.monotonic() > end


def memory(hub: HubProcess) -> float:
    assert hub.process is not None
    return float(psutil.Process(hub.process.pid).memory_info().rss / MEGABYTE)


def main() -> None:
    """Three times quiet and busy, so that a machine that others use shows."""
    with tempfile.TemporaryDirectory(prefix="parachute-bench-") as folder:
        root = Path(folder)
        hub = HubProcess(home=root / "home", catalog=packed_examples())
        make_vault(root / "home", MEGABYTES * MEGABYTE)
        hub.start()
        try:
            hub.install("hello")
            hub.install("vault")
            (root / "disk").mkdir()
            call = hub.client.call
            key = call("POST", "/api/backups/key")["identity"]
            call("POST", "/api/backups/key/confirm", {"characters": key[-4:]})
            place = call("POST", "/api/backups/places", {"kind": "folder", "path": str(root / "disk")})["id"]
            paths = {"hello": "/hello/health", "vault": "/vault/default/health"}
            answers(hub, paths, timed(2.0))
            for _ in range(3):
                before = memory(hub)
                quiet = answers(hub, paths, timed(QUIET_SECONDS))
                busy, worker = during_a_backup(hub, place, paths)
                figures = [f"{name} {p99(quiet[name]):.1f} and {p99(busy[name]):.1f} ms" for name in paths]
                print(f"p99 quiet and during: {', '.join(figures)}")
                print(f"memory: worker {worker:.0f} MB, hub before {before:.1f} and after {memory(hub):.1f} MB")
        finally:
            hub.end()
