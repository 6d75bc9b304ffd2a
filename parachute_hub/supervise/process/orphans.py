"""Ends leftover processes of a module or an earlier hub, recognized by their tag."""

import signal
from typing import Any, Protocol

from twisted.internet.task import deferLater

from parachute_hub.supervise.context import InThread
from parachute_hub.supervise.process.process_tags import TagFilter
from parachute_hub.supervise.process.processes import Holder
from parachute_hub.system.records import frozen

_POLL = 0.05
# A fork bomb may need more than one SIGKILL.
_ROUNDS = 20


class TaggedProcesses(Protocol):
    """Tagged processes; implemented by `processes.Processes`."""

    def signal(self, tag_filter: TagFilter, number: int) -> list[int]:
        """Signal the matching processes; 0 only looks. Returns their ids."""


class PortHolders(TaggedProcesses, Protocol):
    """Tagged processes, and who has a port."""

    def holder(self, port: int, tag_filter: TagFilter) -> Holder | None:
        """Who listens on a port."""


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


@frozen(kw_only=True)
class Leftovers:
    """What earlier processes of one module left behind."""

    system: PortHolders
    tag_filter: TagFilter
    grace: float
    clock: Any
    in_thread: InThread

    async def sweep(self) -> list[int]:
        """End them. Returns their ids."""
        return await sweep(self.system, self.tag_filter, grace=self.grace, clock=self.clock, in_thread=self.in_thread)

    async def clear_port(self, port: int) -> str | None:
        """End those on a port. Returns the name of any other program that has it."""
        holder = await self.in_thread(self.system.holder, port, self.tag_filter)
        if holder is not None and holder.ours:
            await self.sweep()
            holder = await self.in_thread(self.system.holder, port, self.tag_filter)
        return None if holder is None else str(holder)
