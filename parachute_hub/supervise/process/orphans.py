"""Ends leftover processes of a module or an earlier hub, recognized by their tag."""

import signal
from typing import Any, Protocol

from twisted.internet.task import deferLater

from parachute_hub.supervise.context import InThread
from parachute_hub.supervise.process.process_tags import TagFilter

_POLL = 0.05
# A fork bomb may need more than one SIGKILL.
_ROUNDS = 20


class TaggedProcesses(Protocol):
    """Tagged processes; implemented by `processes.Processes`."""

    def signal(self, tag_filter: TagFilter, number: int) -> list[int]:
        """Signal the matching processes; 0 only looks. Returns their ids."""


async def sweep(
    system: TaggedProcesses, tag_filter: TagFilter, *, grace: float, clock: Any, in_thread: InThread
) -> list[int]:
    """SIGTERM to all matching processes, SIGKILL after `grace` seconds. Returns the ids found.

    The wait blocks no thread, so modules do not wait for each other's leftovers.
    """
    found = await in_thread(system.signal, tag_filter, signal.SIGTERM)
    if not found:
        return []
    by = clock.seconds() + grace
    while clock.seconds() < by:
        await deferLater(clock, _POLL)
        if not await in_thread(system.signal, tag_filter, 0):
            return found
    for _ in range(_ROUNDS):
        if not await in_thread(system.signal, tag_filter, signal.SIGKILL):
            break
        await deferLater(clock, _POLL)
    return found
