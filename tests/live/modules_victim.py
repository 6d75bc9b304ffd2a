"""A hub's worth of modules that does one thing and may be killed at any moment, or watched while it does it.

python -m tests.live.modules_victim HOME REGISTRY install|upgrade|rollback|uninstall|look [DEATH]

With DEATH, a number, it kills itself at the so-manieth time that it puts something on the disk.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred

from parachute_hub.jobs.model import Job
from parachute_hub.modules.operations.install import InstallRequest
from parachute_hub.modules.operations.upgrade import UpgradeRequest
from parachute_hub.system.file_writer import FileWriter
from tests.live.fulldisk import FullDisk
from tests.live.modules_rig import CLOCK, Rig


@frozen
class Elsewhere:
    """A registry in another process."""

    url: str


class Death(FullDisk):
    """A disk that kills where another one would be full."""

    def refuse(self, name: str, path: object) -> None:
        """One call; the last one does not return."""
        try:
            super().refuse(name, path)
        except OSError:
            os.kill(os.getpid(), signal.SIGKILL)


async def at_once(function: Any, *args: Any) -> Any:
    """No threads: every system call is made by the traced thread."""
    return function(*args)


def begin(rig: Rig, what: str) -> Job:
    """Start the requested job."""
    match what:
        case "install":
            return rig.modules.installer.install(InstallRequest(short="toy", package="@toys/toy", version="1.0.0"))
        case "upgrade":
            return rig.modules.upgrader.upgrade(UpgradeRequest(short="toy", version="2.0.0"))
        case "rollback":
            return rig.modules.upgrader.rollback("toy")
        case _:
            return rig.modules.remover.uninstall("toy")


async def main(home: Path, registry: str, what: str, death: int | None = None) -> None:
    """Boot like a hub, run the job, exit."""
    rig = Rig.start(home=home, registry=Elsewhere(registry), in_thread=at_once, files=FileWriter())  # type: ignore[arg-type]
    await rig.modules.recover()
    if what != "look":
        if what != "install":
            await rig.supervisor.start("toy")
        print("begin", flush=True)
        with Death(home, death).at_work():
            job = await rig.done(begin(rig, what))
        print(job.outcome, job.error or "", flush=True)
    await rig.stop(registry=False)


if __name__ == "__main__":
    arguments = sys.argv[1:]
    ended = Deferred.fromCoroutine(main(Path(arguments[0]), arguments[1], arguments[2], *map(int, arguments[3:])))
    ended.addErrback(lambda failure: print(failure.getTraceback()))
    ended.addBoth(lambda _: CLOCK.callLater(0, CLOCK.stop))
    CLOCK.run()
