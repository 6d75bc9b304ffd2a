"""Faults of whole hubs."""

from functools import partial

from tests.live.faults.outcome import Outcome
from tests.live.faults.rig import Rig
from tests.live.harness import HubProcess


async def f33_two_hubs(rig: Rig, n: int) -> Outcome:
    """Two hubs on one home: the second names the first and exits; a stale lock blocks nobody."""
    named, started = 0, 0
    first = HubProcess(home=rig.home / "hub")
    try:
        for _ in range(n):
            first.start()
            started += 1
            assert first.process is not None
            second = HubProcess(home=first.home)
            second.spawn()
            assert second.process is not None
            await rig.until(partial(_ended, second), "the second hub to leave")
            named += second.process.returncode != 0 and f"pid {first.process.pid}" in second.log()
            first.kill()
    finally:
        first.end()
    wrong = () if named == started == n else ("the second hub did not leave, or did not name the first",)
    return Outcome("F33", "two hubs on one home, then SIGKILL", n, f"{named} named, {started} started", wrong)


def _ended(hub: HubProcess) -> bool:
    return hub.process is not None and hub.process.poll() is not None
