"""What the separation of modules costs, with and without it side by side: restart of a module, memory of the hub and of
the module, and requests per second through the hub. `python -m bench isolation`
"""

import http.client
import os
import statistics
import tempfile
import time
from pathlib import Path

import psutil
from attrs import define, field

from bench.main_job import own_boot
from tests.live.harness import OWNER, HubProcess, packed_examples

RESTARTS = 15
SECONDS = 3.0
MODULES = ("vault", "scribe", "notes")
_PATH = "/notes/health"


@define
class Side:
    """One of the two hubs, and what was measured on it."""

    isolation: str
    hub: HubProcess
    restarts: list[float] = field(factory=list)
    rates: list[float] = field(factory=list)

    def throughput(self) -> float:
        """Requests per second over one connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self.hub.port, timeout=30)
        count, end = 0, time.monotonic() + SECONDS
        while time.monotonic() < end:
            connection.request("GET", _PATH)
            connection.getresponse().read()
            count += 1
        connection.close()
        return count / SECONDS

    def memory(self) -> tuple[float, float]:
        """PSS in MB of the hub, and of its three modules together."""
        assert self.hub.process is not None
        modules = [self.hub.module(short)["pid"] for short in MODULES]
        return _pss(self.hub.process.pid), sum(map(_pss, modules))


def main() -> None:
    """Measure in turn and print a table."""
    catalog = packed_examples()
    with tempfile.TemporaryDirectory(prefix="parachute-bench-") as folder:
        sides = []
        for isolation in ("off", "required"):
            variables = {**OWNER, "PARACHUTE_ISOLATION": isolation}
            hub = HubProcess(home=Path(folder) / isolation, catalog=catalog, environment=variables)
            sides.append(Side(isolation, hub))
        try:
            for side in sides:
                side.hub.start()
                for short in MODULES:
                    side.hub.install(short)
            for _ in range(RESTARTS):
                for side in sides:
                    side.restarts.append(own_boot(side.hub, "notes", _PATH))
            for _ in range(3):
                for side in sides:
                    side.rates.append(side.throughput())
            for side in sides:
                own, modules = side.memory()
                print(
                    f"isolation {side.isolation:8}: restart {statistics.median(side.restarts) * 1e3:.1f} ms"
                    f" (fastest {min(side.restarts) * 1e3:.1f}), {statistics.median(side.rates):.0f} requests/s,"
                    f" hub {own:.1f} MB, three modules {modules:.1f} MB"
                )
            print(f"load {os.getloadavg()[0]:.1f}")
        finally:
            for side in sides:
                side.hub.end()


def _pss(pid: int) -> float:
    return float(psutil.Process(pid).memory_full_info().pss) / (1 << 20)
