"""The main use in figures: start to /health, start to a module's answer, idle memory, kill -9 to the next answer.
Medians over runs of whole processes. `python -m bench main_job`
"""

import os
import signal
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from tests.live.harness import OWNER, HubProcess, fetch, packed_examples

RUNS = 5


def answer_time(url: str, began: float, good: int = 200, patience: float = 30.0) -> float:
    """Seconds from `began` until `url` first answers with the status `good`."""
    while time.monotonic() - began < patience:
        try:
            if fetch(url).status == good:
                return time.monotonic() - began
        except OSError:
            pass
        time.sleep(0.002)
    raise SystemExit(f"{url} did not answer within {patience:.0f} s")


def start(hub: HubProcess, path: str) -> tuple[float, float]:
    """Seconds from exec to the first /health and to the first answer of a module."""
    began = time.monotonic()
    hub.spawn()
    health = answer_time(f"{hub.url}/health", began)
    return health, answer_time(f"{hub.url}{path}", began)


def recovery(hub: HubProcess, short: str, path: str) -> float:
    """Seconds from kill -9 of a module to its next answer through the hub."""
    pid = hub.module(short)["pid"]
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    while hub.module(short)["pid"] in (pid, None):
        time.sleep(0.002)
    return answer_time(f"{hub.url}{path}", began)


def own_boot(hub: HubProcess, short: str, path: str) -> float:
    """Seconds that the module itself needs from a stop to an answer after a start."""
    hub.client.call("POST", f"/api/modules/{short}/stop")
    began = time.monotonic()
    hub.client.call("POST", f"/api/modules/{short}/start")
    return answer_time(f"{hub.url}{path}", began)


def main() -> None:
    """Measure and print a table."""
    catalog = packed_examples()
    with tempfile.TemporaryDirectory(prefix="parachute-bench-") as folder:
        hub = HubProcess(home=Path(folder) / "home", catalog=catalog, environment=OWNER)
        try:
            hub.start()
            for short in ("vault", "hello"):
                hub.install(short)
            hub.stop()
            starts = []
            for _ in range(RUNS):
                starts.append(start(hub, "/hello/.parachute/info"))
                hub.wait_for(lambda: hub.client.health()["phase"] == "up", "the hub")
                hub.stop()
            hub.start()
            answer_time(f"{hub.url}/hello/.parachute/info", time.monotonic())
            time.sleep(3)
            assert hub.process is not None
            memory = psutil.Process(hub.process.pid).memory_info().rss / 1e6
            # A crash within a minute of the start waits for its back-off; this shows that, too.
            first = recovery(hub, "hello", "/hello/.parachute/info")
            boots = [own_boot(hub, "hello", "/hello/.parachute/info") for _ in range(RUNS)]
        finally:
            hub.end()
    print(f"start to /health            {statistics.median(h for h, _ in starts) * 1000:6.0f} ms")
    print(f"start to a module's answer  {statistics.median(m for _, m in starts) * 1000:6.0f} ms")
    print(f"hub at rest                 {memory:6.1f} MB resident")
    boot = statistics.median(boots) * 1000
    print(f"kill -9 to the next answer  {first * 1000:6.0f} ms (the module's own boot: {boot:.0f} ms)")


if __name__ == "__main__":
    main()
