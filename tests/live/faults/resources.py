"""Faults that exhaust shared resources: processes, descriptors, output, memory."""

import json
import os
import resource
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

from parachute_hub.supervise.model import ModuleState
from tests.live.faults.boxes import Box
from tests.live.faults.outcome import Outcome, harmed, sibling, slowed
from tests.live.faults.repairs import with_sibling
from tests.live.faults.rig import Meter, Rig

FLOOD_CPU = 15.0
FLOOD_MB = 5.0


def zombies() -> int:
    """Unreaped dead children of this process."""
    count = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        count += state == "Z" and int(parent) == os.getpid()
    return count


async def f04_grandchildren(rig: Rig, n: int) -> Outcome:
    """Grandchildren, half of them escaped into other sessions, next to a foreign process."""
    stranger = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"], cwd=rig.home)
    survivors = found = 0
    try:
        for number in range(n):
            short = rig.add(f"g{number}", "kin=25", "orphans=25")
            await rig.supervisor.start(short)
            found += len(rig.ours()) - 1
            await rig.supervisor.stop(short)
            survivors += len(rig.ours())
        wrong = [] if stranger.poll() is None else ["a stranger was killed"]
    finally:
        stranger.kill()
        stranger.wait()
    left = zombies()
    if survivors or left:
        wrong.append(f"{survivors} survivors, {left} zombies")
    figures = f"{found} grandchildren, {survivors} survivors, {left} zombies, 0 strangers killed"
    return Outcome("F04", "grandchildren, double fork, setsid", n, figures, tuple(wrong))


async def f22_descriptors(rig: Rig, n: int) -> Outcome:
    """Out of descriptors: a spawn fails with its reason, nothing spins, and it recovers."""
    rig.add("victim")
    await rig.supervisor.start("victim")
    took, cpu = [], []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for _ in range(n):
        rig.forgive("victim")
        old = rig.pid("victim")
        kept = _use_up_descriptors()
        os.kill(old, 9)
        busy, began = time.process_time(), time.monotonic()
        try:
            await rig.until(lambda: rig.state("victim") is ModuleState.BACKOFF, "a refused spawn")
            await rig.sleep(0.3)
        finally:
            cpu.append((time.process_time() - busy) / (time.monotonic() - began) * 100)
            for descriptor in kept:
                os.close(descriptor)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        took.append(await rig.until_next_life("victim", old))
    slow = () if max(cpu) < 50 else ("it spins",)
    figures = f"{max(cpu):.0f} % CPU meanwhile, ready {max(took) * 1000:.0f} ms after they were free again"
    return Outcome("F22", "no file descriptors", n, figures, slow=slow)


def _use_up_descriptors() -> list[int]:
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
    kept = []
    try:
        while True:
            kept.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
    except OSError:
        return kept


async def f27_flood(rig: Rig, n: int) -> Outcome:
    """100 MB/s of lines, one endless line, binary data, and bun at full speed; `n` seconds each."""
    quiet = await with_sibling(rig)
    kinds = {
        "lines": rig.add("lines", "flood=lines", "rate=100"),
        "line": rig.add("line", "flood=line", "rate=100"),
        "binary": rig.add("binary", "flood=binary", "rate=100"),
        "bun": rig.add_bun("flooder", "flood"),
    }
    parts: list[str] = []
    wrong: list[str] = []
    slow: list[str] = []
    for name, short in kinds.items():
        await rig.supervisor.start(short)
        # The burst that the log takes at first is not the flood.
        await rig.sleep(0.5)
        _, load = await Meter(rig, "sibling").during(rig.sleep(n))
        wrong += [f"{name}: {text}" for text in harmed(load)]
        slow += [f"{name}: {text}" for text in slowed(load, quiet)]
        # Asking the sibling costs as much in peace.
        cost = load.cpu - quiet.cpu
        if cost > FLOOD_CPU:
            slow.append(f"{name}: {cost:.0f} % CPU")
        if load.grown > FLOOD_MB:
            wrong.append(f"{name}: {load.grown:.1f} MB")
        if not await rig.answers(short, 3.0):
            wrong.append(f"{name}: the flooding module itself is stuck")
        parts.append(f"{name}: {cost:+.0f} % CPU, {sibling(load, quiet)}")
        await rig.supervisor.stop(short)
    ring = rig.supervisor.log("lines")
    if ring is None or not any("suppressed" in line.text for line in ring.since(0)):
        wrong.append("nothing says that lines were suppressed")
    return Outcome("F27", "log floods at 100 MB/s", n, "; ".join(parts), tuple(wrong), tuple(slow))


async def f05_fork_bomb(rig: Rig, n: int) -> Outcome:
    """A fork bomb limited to 80 processes; the hub outside ends it."""
    return await _boxed(rig, Box("pids", "bomb", ("pids.max", "pids.max", 80)), ("F05", "fork bomb", n), "bomb")


async def f06_memory(rig: Rig, n: int) -> Outcome:
    """A slow and a fast leak with a limit of 400 MB, the hub inside."""
    limit = ("memory.limit_in_bytes", "memory.max", 400 << 20)
    return await _boxed(rig, Box("memory", "leak", limit), ("F06", "memory leaks, slow and fast", n), "leak")


def _ended(process: "subprocess.Popen[str]") -> bool:
    return process.poll() is not None


async def _boxed(rig: Rig, box: Box, row: tuple[str, str, int], what: str) -> Outcome:
    fault, title, n = row
    figures, wrong = [], []
    try:
        for _ in range(n):
            process = box.run(what)
            try:
                await rig.until(partial(_ended, process), f"the boxed {what}", 40)
            finally:
                box.kill()
            assert process.stdout is not None
            text = process.stdout.read()
            process.stdout.close()
            if process.returncode:
                wrong.append(f"the hub ended with {process.returncode}")
                continue
            found = json.loads(text.splitlines()[-1])
            wrong += found["wrong"]
            figures.append(found["figures"])
    finally:
        box.close()
    return Outcome(fault, title, n, "; ".join(figures[:2]), tuple(wrong))
