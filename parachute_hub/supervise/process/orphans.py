"""Ends what a module left behind, or an earlier hub: processes that carry our mark."""

import signal
from typing import Any, Protocol

from twisted.internet.task import deferLater

from parachute_hub.supervise.context import InThread
from parachute_hub.supervise.process.process_tags import Whose

_POLL = 0.05
# Something that forks without end may need more than one KILL.
_ROUNDS = 20


class Marked(Protocol):
    """Processes by their mark; `processes.Processes`."""

    def signal(self, whose: Whose, number: int) -> list[int]:
        """Send a signal to each process that is picked; 0 only looks. Gives their ids."""


async def sweep(system: Marked, whose: Whose, *, grace: float, clock: Any, in_thread: InThread) -> list[int]:
    """TERM to all of `whose`, KILL after `grace` seconds. The ids of those that were found.

    No thread is kept waiting, so no module waits for the grace of another one's leftovers.
    """
    found = await in_thread(system.signal, whose, signal.SIGTERM)
    if not found:
        return []
    by = clock.seconds() + grace
    while clock.seconds() < by:
        await deferLater(clock, _POLL)
        if not await in_thread(system.signal, whose, 0):
            return found
    for _ in range(_ROUNDS):
        if not await in_thread(system.signal, whose, signal.SIGKILL):
            break
        await deferLater(clock, _POLL)
    return found
