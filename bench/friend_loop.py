"""The first evening in figures: time from the start of a fresh hub to the first note, step by step, and memory. The
wizard is driven over HTTP; packages come from a registry on loopback, once with an empty and once with a filled
cache. `python -m bench friend_loop`
"""

import http.cookiejar
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests.live.harness import PACKS, ROOT, HubProcess, fetch, packed_examples

RUNS = 3
MODULES = ("vault", "notes", "scribe")
SETTLE_SECONDS = 5.0
PASSWORD = "four words are enough"
CATALOG = {
    "modules": [
        {"short": short, "package": f"@openparachute/{short}", "displayName": short.title(), "tagline": "", **more}
        for short, more in {"vault": {}, "notes": {"static": True}, "scribe": {}}.items()
    ]
}
STEPS = ("/health answers", "the wizard asks", "the owner exists", "three modules run", "a note is written")


class Friend:
    """The browser's part of the wizard: cookies and the page's token."""

    def __init__(self, hub: HubProcess, modules: Sequence[str]) -> None:
        self.hub = hub
        self._modules = modules
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), urllib.request.ProxyHandler({})
        )

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """One JSON request, as a hub page sends it."""
        headers = {"Accept": "application/json", "Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
        data = None if body is None else json.dumps(body).encode()
        with self._opener.open(urllib.request.Request(self.hub.url + path, data, headers), timeout=30) as answer:
            return json.loads(answer.read())

    def set_up(self) -> Iterator[None]:
        """Go through the wizard; yields when it asks, when the owner exists, and when all modules run."""
        token = self.ask("/admin/setup")["csrfToken"]
        yield
        bootstrap = "parachute-bootstrap-" + self.hub.log().partition("parachute-bootstrap-")[2].split()[0]
        account = {"username": "friend", "password": PASSWORD, "password_confirm": PASSWORD}
        claimed = self.ask("/admin/setup/account", {"__csrf": token, "bootstrap_token": bootstrap, **account})
        token = claimed["csrfToken"]
        self._opener.addheaders.append(("X-Parachute-Key", claimed["key"]))
        yield
        self.ask("/admin/setup/modules", {"__csrf": token, "modules": self._modules})
        self.ask("/admin/setup/vault", {"__csrf": token, "mode": "create", "vault_name": "default"})
        if "scribe" in self._modules:
            self.ask("/admin/setup/scribe", {"__csrf": token, "later": "1"})
        ready = f"{self.hub.url}/api/ready"
        self.hub.wait_for(lambda: set(self._modules) <= set(fetch(ready).json()["ready_modules"]), "the modules")
        yield


@contextmanager
def registry() -> Iterator[str]:
    """The reference modules' packs in a registry on loopback."""
    words = [sys.executable, "-m", "tests.live.registry", str(PACKS)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdin is not None and process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


def loop(hub: HubProcess, modules: Sequence[str]) -> list[float]:
    """Seconds from exec to the end of each of STEPS."""
    began = time.monotonic()
    hub.spawn()
    hub.wait_for(lambda: answers(f"{hub.url}/health"), "/health")
    times = [time.monotonic() - began]
    hub.wait_for(lambda: answers(f"{hub.url}/admin/setup"), "the wizard's first question")
    for _ in Friend(hub, modules).set_up():
        times.append(time.monotonic() - began)
    key = (hub.home / "vault" / "data" / "default" / "initial-key").read_text().strip()
    note = {"content": "The first note."}
    url = f"{hub.url}/vault/default/api/notes"
    assert fetch(url, method="POST", body=note, headers={"Authorization": f"Bearer {key}"}).status == 201
    return [*times, time.monotonic() - began]


def answers(url: str) -> bool:
    """Whether it responds yet."""
    try:
        return fetch(url).status == 200
    except OSError:
        return False


def memory(hub: HubProcess) -> dict[str, float]:
    """MB of the hub and each module, shared pages counted proportionally."""
    assert hub.process is not None
    table = {"hub": psutil.Process(hub.process.pid).memory_full_info().pss / 1e6}
    for module in hub.client.call("GET", "/api/modules")["modules"]:
        if module["pid"]:
            tree = psutil.Process(module["pid"])
            parts = (tree, *tree.children(recursive=True))
            table[module["short"]] = sum(part.memory_full_info().pss for part in parts) / 1e6
    return table


def fresh_hub(folder: Path, address: str, cache: Path | None) -> HubProcess:
    """A hub with an empty home; `cache` fills the package cache."""
    home = folder / "home"
    if cache is not None:
        shutil.copytree(cache, home / "modules" / "install" / "cache")
    catalog = folder / "catalog.json"
    catalog.write_text(json.dumps(CATALOG))
    return HubProcess(home=home, catalog=catalog, environment={"BUN_CONFIG_REGISTRY": address})


def run(hub: HubProcess) -> tuple[list[float], dict[str, float]]:
    """One run: the times, and the memory at rest."""
    try:
        times = loop(hub, MODULES)
        time.sleep(SETTLE_SECONDS)
        return times, memory(hub)
    finally:
        hub.end()


def main() -> None:
    """Measure and print two tables."""
    packed_examples()
    medians = {}
    with tempfile.TemporaryDirectory(prefix="parachute-friend-") as folder, registry() as address:
        cache: Path | None = None
        for kind in ("cold", "warm"):
            runs = []
            for number in range(RUNS):
                place = Path(folder) / f"{kind}-{number}"
                place.mkdir()
                times, table = run(fresh_hub(place, address, cache))
                runs.append(times)
            cache = place / "home" / "modules" / "install" / "cache"
            medians[kind] = [statistics.median(step) for step in zip(*runs, strict=True)]
    print("seconds from the start until     cold cache  warm cache")
    for name, cold, warm in zip(STEPS, medians["cold"], medians["warm"], strict=True):
        print(f"{name:32} {cold:10.2f} {warm:11.2f}")
    print(f"\nmemory {SETTLE_SECONDS:.0f} s later")
    for name, size in [*table.items(), ("all", sum(table.values()))]:
        print(f"{name:32} {size:7.1f} MB")


if __name__ == "__main__":
    main()
