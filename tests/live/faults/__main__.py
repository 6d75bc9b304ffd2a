"""Runs faults and prints a table: short, or at full size with the controls. `python -m tests.live.faults
[--full[=PART]] [F01 F08 ...]`; `--full=10` is a tenth of the full size.
"""

import shutil
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from attrs import evolve, frozen
from twisted.internet.task import react
from twisted.internet.threads import deferToThread

from parachute_hub.supervise.limits import Timing
from tests.live.faults import controls, hubs, repairs, resources, whole
from tests.live.faults.outcome import Outcome
from tests.live.faults.rig import QUICK, Rig


@frozen
class Fault:
    """One fault with its sizes."""

    name: str
    run: Callable[[Rig, int], Awaitable[Outcome]]
    smoke: int
    full: int
    full_timing: Timing = QUICK


# Forty loops at a fifth of the true delays would show how two cores start forty programs, not what we do.
REAL_DELAYS = evolve(QUICK, first_delay=Timing().first_delay)
FAULTS = (
    Fault("F01", repairs.f01_kill_one, 10, 1000),
    Fault("F02", repairs.f02_kill_all, 5, 200),
    Fault("F03", repairs.f03_crash_loops, 1, 12, REAL_DELAYS),
    Fault("F04", resources.f04_grandchildren, 2, 100),
    Fault("F05", resources.f05_fork_bomb, 1, 30),
    Fault("F06", resources.f06_memory, 1, 20),
    Fault("F07", whole.f07_install, 1, 20),
    Fault("F08", repairs.f08_hang, 4, 100),
    Fault("F09", repairs.f09_unwell, 1, 25),
    Fault("F10", repairs.f10_ports, 2, 50),
    Fault("F22", resources.f22_descriptors, 1, 30),
    Fault("F27", resources.f27_flood, 1, 60),
    Fault("F33", hubs.f33_two_hubs, 1, 100),
    Fault("API", whole.api, 1, 20),
)


async def main(reactor: Any, *words: str) -> None:
    """The table; exits with 1 when a limit was missed."""
    parts = [int(word.partition("=")[2] or 1) for word in words if word.startswith("--full")]
    names = [word for word in words if not word.startswith("--")]
    missed = 0
    for fault in FAULTS:
        if not names or fault.name in names:
            missed += not await row(reactor, fault, parts[0] if parts else None)
    if missed:
        raise SystemExit(f"{missed} faults missed a bar")


async def row(reactor: Any, fault: Fault, part: int | None) -> bool:
    """Run one fault and print the result, at full size divided by `part`, or short. True if all limits held."""
    rig, began = Rig(reactor, timing=QUICK if part is None else fault.full_timing), time.monotonic()
    try:
        outcome = await fault.run(rig, fault.smoke if part is None else max(fault.smoke, fault.full // part))
    finally:
        left = await rig.end()
        shutil.rmtree(rig.home, ignore_errors=True)
    wrong = [*outcome.wrong, *([f"{len(left)} processes left behind"] if left else []), *outcome.slow]
    verdict = "MISSED" if wrong else "ok"
    print(f"{outcome.fault}  {outcome.what}, n = {outcome.n}, {time.monotonic() - began:.0f} s: {verdict}")
    print(f"     {outcome.figures}", *(f"     ! {text}" for text in wrong), sep="\n", flush=True)
    if part is not None:
        print(f"     control: {await deferToThread(controls.told, fault.name)}", flush=True)
    return not wrong


if __name__ == "__main__":
    react(main, sys.argv[1:])
