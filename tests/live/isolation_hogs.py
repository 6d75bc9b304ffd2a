"""Proof: a fork bomb, a memory hog, a disk filler and a descriptor hog in one module, in the real container.

    python -m tests.live.isolation_hogs

Prints the vault's latency through the hub before and during each, what became of the hostile module, and whether the
hub stayed up. Holds when the p99 stays within twice that of the quiet time plus a few milliseconds.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.live.engine import Container, Machine, image
from tests.live.harness import packed_examples
from tests.live.isolation_container import VARIABLES
from tests.live.test_isolation import HOSTILE, packed

HOGS = ("processes", "memory", "disk", "descriptors")
SECONDS = 12.0
_PAUSE = 0.02
_SLACK = 0.005
_HOME = "/parachute"
_DISK = 256 << 20


def main() -> int:
    """The number of hogs that hurt others."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        # A disk of its own, so that it can be filled; the machine takes over the mounts that are there when it is made.
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_DISK},mode=700", "tmpfs", str(home)], check=True)
        machine = Machine()
        try:
            hub = machine.container(image(), home, variables=VARIABLES, cpus=2.0)
            _install(hub, home)
            for hog in HOGS:
                failed += not _run(hub, hog)
        finally:
            machine.close()
            subprocess.run(["umount", str(home)], check=False)
    return failed


def _install(hub: Container, home: Path) -> None:
    hub.wait_phase("up")
    packs = home / "tmp" / "packs"
    packs.mkdir(parents=True, exist_ok=True)
    (vault,) = packed_examples().parent.glob("vault-*.tgz")
    shutil.copy(vault, packs / "vault.tgz")
    (packs / "hostile.tgz").write_bytes(packed(HOSTILE))
    subprocess.run(["chown", "-R", "1000:1000", str(packs)], check=True)
    for short in ("vault", "hostile"):
        done = hub.run("parachute", "install", f"{_HOME}/tmp/packs/{short}.tgz", user=1000)
        assert done.returncode == 0, (done.stdout, done.stderr, hub.log()[-2000:])


def _run(hub: Container, hog: str) -> bool:
    hub.run("parachute", "start", "hostile", user=1000)
    time.sleep(2)
    quiet = _latencies(hub, 6.0)
    begun = hub.request("POST", f"/hostile/hog/{hog}")
    assert begun.status == 200, (begun.status, begun.body[:300])
    loud = _latencies(hub, SECONDS)
    listing = json.loads(hub.run("parachute", "status", "--json", user=1000).stdout or "{}").get("modules", [])
    state = next((f"{one['state']}: {one['reason']}" for one in listing if one["short"] == "hostile"), "unknown")
    before, during = _p99(quiet), _p99(loud)
    held = hub.running() and during <= 2 * before + _SLACK
    middle = [statistics.median(each) * 1e3 for each in (quiet, loud)]
    print(
        f"{hog}: p50 {middle[0]:.1f} -> {middle[1]:.1f} ms, p99 {before * 1e3:.1f} -> {during * 1e3:.1f} ms, "
        f"{len(loud)} requests, {loud.count(60.0)} failed; hub up: {hub.running()}; {state}",
        flush=True,
    )
    hub.run("parachute", "stop", "hostile", user=1000)
    hub.run("rm", "-f", f"{_HOME}/hostile/filler", user=1000)
    return held


def _latencies(hub: Container, seconds: float) -> list[float]:
    """Of the vault's health through the hub; one that fails counts as a minute."""
    found, end = [], time.monotonic() + seconds
    while time.monotonic() < end:
        began = time.monotonic()
        try:
            status = hub.request("GET", "/vault/default/health").status
        except OSError:
            status = 0
        found.append(time.monotonic() - began if status in (200, 401) else 60.0)
        time.sleep(_PAUSE)
    return found


def _p99(found: list[float]) -> float:
    return sorted(found)[int(len(found) * 0.99)]


if __name__ == "__main__":
    sys.exit(main())
