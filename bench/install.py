"""Our install compared with a bare `bun add` of the same package: cold and warm cache, medians of a few runs. `far` is
a cold cache and a registry 100 ms away, as for most people. `ours` is the whole job until the module answers; the
module's own start, measured separately, is subtracted before the ratio. What ours adds is safety: writes that
survive a power cut, a check of every file, a session for bun. docs/decisions/071 has the figures.
"""

import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from parachute_hub.modules.operations.install import InstallRequest
from parachute_hub.modules.packages import bun
from parachute_hub.modules.packages.bun import ADD
from parachute_hub.modules.state import store
from tests.live.modules_rig import CLOCK, Rig, module
from tests.support.npm import NpmRegistry

RUNS = 10
BARE = "bare"
# What a registry on another continent, or a slow line, adds to each answer: seconds.
FAR = 0.1
DEPENDENCIES = 40
FILES_EACH = 25


def publish(registry: NpmRegistry) -> None:
    """A sizeable module: forty dependencies, a thousand files, eight megabytes."""
    dependencies = {}
    for number in range(DEPENDENCIES):
        name = f"weight-{number}"
        files: dict[str, bytes | str] = {f"lib/{part}.js": os.urandom(4000).hex() for part in range(FILES_EACH)}
        registry.publish({"package.json": json.dumps({"name": name, "version": "1.0.0"}), **files})
        dependencies[name] = "1.0.0"
    toy = module()
    package = {**json.loads(toy["package.json"]), "dependencies": dependencies}
    registry.publish({**toy, "package.json": json.dumps(package)})


def bare(registry: str, home: Path) -> float:
    """Seconds of `bun add` alone, with its own cache in the same home and the same temporary folder, because creating
    a thousand files can take twice as long in another folder.
    """
    folder = Path(tempfile.mkdtemp(prefix="add-", dir=home))
    (folder / "package.json").write_text('{"name": "x", "private": true, "trustedDependencies": []}')
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "BUN_INSTALL": str(home / BARE),
        "TMPDIR": str(home / "tmp"),
        "BUN_CONFIG_REGISTRY": registry,
    }
    began = time.perf_counter()
    subprocess.run(
        [str(bun.find(None)), *ADD, "@toys/toy"], cwd=folder, env=environment, check=True, capture_output=True
    )
    took = time.perf_counter() - began
    shutil.rmtree(folder)
    return took


def set_aside(folder: Path) -> None:
    """Move it away instead of deleting: ext4 avoids recently freed inodes, which slows the next run."""
    if folder.exists():
        folder.rename(Path(tempfile.mkdtemp(prefix="aside-", dir=folder.parent)) / folder.name)


class Stopwatch:
    """Replaces a function and adds up the duration of its calls."""

    def __init__(self, owner: Any, name: str) -> None:
        self._function = getattr(owner, name)
        self.seconds = 0.0
        setattr(owner, name, self)

    def __call__(self, *arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return self._function(*arguments)
        finally:
            self.seconds += time.perf_counter() - began

    def read(self) -> float:
        """Seconds since the last read."""
        seconds, self.seconds = self.seconds, 0.0
        return seconds


async def ours(rig: Rig) -> tuple[float, float]:
    """Seconds of the whole job, and of the module's own start."""
    began = time.perf_counter()
    job = await rig.done(rig.modules.installer.install(InstallRequest(short="toy", package="@toys/toy")))
    took = time.perf_counter() - began
    if job.status != "succeeded":
        raise SystemExit(f"The install failed: {job.error}")
    start = next(step for step in job.steps if step.name == "start")
    return took, (start.finished_at or 0) - start.started_at


async def measure() -> None:
    """Far, cold and warm, with bun and ours taking turns to go first; prints the table."""
    registry = NpmRegistry(CLOCK)
    publish(registry)
    address = registry.listen()
    rig = Rig.start(registry=registry)
    synced, looked = Stopwatch(os, "fsync"), Stopwatch(store, "_inspect")
    heads = ("bun add", "ours", "start", "added", "fsync", "look", "ratio")
    print(f"{'':6}" + "".join(f"{head:>9}" for head in heads) + f"   (milliseconds, medians of {RUNS})")
    for label in ("far", "cold", "warm"):
        registry.distance = FAR if label == "far" else 0.0
        bares, wholes, starts, syncs, looks = [], [], [], [], []
        for run in range(RUNS):
            if label != "warm":
                set_aside(rig.home / BARE)
                set_aside(rig.home / "modules" / "install" / "cache")
            for tag_filter in ("bun", "ours") if run % 2 else ("ours", "bun"):
                os.sync()  # nobody pays for what an earlier run has left to be written
                if tag_filter == "bun":
                    bares.append(await deferToThread(bare, address, rig.home))
                    continue
                for watch in (synced, looked):
                    watch.read()
                whole, start = await ours(rig)
                syncs.append(synced.read())
                looks.append(looked.read())
                wholes.append(whole)
                starts.append(start)
            await rig.done(rig.modules.remover.uninstall("toy"))
        rows = (bares, wholes, starts, syncs, looks)
        alone, whole, start, sync, look = (statistics.median(values) * 1000 for values in rows)
        added = whole - start - alone
        figures = "".join(f"{figure:9.1f}" for figure in (alone, whole, start, added, sync, look))
        print(f"{label:6}{figures}{(alone + added) / alone:9.2f}")
    await rig.stop()
    shutil.rmtree(rig.home)


def main() -> None:
    """Run it."""
    doing = Deferred.fromCoroutine(measure())
    doing.addErrback(lambda failure: print(failure.getTraceback()))
    doing.addBoth(lambda _: CLOCK.stop())
    CLOCK.run()


if __name__ == "__main__":
    main()
