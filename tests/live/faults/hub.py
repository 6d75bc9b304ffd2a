"""A hub's supervisor alone, as a process that can be killed: prints the child's pid once it answers, then waits."""

import sys
from pathlib import Path
from typing import Any

from twisted.internet.task import react

from tests.live.faults.rig import Rig


async def main(reactor: Any, home: str, port: str, *words: str) -> None:
    rig = Rig(reactor, home=Path(home))
    rig.add("wild", *words, port=int(port))
    await rig.supervisor.start("wild")
    print(rig.pid("wild"), flush=True)
    await rig.sleep(60)
    await rig.end()


react(main, sys.argv[1:])
