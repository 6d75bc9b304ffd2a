"""Ten modules of 45 MB that sleep, in a container of 512 MB: `python -m bench sleep`.

Runs of 100 requests to one module after the other, then two in alternation. Bars: no kill for lack of memory, none of
10,000 requests failed, and a wake takes at most the module's own start and 60 ms (p95).
"""

import http.client
import os
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.stalled.subjects import LIMIT, Group, module
from parachute_hub.modules.packages import bun
from tests.live.harness import OWNER, HubProcess
from tests.live.ports import free_port

MODULES = 10
RUN = 100
REQUESTS = 10_000
# A refused wake takes ten seconds: after so many failures nothing more is learnt.
MOST_FAILURES = 20
# Held in memory by each module, on top of what bun takes.
BALLAST = """
globalThis.ballast = new Uint8Array(42 << 20).fill(1)
"""


def own_start(folder: Path, entering: Sequence[str]) -> float:
    """Milliseconds from the start of the program alone to its first answer, the median of five."""
    found = []
    for _ in range(5):
        port = free_port()
        began = time.monotonic()
        program = subprocess.Popen(
            [*entering, str(bun.find(None)), "--smol", "run", str(folder / "server.ts")],
            env={**os.environ, "PORT": str(port)},
        )
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            try:
                connection.request("GET", "/health")
                connection.getresponse().read()
                break
            except OSError:
                time.sleep(0.002)
            finally:
                connection.close()
        found.append((time.monotonic() - began) * 1e3)
        program.kill()
        program.wait()
    return statistics.median(found)


class Client:
    """Asks modules over one connection; counts what is not 200."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self.answers: Counter[int] = Counter()

    @property
    def failed(self) -> int:
        """Answers that are not 200."""
        return self.answers.total() - self.answers[200]

    def ask(self, name: str) -> float:
        """The milliseconds that one request takes."""
        began = time.monotonic()
        self._connection.request("GET", f"/{name}/health")
        answer = self._connection.getresponse()
        answer.read()
        self.answers[answer.status] += 1
        return (time.monotonic() - began) * 1e3


def prepared(folder: Path, modules: int, **settings: Any) -> tuple[HubProcess, list[str]]:
    """A hub with so many modules of 45 MB, not started yet. `settings` are those of each module."""
    hub = HubProcess(home=folder / "home", environment={**OWNER, "PARACHUTE_TRUSTED_HOPS": "1"}).start()
    names = [f"m{number}" for number in range(modules)]
    for number, name in enumerate(names):
        source = module(folder / name, name, 1960 + number)
        (source / "server.ts").write_text((source / "server.ts").read_text() + BALLAST)
        begun = hub.client.call("POST", "/api/modules/install", {"source": str(source)})
        job = f"/api/modules/operations/{begun['operation_id']}"
        hub.wait_for(lambda job=job: hub.client.call("GET", job)["status"] != "running", "the module")
        if settings:
            hub.client.call("PUT", f"/api/modules/{name}/settings", settings)
    hub.stop()
    return hub, names


def main(quota: int | None = None) -> None:
    """Measure and print; `quota` in microseconds of the processor of every 100 ms."""
    group = Group(quota)
    if not group:
        print("  not measured: it needs root and cgroups (v1)")
        return
    with tempfile.TemporaryDirectory() as folder:
        hub, names = prepared(Path(folder), MODULES, sleep_after=60)
        start = own_start(Path(folder) / names[0], group.entering)
        hub.program = (*group.entering, *hub.program)
        try:
            hub.start()
            client = Client(hub.port)
            wakes = []
            while client.answers.total() < REQUESTS // 2 and client.failed < MOST_FAILURES:
                for name in names:
                    asleep = hub.module(name)["state"] == "asleep"
                    took = client.ask(name)
                    if asleep:
                        wakes.append(took)
                    for _ in range(RUN - 1):
                        client.ask(name)
            while client.answers.total() < REQUESTS and client.failed < MOST_FAILURES:
                for name in names[:2]:
                    client.ask(name)
            kills, highest = group.kills(), group.highest()
        finally:
            hub.end()
            group.end()
    p95 = statistics.quantiles(wakes, n=20)[-1]
    print(f"  requests: {client.answers.total()}, failed {client.failed} {dict(client.answers)}")
    print(f"  killed for lack of memory: {kills}; highest use {highest >> 20} of {LIMIT >> 20} MB")
    print(f"  own start {start:.0f} ms; {len(wakes)} wakes: p50 {statistics.median(wakes):.0f}, p95 {p95:.0f} ms")
