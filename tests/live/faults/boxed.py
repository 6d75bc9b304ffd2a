"""A hub inside a cgroup: `python -m tests.live.faults.boxed bomb|leak` prints its results as JSON."""

import json
import shutil
import sys
import time
from typing import Any

from attrs import evolve
from twisted.internet.task import react

from parachute_hub.supervise.limits import MemoryLimits
from parachute_hub.supervise.model import LastExit, ModuleState
from tests.live.faults.rig import QUICK, Rig


async def bomb(rig: Rig) -> dict[str, Any]:
    """Stopped by hand, as the owner would."""
    rig.add("bomb", "bomb")
    rig.add_bun("sibling")
    await rig.supervisor.start("sibling")
    await rig.supervisor.start("bomb")
    await rig.sleep(0.5)
    count, began = len(rig.ours()), time.monotonic()
    await rig.supervisor.stop("bomb")
    took = time.monotonic() - began
    wrong = [f"{len(rig.ours())} processes are left"] if len(rig.ours()) != 1 else []
    if not await rig.answers("sibling"):
        wrong.append("the sibling does not answer")
    return {"figures": f"{count} processes gone after {took * 1000:.0f} ms", "wrong": wrong}


async def leak(rig: Rig) -> dict[str, Any]:
    """The hub restarts the slow one before the kernel acts; the fast one is OOM-killed and reported as such."""
    wrong = []
    rig.add_bun("sibling")
    await rig.supervisor.start("sibling")
    # It grows a little all the time, and is not to blame for what another takes.
    rig.add_bun("filling", "grow")
    await rig.supervisor.start("filling")
    # It takes its whole time to end, and several measurements come meanwhile.
    rig.add("slow", "grow=4", "deaf")
    await rig.supervisor.start("slow")
    await rig.until(lambda: any("Memory use is" in s.reason for s in rig.told if s.short == "slow"), "the guard")
    reason = next(s.reason for s in rig.told if "Memory use is" in s.reason)
    await rig.until(lambda: rig.state("slow") is not ModuleState.STOPPING, "its end")
    await rig.supervisor.stop("slow")
    wrong += ended("filling", rig)
    await rig.supervisor.stop("filling")
    # On a busy machine the guard could come before the kernel.
    rig.supervisor._guard.stop()
    rig.add("fast", "grow=100")
    await rig.supervisor.start("fast")
    await rig.until(lambda: any(s.last_exit for s in rig.told if s.short == "fast"), "the kernel")
    last = next(s.last_exit for s in rig.told if s.short == "fast" and s.last_exit)
    if not last.oom:
        wrong.append(f"the kernel's kill is not labelled: {last}")
    await rig.supervisor.stop("fast")
    # The box stood still for want of memory, so the sibling may have answered late.
    await rig.until(lambda: rig.state("sibling") is ModuleState.READY, "the sibling to answer")
    # While the pages of the one that it killed are being given back, the kernel can choose another one.
    wrong += [text for text in ended("sibling", rig) if not all(end.oom for end in ends("sibling", rig))]
    return {"figures": f"slow: {reason} fast: killed by the kernel, labelled {last.oom}", "wrong": wrong}


def ends(short: str, rig: Rig) -> list[LastExit]:
    return [status.last_exit for status in rig.told if status.short == short and status.last_exit]


def ended(short: str, rig: Rig) -> list[str]:
    """What happened to a module that should have lived on; empty if it did."""
    found = ends(short, rig)
    reasons = [status.reason for status in rig.told if status.short == short]
    return [f"{short} did not survive: {found[0]}, {reasons}"] if found else []


async def main(reactor: Any, what: str) -> None:
    # A box that is out of memory stands still for a while; that is no hang.
    timing = evolve(QUICK, liveness_period=5.0, probe_timeout=5.0)
    rig = Rig(reactor, timing=timing, memory=MemoryLimits(period=0.2, budget=64 << 20))
    found = await {"bomb": bomb, "leak": leak}[what](rig)
    left = await rig.end()
    shutil.rmtree(rig.home, ignore_errors=True)
    if left:
        found["wrong"].append(f"{len(left)} processes left behind")
    print(json.dumps(found), flush=True)


react(main, sys.argv[1:])
