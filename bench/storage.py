"""The effect of a slow disk or a locked database on others: /health and a module, while strangers try to sign in, and
while another module is installed, changed, restarted and removed. Each situation lasts SECONDS; the first one is the
baseline. `python -m bench storage`
"""

import contextlib
import http.client
import itertools
import json
import sqlite3
import statistics
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench.stalled.subjects import module
from tests.live.harness import OWNER, HubProcess, fetch, packed_examples

SECONDS = 8.0
STRANGERS = 4
SHIM = Path(__file__).parent.parent / "tests" / "live" / "slow_fsync.c"
_numbers = itertools.count()


class Asker(threading.Thread):
    """Requests one path repeatedly over one connection and records milliseconds."""

    def __init__(self, hub: HubProcess, path: str) -> None:
        super().__init__()
        self._connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=30)
        self._path = path
        self.times: list[float] = []
        self.over = False

    def run(self) -> None:
        """Until `over`."""
        while not self.over:
            began = time.perf_counter()
            self._connection.request("GET", self._path)
            answer = self._connection.getresponse()
            answer.read()
            if answer.status != 200:
                raise SystemExit(f"{self._path} answered {answer.status}")
            self.times.append((time.perf_counter() - began) * 1000)
            time.sleep(0.002)
        self._connection.close()


class Stranger(threading.Thread):
    """Tries wrong passwords, each from another address, so that each is counted and recorded."""

    def __init__(self, hub: HubProcess) -> None:
        super().__init__()
        page = fetch(f"{hub.url}/account/session")
        self._token = page.json()["csrf"]
        self._cookie = page.headers["set-cookie"].partition(";")[0]
        self._connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
        self.answers: Counter[int] = Counter()
        self.times: list[float] = []
        self.over = False

    def run(self) -> None:
        """Until `over`."""
        while not self.over:
            number = next(_numbers)
            headers = {
                "Content-Type": "application/json",
                "Cookie": self._cookie,
                "X-Forwarded-For": f"198.18.{number >> 8 & 255}.{number & 255}",
            }
            body = json.dumps({"__csrf": self._token, "username": "nobody", "password": "not the right words"})
            began = time.perf_counter()
            self._connection.request("POST", "/login", body, headers)
            answer = self._connection.getresponse()
            answer.read()
            self.times.append((time.perf_counter() - began) * 1000)
            self.answers[answer.status] += 1
        self._connection.close()


class Owner(threading.Thread):
    """Installs a module from a folder, changes its settings, restarts, stops, starts and uninstalls it, again and
    again.
    """

    def __init__(self, hub: HubProcess, source: Path) -> None:
        super().__init__()
        self._hub, self._source = hub, source
        self.done = 0
        self.over = False

    def run(self) -> None:
        """Until `over`."""
        call = self._hub.client.call
        while not self.over:
            begun = call("POST", "/api/modules/install", {"source": str(self._source)})
            job = f"/api/modules/operations/{begun['operation_id']}"
            self._hub.wait_for(lambda job=job: call("GET", job)["status"] != "running", "the installation")
            self.done += call("GET", job)["status"] == "succeeded"
            for number, (method, path, body) in enumerate(_CHANGES):
                if self.over and number < len(_CHANGES) - 1:
                    continue
                call(method, f"/api/modules/load/{path}", body)
                self.done += 1


_CHANGES: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("PUT", "settings", {"autostart": False}),
    ("PUT", "settings", {"autostart": True}),
    ("POST", "restart", {}),
    ("POST", "stop", {}),
    ("POST", "start", {}),
    ("POST", "uninstall", {}),
)


def situation(name: str, hub: HubProcess, source: Path | None = None) -> None:
    """Measure once and print a line; with `source`, the owner works on that module meanwhile."""
    askers = [Asker(hub, "/health"), Asker(hub, "/hello/health")]
    strangers = [Stranger(hub) for _ in range(STRANGERS)]
    owners = [Owner(hub, source)] if source is not None else []
    for thread in (*askers, *strangers, *owners):
        thread.start()
    time.sleep(SECONDS if source is None else 3 * SECONDS)
    for asker in askers:
        asker.over = True
    for stranger in strangers:
        stranger.over = True
    for owner in owners:
        owner.over = True
    for thread in (*askers, *strangers, *owners):
        thread.join()
    told = "".join(f"{statistics.quantiles(asker.times, n=100)[98]:9.1f}{max(asker.times):9.1f}" for asker in askers)
    answers = sum((stranger.answers for stranger in strangers), Counter[int]())
    slowest = max(itertools.chain.from_iterable(stranger.times for stranger in strangers))
    changes = f", {sum(owner.done for owner in owners)} changes of modules" if owners else ""
    print(f"{name:30}{told}   sign-ins {dict(answers)}, slowest {slowest:.0f} ms{changes}", flush=True)


@contextlib.contextmanager
def slow_disk(switch: Path) -> Iterator[None]:
    """Each fsync of the hub takes 200 ms longer."""
    switch.touch()
    yield
    switch.unlink()


@contextlib.contextmanager
def held_database(path: Path) -> Iterator[None]:
    """Another program holds the write lock."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    yield
    connection.execute("ROLLBACK")
    connection.close()


def main() -> None:
    """Start a hub with one module, measure, stop it."""
    with tempfile.TemporaryDirectory() as folder:
        home, switch, shim = Path(folder) / "home", Path(folder) / "slow", Path(folder) / "slow_fsync.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(shim), str(SHIM), "-ldl"], check=True)
        environment = {
            **OWNER,
            "PARACHUTE_TRUSTED_HOPS": "1",
            "LD_PRELOAD": str(shim),
            "SLOW_FSYNC": str(switch),
        }
        hub = HubProcess(home=home, catalog=packed_examples(), environment=environment)
        try:
            hub.start()
            hub.install("hello")
            source = module(Path(folder) / "load")
            print(f"{'ms':30}{'health p99':>9}{'max':>8}{'module p99':>11}{'max':>7}")
            situation("as usual", hub)
            situation("changes of modules", hub, source)
            with slow_disk(switch):
                situation("fsync takes 200 ms", hub)
                situation("both", hub, source)
            with held_database(home / "parachute.db"):
                situation("database held", hub)
            situation("as usual again", hub)
        finally:
            hub.end()


if __name__ == "__main__":
    main()
