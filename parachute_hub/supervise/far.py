"""A module on another machine, which takes the place of a supervised one. Nothing of it runs here."""

from collections.abc import Awaitable
from typing import Any, Final, Literal, Protocol, TypeAlias

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from parachute_hub.supervise.context import SupervisorContext
from parachute_hub.supervise.inheritance import InheritedModule
from parachute_hub.supervise.model import Elsewhere, Launch, ModuleState, Reach, Status
from parachute_hub.supervise.output.log_files import LogFiles
from parachute_hub.supervise.output.log_ring import LogRing
from parachute_hub.supervise.output.output import Output
from parachute_hub.supervise.restart_policy import CrashHistory
from parachute_hub.system.records import frozen

PERIOD: Final = 10.0
"""Seconds between two looks at the other machine."""
_SOON: Final = 1.0
_STOPPED_THERE: Final = "It was stopped on the other machine. Start it to use it again."
# What a host says of its module, as states of a module here; everything else counts as crashed.
_STATES: Final = {
    "running": ModuleState.READY,
    "asleep": ModuleState.READY,
    "starting": ModuleState.STARTING,
    "restarting": ModuleState.STARTING,
    "stopping": ModuleState.STOPPING,
    "stopped": ModuleState.STOPPED,
}
Word: TypeAlias = Literal["start", "stop", "restart"]


class Unreached(Exception):
    """The other machine did not do what it was asked. The text is a sentence for the owner."""

    def __init__(self, reach: Reach, why: str) -> None:
        super().__init__(why)
        self.reach: Reach = reach


@frozen(kw_only=True)
class Sighting:
    """What was seen of the other machine. `state` is its word for the module's state, `refusal` says which of the
    owner's settings it does not take.
    """

    state: str = "running"
    message: str = ""
    refusal: str = ""
    version: str | None = None
    memory: int | None = None
    disk_free: int | None = None


class Machine(Protocol):
    """The other machine."""

    @property
    def address(self) -> str: ...

    @property
    def steered(self) -> bool:
        """True if it starts and stops the module for this hub."""

    def look(self) -> Awaitable[Sighting]:
        """Ask it. Raises Unreached."""

    def order(self, word: Word) -> Awaitable[None]:
        """Resolves once it has understood. Raises Unreached."""

    def lines(self) -> Awaitable[list[str]]:
        """What the module wrote since the last call. Raises Unreached."""


class FarModule:
    """Watches a module on another machine, and passes on what the owner wants of it.

    It has the interface of `supervise.module.Module`; its `machine` is itself.
    """

    _log = Logger()
    launch: Launch | None = None
    owned_port: int | None = None

    def __init__(self, short: str, context: SupervisorContext, there: Machine) -> None:
        self.short = short
        self.machine = self
        self.ring = LogRing(context.limits.ring)
        self.output = Output(
            ring=self.ring,
            files=LogFiles(context.log_folder, short, context.log_bytes, context.log_writer),
            log_line=lambda line: context.log_line(short, line),
            mask=context.mask,
            limits=context.limits,
            now=context.now,
            wall=context.wall,
        )
        self._context = context
        self._there = there
        self.status = Status(
            short=short,
            state=ModuleState.STOPPED,
            reason="It has not been started.",
            since=context.wall(),
            elsewhere=Elsewhere(address=there.address, steered=there.steered),
        )
        self._wanted = False
        self._order: Word | None = None
        self._ordered_at = float("-inf")
        self._looking = False
        self._again = False
        self._left = False
        self._misses = 0
        self._timer: IDelayedCall | None = None
        self._waiters: list[Deferred[Status]] = []

    # --- for the supervisor

    async def settled(self) -> Status:
        """Resolves with the status once it is known what became of the last command, after a while in any case."""
        if self._is_settled():
            return self.status
        waiter: Deferred[Status] = Deferred()
        self._waiters.append(waiter)
        late = self._context.reactor.callLater(self._context.timing.late, self._answer, waiter)
        status = await waiter
        if late.active():
            late.cancel()
        return status

    async def cleared(self) -> None:
        """Nothing of it is left here."""

    async def other_ports(self) -> list[int]:
        return []

    def kill(self) -> None:
        """Nothing to kill here."""

    def leave(self) -> None:
        """The hub stops, or forgets the link. The module there runs on."""
        self._left, self._wanted, self._order = True, False, None
        self._rest()
        for waiter in list(self._waiters):
            self._answer(waiter)

    def close(self) -> None:
        """Look no more, and close the log files."""
        self.leave()
        self.output.close()

    def settles(self) -> bool:
        """A newer hub asks anew."""
        return False

    def hand_over(self) -> InheritedModule | None:
        """That it answers. An upstream needs a token first, which a newer hub gets with its first look."""
        if self.status.state is not ModuleState.READY or not self._there.steered:
            return None
        return InheritedModule(short=self.short, process=None, history=CrashHistory(), last_exit=None)

    def take_over(self, left: InheritedModule) -> None:
        """Pass requests on at once: it answered the hub before."""
        self._wanted, self._order, self._ordered_at = True, "start", self._context.now()
        self._tell(ModuleState.READY, "It answers.", reach="online")
        self._begin()

    def follows(self, start: bool) -> None:
        """Record whether a start follows, for which requests wait."""
        self.status = evolve(self.status, start_follows=start, wakes=start)

    # --- commands, as for the state machine of a module here

    def start(self) -> None:
        self._wanted = True
        self._command("start", ModuleState.STARTING, "It is being started on the other machine.")

    def restart(self, why: str) -> None:
        self._wanted = True
        self._command("restart", ModuleState.STARTING, why)

    def stop(self) -> None:
        self._wanted = False
        if self._there.steered:
            self._command("stop", ModuleState.STOPPING, "It is being stopped on the other machine.")
        else:
            self._rest()
            self._tell(ModuleState.STOPPED, "It is switched off here: no requests are sent to the other machine.")
            self._answer_settled()

    def hold(self, reason: str) -> None:
        """Send no requests; the module there runs on."""
        self._rest()
        self._tell(ModuleState.HELD, reason)
        self._answer_settled()

    def release(self) -> None:
        if self.status.state is ModuleState.HELD:
            self.start()

    def recycle(self, why: str) -> None:
        """Its memory is the other machine's business."""

    def sleep(self, why: str) -> None:
        """It does not sleep for this hub."""

    def wake(self) -> None:
        """It does not sleep for this hub."""

    def rest(self) -> None:
        self.start()

    def look_soon(self) -> None:
        """A request did not reach it."""
        if self._timer is not None and self._timer.getTime() > self._context.reactor.seconds() + _SOON:
            self._timer.reset(_SOON)

    # --- looking

    def _command(self, word: Word, state: ModuleState, reason: str) -> None:
        self._order = word if self._there.steered else None
        self._ordered_at, self._misses = self._context.now(), 0
        # Until it is known whether it answers, requests wait.
        self.status = evolve(self.status, wakes=state is ModuleState.STARTING)
        self._tell(state, reason)
        if self._looking:
            self._again = True
        else:
            self._rest()
            self._begin()

    def _rest(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self) -> None:
        self._timer, self._looking = None, True
        Deferred.fromCoroutine(self._round()).addErrback(self._broken).addBoth(self._ended)

    def _broken(self, failure: Any) -> None:
        self._log.failure("Looking at the other machine of {short} failed", failure, short=self.short)
        self._missed(Unreached("refused", "The hub does not understand what it answers."))

    def _ended(self, _: object) -> None:
        self._looking = False
        again, self._again = self._again, False
        self._answer_settled()
        if self._left or self.status.state is ModuleState.HELD or not (self._wanted or self._there.steered):
            return
        if again:
            self._begin()
        else:
            soon = self._misses == 1 or not self._is_settled()
            self._timer = self._context.reactor.callLater(_SOON if soon else PERIOD, self._begin)

    async def _round(self) -> None:
        word, wanted = self._order, self._wanted
        try:
            if word is not None:
                await self._there.order(word)
                if self._order == word:
                    self._order = None
            seen = await self._there.look()
        except Unreached as unreached:
            if not (self._left or self._again) and wanted is self._wanted:
                self._missed(unreached)
            return
        if self._left or self._again or self.status.state is ModuleState.HELD:
            return
        self._misses = 0
        self._saw(seen)
        if self._there.steered:
            try:
                for line in await self._there.lines():
                    self.output.received(line.encode() + b"\n")
            except Unreached as unreached:
                self._log.debug("No log of {short}: {why}", short=self.short, why=str(unreached))

    def _missed(self, unreached: Unreached) -> None:
        self._misses += 1
        if unreached.reach == "not answering" and self.status.state is ModuleState.READY and self._misses < 2:
            # One lost packet is not worth refusing requests for.
            return
        state = ModuleState.BACKOFF if unreached.reach == "not answering" else ModuleState.PARKED
        # What could not be passed on is tried again with the next look; nobody waits for that.
        self._tell(state, str(unreached), reach=unreached.reach, why=str(unreached), memory=None, disk_free=None)

    def _saw(self, seen: Sighting) -> None:
        state = _STATES.get(seen.state, ModuleState.PARKED)
        reason = seen.message
        if self._wanted and state in (ModuleState.STOPPED, ModuleState.STOPPING):
            fresh = self._context.now() - self._ordered_at < self._context.timing.late
            state, reason = (ModuleState.STARTING, reason) if fresh else (ModuleState.PARKED, reason or _STOPPED_THERE)
        elif not self._wanted and state is not ModuleState.STOPPED:
            state = ModuleState.STOPPING
        if not reason:
            reason = f"It {'runs' if state is ModuleState.READY else 'is ' + state.value} on {self._there.address}."
        told = {"version": seen.version, "memory": seen.memory, "disk_free": seen.disk_free}
        if seen.refusal:
            reason = f"{reason} {seen.refusal}"
        self._tell(state, reason, reach="online", why=seen.refusal, **told)

    # --- status

    def _is_settled(self) -> bool:
        return not self.status.start_follows and self.status.state not in (ModuleState.STARTING, ModuleState.STOPPING)

    def _answer_settled(self) -> None:
        for waiter in list(self._waiters) if self._is_settled() else ():
            self._answer(waiter)

    def _answer(self, waiter: "Deferred[Status]") -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)
            self._context.reactor.callLater(0, waiter.callback, self.status)

    def _tell(self, state: ModuleState, reason: str, **told: Any) -> None:
        before = self.status
        elsewhere = evolve(before.elsewhere, **told) if before.elsewhere else None
        self.status = evolve(
            before,
            state=state,
            reason=reason,
            wakes=before.wakes and state is ModuleState.STARTING,
            start_follows=False,
            since=before.since if state is before.state else self._context.wall(),
            next_retry_at=self._context.wall() + PERIOD if state is ModuleState.BACKOFF else None,
            elsewhere=elsewhere,
        )
        if before.state is not state or before.reason != reason:
            self._publish()

    def _publish(self) -> None:
        try:
            self._context.emit(self.status)
        except Exception:
            self._log.failure("Publishing the status of {short} failed", short=self.short)
