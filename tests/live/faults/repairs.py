"""Faults that the supervisor repairs (kills, crash loops, hangs), and those it must leave alone."""

import os
import shutil
import signal
import time
from collections.abc import Sequence
from itertools import takewhile
from random import Random

from parachute_hub.supervise.model import ModuleState
from tests.live.faults.outcome import Outcome, harmed, sibling, slowed, spread
from tests.live.faults.rig import Load, Meter, Rig
from tests.live.harness import gone

QUIET = 0.6
SEED = 20261123


async def with_sibling(rig: Rig) -> Load:
    """An ordinary bun module, and how it answers when idle."""
    rig.add_bun("sibling")
    await rig.supervisor.start("sibling")
    _, quiet = await Meter(rig, "sibling").during(rig.sleep(QUIET))
    return quiet


async def f01_kill_one(rig: Rig, n: int) -> Outcome:
    """kill -9 of one child, repeatedly."""
    quiet, chance = await with_sibling(rig), Random(SEED)
    rig.add_bun("victim")
    began = time.monotonic()
    await rig.supervisor.start("victim")
    boot = time.monotonic() - began

    async def storm() -> list[float]:
        took = []
        for _ in range(n):
            rig.forgive("victim")
            old = rig.pid("victim")
            os.kill(old, signal.SIGKILL)
            took.append(await rig.until_next_life("victim", old))
            await rig.sleep(min(0.3, chance.expovariate(20)))
        return took

    took, load = await Meter(rig, "sibling").during(storm())
    slow = slowed(load, quiet)
    if sorted(took)[n // 2] > boot + 0.12:
        slow.append("slower than its own boot and 120 ms")
    figures = f"again after {spread(took)} (first boot {boot * 1000:.0f}); {sibling(load, quiet)}"
    return Outcome("F01", "kill -9 of one module", n, figures, tuple(harmed(load)), tuple(slow))


async def f02_kill_all(rig: Rig, n: int) -> Outcome:
    """kill -9 of every child at once."""
    shorts = [rig.add_bun(f"m{number}") for number in range(4)]
    rig.supervisor.boot(shorts)
    await rig.until_ready(*shorts)
    took = []
    for _ in range(n):
        old = {short: rig.pid(short) for short in shorts}
        for short, pid in old.items():
            rig.forgive(short)
            os.kill(pid, signal.SIGKILL)
        began = time.monotonic()
        for short, pid in old.items():
            await rig.until_next_life(short, pid)
        took.append(time.monotonic() - began)
    slow = () if max(took) < 3 else ("R2: not all back within 3 s",)
    return Outcome("F02", "kill -9 of four modules at once", n, f"all ready after {spread(took)}", slow=slow)


LOOPS = ("exit=0:1", "exit=0.01:3", "exit=0.2:0", "missing")


async def f03_crash_loops(rig: Rig, n: int) -> Outcome:
    """Programs that cannot stay up: they exit at once, later, with 0, or do not exist. One at a time, then all at
    once. The effect on a sibling is judged with one at a time: many at once are more program starts than a small
    machine has cores for, so there only that every request is answered and all are parked in the end.
    """
    quiet = await with_sibling(rig)
    single = [looping(rig, f"one{number}", kind) for number in range(n) for kind in LOOPS]
    crowd = [looping(rig, f"all{number}", kind) for number in range(n) for kind in LOOPS]

    async def one_by_one() -> None:
        for short in single:
            rig.supervisor.boot([short])
            await parked(rig, [short])

    async def together() -> None:
        rig.supervisor.boot(crowd)
        await parked(rig, crowd)

    _, load = await Meter(rig, "sibling").during(one_by_one())
    _, crowded = await Meter(rig, "sibling").during(together())
    spawns = [spawns_before_rest(rig, short) for short in (*single, *crowd)]
    wrong = [*harmed(load), *harmed(crowded)]
    if max(spawns) > 5:
        wrong.append(f"{max(spawns)} spawns before it rested")
    figures = (
        f"{len(single)} loops one by one and {len(crowd)} at once parked after at most {max(spawns)} spawns; "
        f"{sibling(load, quiet)}; at once: {sibling(crowded, quiet)}"
    )
    return Outcome("F03", "crash loops, missing program", n, figures, tuple(wrong), tuple(slowed(load, quiet)))


def looping(rig: Rig, name: str, kind: str) -> str:
    """A module that fails in this way at every start."""
    if kind == "missing":
        return rig.add(f"{name}gone", argv=("/nowhere/bun",))
    return rig.add(f"{name}x{LOOPS.index(kind)}", kind, "late=9")


def spawns_before_rest(rig: Rig, short: str) -> int:
    """How often it was started until it was parked, without later retries."""
    told = takewhile(lambda status: status.state is not ModuleState.PARKED, (s for s in rig.told if s.short == short))
    return sum(status.state is ModuleState.STARTING and status.pid is not None for status in told)


async def parked(rig: Rig, shorts: Sequence[str]) -> None:
    """Until all are parked, or held if their program is missing."""

    def rests(short: str) -> bool:
        return rig.state(short) is (ModuleState.HELD if short.endswith("gone") else ModuleState.PARKED)

    await rig.until(lambda: all(map(rests, shorts)), "all to be parked or held", 60)


async def f08_hang(rig: Rig, n: int) -> Outcome:
    """Stopped, silent, partial response, busy loop."""
    quiet = await with_sibling(rig)
    kinds = ("stop", "silent", "head", "busy")
    for kind in kinds:
        rig.add(kind, f"hang={kind}")
    rig.supervisor.boot(kinds)
    await rig.until_ready(*kinds)

    async def hang() -> list[float]:
        took = []
        for turn in range(n):
            kind = kinds[turn % len(kinds)]
            rig.forgive(kind)
            old = rig.pid(kind)
            os.kill(old, signal.SIGSTOP if kind == "stop" else signal.SIGUSR1)
            took.append(await rig.until_next_life(kind, old))
        return took

    took, load = await Meter(rig, "sibling").during(hang())
    slow = slowed(load, quiet)
    timing = rig.timing
    bar = (timing.misses * timing.liveness_period) + timing.probe_timeout + timing.hung_grace + 1.0
    if max(took) > bar:
        slow.append(f"one took longer than {bar:.1f} s")
    figures = f"answers again after {spread(took)} (probe each {timing.liveness_period} s); {sibling(load, quiet)}"
    return Outcome("F08", "hangs of four kinds", n, figures, tuple(harmed(load)), tuple(slow))


async def f09_unwell(rig: Rig, n: int) -> Outcome:
    """An unhealthy answer, a slow start, one missed probe: none is a reason to end a module."""
    unwell = [rig.add(f"u{number}", *words) for number, words in enumerate([("status=401",), ("late=3",)] * n)]
    rig.supervisor.boot(unwell)
    await rig.until_ready(*(short for short in unwell if not int(short[1:]) % 2))
    pids = {short: rig.pid(short) for short in unwell}
    for short in unwell[::2]:
        # Too short for three misses.
        os.kill(pids[short], signal.SIGSTOP)
        rig.reactor.callLater(rig.timing.liveness_period * 1.5, os.kill, pids[short], signal.SIGCONT)
    await rig.sleep(3.5)
    await rig.until_ready(*unwell)
    false = sum(pids[short] != rig.pid(short) for short in unwell)
    wrong = (f"{false} false restarts",) if false else ()
    return Outcome("F09", "flapping and late readiness", n, f"{false} false restarts of {len(unwell)}", wrong)


async def f10_ports(rig: Rig, n: int) -> Outcome:
    """A foreign process on the port is reported and not killed; when it leaves, a start works."""
    stranger = Rig(rig.reactor)
    named, killed, started = 0, 0, 0
    try:
        for number in range(n):
            short = f"p{number}"
            stranger.add(short)
            rig.add(short, port=stranger.launches[short].port)
            await stranger.supervisor.start(short)
            pid = stranger.pid(short)
            status = await rig.supervisor.start(short)
            named += status.state is ModuleState.HELD and f"process {pid} (" in status.reason
            killed += gone(pid)
            await stranger.supervisor.stop(short)
            started += (await rig.supervisor.start(short)).state is ModuleState.READY
    finally:
        await stranger.end()
        shutil.rmtree(stranger.home, ignore_errors=True)
    wrong = [] if named == started == n else ["a stranger was not named, or the module did not start after him"]
    if killed:
        wrong.append(f"{killed} strangers killed")
    figures = f"{named} named, {killed} killed, {started} started afterwards"
    return Outcome("F10", "port owned by a stranger", n, figures, tuple(wrong))
