"""The supervisor: one state machine per module."""

from collections.abc import Iterable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from parachute_hub.supervise.context import SupervisorContext
from parachute_hub.supervise.far import FarModule
from parachute_hub.supervise.inheritance import InheritedModule
from parachute_hub.supervise.memory.brake import ProcessorBrake
from parachute_hub.supervise.memory.guard import MemoryGuard, RunningModule
from parachute_hub.supervise.memory.policy import Container, MemoryHistory
from parachute_hub.supervise.memory.processor import ProcessorUse
from parachute_hub.supervise.model import ModuleState, Status
from parachute_hub.supervise.module import Module
from parachute_hub.supervise.output.log_ring import LogRing
from parachute_hub.supervise.process.orphans import sweep
from parachute_hub.supervise.process.process_tags import TagFilter


class Supervisor(Service):
    """Runs modules, restarts them after crashes, and stops them with the hub."""

    _log = Logger()

    def __init__(self, context: SupervisorContext) -> None:
        self._context = context
        self._modules: dict[str, Module | FarModule] = {}
        self._leaving = False
        self._guard = MemoryGuard(
            modules=self,
            meter=context.system,
            room=context.counters,
            limit=context.memory_limit,
            limits=context.memory,
            in_thread=context.in_thread,
            now=context.now,
            groups=context.groups,
            brake=self._brake(context),
        )

    def _brake(self, context: SupervisorContext) -> ProcessorBrake | None:
        """None where the kernel does it."""
        if context.groups is not None and "cpu" in context.groups.controllers:
            return None
        return ProcessorBrake(
            meter=context.system,
            signal_group=context.signal_group,
            in_thread=context.in_thread,
            clock=context.reactor,
            alive=self.alive,
        )

    # --- life of the hub

    @property
    def life(self) -> str:
        """What tags the processes."""
        return self._context.life

    def attend(self) -> None:
        """A request begins."""
        self._guard.attend()
        self._context.rest.attend()

    def startService(self) -> None:
        """Start the memory guard; `boot` starts the modules."""
        super().startService()
        self._guard.start(self._context.reactor, self._context.rest)

    def boot(self, shorts: Iterable[str], inherited: Iterable[InheritedModule] = ()) -> None:
        """Start all enabled modules of `shorts` concurrently, and go on at once with what an older hub left. Never
        raises.
        """
        for left in inherited:
            self._take_over(left)
        for short in shorts:
            module = self._module(short)
            waits = module.status.state is ModuleState.STOPPED and self._context.desired.wanted(short)
            if waits and self._context.sleeps(short):
                module.machine.rest()
            else:
                module.follows(waits)
        booting = Deferred.fromCoroutine(self._boot())
        booting.addErrback(lambda failure: self._log.failure("Modules could not be started", failure))

    async def _boot(self) -> None:
        context = self._context
        try:
            left = await sweep(
                context.system,
                TagFilter(context.home_id, other_than=context.life),
                grace=context.timing.sweep,
                clock=context.reactor,
                in_thread=context.in_thread,
            )
            if left:
                self._log.info("Killed {count} processes left by an earlier hub", count=len(left))
        except Exception:
            self._log.failure("Could not look for processes of an earlier hub")
        for place, module in enumerate(list(self._modules.values())):
            delay = place // context.timing.boot_batch * context.timing.boot_step
            context.reactor.callLater(delay, self._boot_one, module)

    def _boot_one(self, module: Module | FarModule) -> None:
        module.follows(False)
        try:
            untouched = module.status.state is ModuleState.STOPPED
            if untouched and not self._leaving and self._context.desired.wanted(module.short):
                module.machine.start()
        except Exception:
            self._log.failure("{short} could not be started", short=module.short)

    def _take_over(self, left: InheritedModule) -> None:
        try:
            wanted = self._context.desired.wanted(left.short)
            if not wanted and left.process is None:
                return
            module = self._module(left.short)
            module.take_over(left)
            if not wanted:
                module.machine.stop()
        except Exception:
            self._log.failure("{short} could not be taken over", short=left.short)

    def settles(self) -> list[str]:
        """The modules that are on the way to another state, so that nothing can be handed over now."""
        return [short for short, module in self._modules.items() if module.settles()]

    def hand_over(self) -> list[InheritedModule]:
        """What a newer hub needs to go on with the processes. This one does nothing more with them."""
        super().stopService()
        self._leaving = True
        self._guard.stop()
        left = [module.hand_over() for module in self._modules.values()]
        for module in self._modules.values():
            module.close()
        return [one for one in left if one is not None]

    def stopService(self) -> "Deferred[None]":
        """Stop all modules together within one time limit, then kill what is left."""
        super().stopService()
        self._leaving = True
        self._guard.stop()
        return Deferred.fromCoroutine(self._leave())

    async def _leave(self) -> None:
        modules = list(self._modules.values())
        for module in modules:
            _leave(module)
        everyone = DeferredList([Deferred.fromCoroutine(module.settled()) for module in modules])
        await self._at_most(everyone, self._context.timing.shutdown)
        for module in modules:
            module.close()

    async def _at_most(self, everyone: "Deferred[Any]", seconds: float) -> None:
        clock = self._context.reactor
        budget = clock.callLater(seconds, self._kill_all)
        # Even a killed process may hang in the kernel; the hub exits anyway.
        everyone.addTimeout(seconds + self._context.timing.group + self._context.timing.drain + 1.0, clock)
        everyone.addErrback(lambda failure: self._log.warn("Some modules did not stop: {why}", why=failure.value))
        await everyone
        if budget.active():
            budget.cancel()

    def _kill_all(self) -> None:
        for module in self._modules.values():
            module.kill()

    # --- commands

    async def start(self, short: str) -> Status:
        """Enable and start. Resolves with the status when ready, slow or failed."""
        module = self._module(short)
        if not self._leaving:
            module.machine.start()
        await self._context.desired.want(short, True)
        return await module.settled()

    async def stop(self, short: str) -> Status:
        """Disable and stop. Resolves with the status when its processes are gone."""
        module = self._module(short)
        module.machine.stop()
        await self._context.desired.want(short, False)
        return await module.settled()

    async def restart(self, short: str, why: str = "It is being restarted.") -> Status:
        """Enable and restart with a fresh launch. `why` is a sentence. Resolves as `start` does."""
        module = self._module(short)
        if not self._leaving:
            module.machine.restart(why)
        await self._context.desired.want(short, True)
        return await module.settled()

    async def sleep(self, short: str, why: str) -> Status | None:
        """End a running module until `wake`; it stays enabled. `why` is a sentence. Resolves once it sleeps; None if
        there is no such module.
        """
        module = self._modules.get(short)
        if module is None:
            return None
        if not self._leaving:
            module.machine.sleep(why)
        return await module.settled()

    async def wake(self, short: str) -> Status | None:
        """Start a module that sleeps; any other stays as it is. Resolves as `start` does; None if there is none."""
        module = self._modules.get(short)
        if module is None:
            return None
        if not self._leaving:
            module.machine.wake()
        return await module.settled()

    async def remove(self, short: str) -> None:
        """Stop and forget the module. Its files are kept."""
        module = self._modules.get(short)
        if module is None:
            return
        _leave(module)
        await module.settled()
        # A module of the same name may start next; its processes must not be ended by this cleanup.
        await module.cleared()
        module.close()
        self._modules.pop(short, None)

    def hold(self, short: str, reason: str) -> None:
        """Stop the module until it is released or started; it stays enabled. `reason` is a sentence."""
        self._module(short).machine.hold(reason)

    def kill(self, short: str) -> None:
        """End the processes of a module now. A restart or hold that was asked for follows."""
        module = self._modules.get(short)
        if module is not None:
            module.kill()

    def release(self, short: str) -> None:
        """Lift a hold: an enabled module runs again."""
        module = self._modules.get(short)
        if module is None:
            return
        if self._context.desired.wanted(short):
            module.machine.release()
        elif module.status.state is ModuleState.HELD:
            module.machine.stop()

    def look_soon(self, short: str) -> None:
        """A request did not reach the other machine of this module."""
        module = self._modules.get(short)
        if isinstance(module, FarModule):
            module.look_soon()

    def restart_for(self, short: str, why: str) -> None:
        """Restart on behalf of a guard. The enabled flag is unchanged, and a stopped module stays stopped."""
        module = self._modules.get(short)
        if module is not None and not self._leaving:
            module.machine.recycle(why)

    # --- queries

    def alive(self) -> list[RunningModule]:
        """Every module with a process that is not being stopped."""
        return self._with_a_process(ending=False)

    def ending(self) -> list[RunningModule]:
        """Those that are being stopped."""
        return self._with_a_process(ending=True)

    def _with_a_process(self, *, ending: bool) -> list[RunningModule]:
        return [
            RunningModule(short, module.status.pid, self._context.allowance(short))
            for short, module in self._modules.items()
            if module.status.pid is not None and (module.status.state is ModuleState.STOPPING) is ending
        ]

    def memory(self, short: str) -> MemoryHistory | None:
        """The module's memory during the last day in KiB; None if it never ran."""
        return self._guard.history(short)

    def size(self, short: str) -> int | None:
        """The module's memory in bytes when it was last measured; None if it never ran."""
        history = self._guard.history(short)
        return history.latest if history is not None else None

    def processor(self, short: str) -> ProcessorUse | None:
        """The module's processor time since the hub started; None if it never ran."""
        return self._guard.processor(short)

    def container(self) -> Container:
        """Memory in use and the limit."""
        return self._guard.container()

    def status(self, short: str) -> Status | None:
        """The status of one module; None if unknown."""
        module = self._modules.get(short)
        return None if module is None else module.status

    def all(self) -> list[Status]:
        """The status of every module."""
        return [module.status for module in self._modules.values()]

    def log(self, short: str) -> LogRing | None:
        """The module's latest output; None if unknown."""
        module = self._modules.get(short)
        return None if module is None else module.ring

    def mark(self, short: str, kind: str, text: str) -> None:
        """Mark a moment in a module's log, such as an upgrade."""
        module = self._modules.get(short)
        if module is not None:
            module.output.mark(kind, text)

    def owned_port(self, short: str) -> int | None:
        """The port on which its own processes listen; checked once per spawn before it is ready, None until then."""
        module = self._modules.get(short)
        return None if module is None else module.owned_port

    async def listens(self, short: str) -> list[int]:
        """All ports on which its own processes listen; looked up in a thread."""
        module = self._modules.get(short)
        return [] if module is None else await module.other_ports()

    # --- internals

    def _module(self, short: str) -> Module | FarModule:
        if short not in self._modules:
            there = self._context.far(short)
            self._modules[short] = (
                Module(short, self._context) if there is None else FarModule(short, self._context, there)
            )
        return self._modules[short]


def _leave(module: Module | FarModule) -> None:
    """The hub stops, or forgets the module: nothing of it stays here. On another machine it runs on."""
    if isinstance(module, FarModule):
        module.leave()
    else:
        module.machine.stop()
