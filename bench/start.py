"""The first second: a fresh hub's /health and first question, four modules, and a module that died.
`python -m bench start`, or `python -m bench.start RUNS`.

Medians in ms. Processor time does not depend on what else the machine does, so it is printed, too.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.live.harness import OWNER, HubProcess, fetch, packed_examples

MODULES = {
    short: f"/{mount}/.parachute/info"
    for short, mount in (("hello", "hello"), ("vault", "vault/default"), ("notes", "notes"), ("scribe", "scribe"))
}
_BARS = "bars: /health <= floor + 60, first question <= floor + 220, four modules <= 900, recovery <= own boot + 60"


def program(*words: str) -> tuple[float, float]:
    """Milliseconds by the clock and of the processor that a program takes."""
    began, before = time.monotonic(), os.times()
    subprocess.run(words, check=True)
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return (time.monotonic() - began) * 1e3, used * 1e3


def used(hub: HubProcess) -> float:
    """Milliseconds of processor time of the hub's own process so far."""
    assert hub.process is not None
    threads = Path(f"/proc/{hub.process.pid}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in threads) / 1e6


def until(hub: HubProcess, began: float, path: str) -> tuple[float, float]:
    """Milliseconds from `began` until this path is answered with 200, and the hub's processor time by then."""
    while time.monotonic() - began < 60:
        try:
            if fetch(f"{hub.url}{path}", headers={"Accept": "text/html"}).status == 200:
                return (time.monotonic() - began) * 1e3, used(hub)
        except OSError:
            pass
        time.sleep(0.01)  # Each refusal costs the hub half a millisecond.
    raise SystemExit(f"{path} did not answer within a minute:\n{hub.log()[-3000:]}")


def fresh(catalog: Path, entering: Sequence[str]) -> tuple[tuple[float, float], tuple[float, float]]:
    """/health and the first question of a hub on an empty home."""
    with tempfile.TemporaryDirectory(prefix="parachute-bench-") as folder:
        hub = HubProcess(home=Path(folder) / "home", catalog=catalog)
        hub.program = (*entering, *hub.program)
        try:
            began = time.monotonic()
            hub.spawn()
            return until(hub, began, "/health"), until(hub, began, "/admin/setup")
        finally:
            hub.end()


def again(hub: HubProcess) -> tuple[float, float]:
    """From the start of the hub until the last of its modules answers."""
    hub.stop()
    began = time.monotonic()
    hub.spawn()
    return [until(hub, began, path) for path in MODULES.values()][-1]


def recovery(hub: HubProcess, short: str) -> tuple[float, float]:
    """From kill -9 of a module to its next answer, and its own boot: from a start by hand to its answer."""
    path, pid = MODULES[short], hub.module(short)["pid"]
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    while fetch(f"{hub.url}{path}").status == 200 and time.monotonic() - began < 0.2:
        time.sleep(0.001)  # The kernel has not ended it yet.
    recovered, _ = until(hub, began, path)
    # Healthy in between: only then is the next restart immediate.
    hub.wait_for(lambda: hub.module(short)["state"] == "ready", f"{short} to be ready")
    hub.client.call("POST", f"/api/modules/{short}/stop")
    began = time.monotonic()
    hub.client.call("POST", f"/api/modules/{short}/start")
    booted, _ = until(hub, began, path)
    return recovered, booted


def told(what: str, found: list[tuple[float, float]], units: str = "of the processor") -> None:
    first, second = (statistics.median(each) for each in zip(*found, strict=True))
    print(f"{what:34}{first:7.0f} ms   {second:7.0f} ms {units}", flush=True)


def main(runs: float = 7, entering: Sequence[str] = ()) -> None:
    """Measure and print. `entering` are words before a command that run it in a container."""
    times: Callable[[Callable[[], object]], list] = lambda do: [do() for _ in range(int(runs))]  # type: ignore[type-arg]  # noqa: E731
    catalog = packed_examples()
    floor = (*entering, sys.executable, "-c", "import twisted.internet.reactor")
    print(f"load {os.getloadavg()[0]:.1f}; {_BARS}")
    told("the floor, import of the reactor", times(lambda: program(*floor)))
    starts = times(lambda: fresh(catalog, entering))
    told("/health", [each[0] for each in starts])
    told("first question", [each[1] for each in starts])
    with tempfile.TemporaryDirectory(prefix="parachute-bench-") as folder:
        hub = HubProcess(home=Path(folder) / "home", catalog=catalog, environment=OWNER)
        hub.program = (*entering, *hub.program)
        try:
            hub.start()
            for short in MODULES:
                hub.install(short)
            told("four modules", times(lambda: again(hub)))
            hub.wait_for(lambda: hub.module("hello")["state"] == "ready", "hello to be ready")
            told("kill -9 to the next answer", times(lambda: recovery(hub, "hello")), "its own boot, asked for")
        finally:
            hub.end()


if __name__ == "__main__":
    main(float(sys.argv[1]) if sys.argv[1:] else 7)
