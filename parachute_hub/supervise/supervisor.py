"""The supervisor: every module's life, one machine each."""

from collections.abc import Iterable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from parachute_hub.supervise.context import SupervisorContext
from parachute_hub.supervise.memory.guard import MemoryGuard, Running
from parachute_hub.supervise.memory.policy import Container, History
from parachute_hub.supervise.model import State, Status
from parachute_hub.supervise.module import Module
from parachute_hub.supervise.output.log_ring import LogRing
from parachute_hub.supervise.process.orphans import sweep
from parachute_hub.supervise.process.process_tags import Whose


class Supervisor(Service):
    """Runs modules, keeps them running, and stops them all with the hub."""

    _log = Logger()

    def __init__(self, context: SupervisorContext) -> None:
        self._context = context
        self._modules: dict[str, Module] = {}
        self._leaving = False
        self._guard = MemoryGuard(
            modules=self,
            meter=context.system,
            room=context.counters,
            limit=context.memory_limit,
            limits=context.memory,
            in_thread=context.in_thread,
            now=context.now,
        )

    # --- the hub's life

    def startService(self) -> None:
        """Begin to look after memory; modules start with `boot`."""
        super().startService()
        self._guard.start(self._context.reactor)

    def boot(self, shorts: Iterable[str]) -> None:
        """Start every wanted one of `shorts`, none waiting for another. Never raises."""
        for short in shorts:
            self._module(short)
        booting = Deferred.fromCoroutine(self._boot())
        booting.addErrback(lambda failure: self._log.failure("Modules could not be started", failure))

    async def _boot(self) -> None:
        context = self._context
        try:
            left = await sweep(
                context.system,
                Whose(context.home_id, other_than=context.life),
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

    def _boot_one(self, module: Module) -> None:
        try:
            untouched = module.status.state is State.STOPPED
            if untouched and not self._leaving and self._context.desired.wanted(module.short):
                module.machine.start()
        except Exception:
            self._log.failure("{short} could not be started", short=module.short)

    def stopService(self) -> "Deferred[None]":
        """Stop all modules together, under one budget; whatever is left after it is killed."""
        super().stopService()
        self._leaving = True
        self._guard.stop()
        return Deferred.fromCoroutine(self._leave())

    async def _leave(self) -> None:
        modules = list(self._modules.values())
        for module in modules:
            module.machine.stop()
        everyone = DeferredList([Deferred.fromCoroutine(module.settled()) for module in modules])
        await self._at_most(everyone, self._context.timing.shutdown)
        for module in modules:
            module.close()

    async def _at_most(self, everyone: "Deferred[Any]", seconds: float) -> None:
        clock = self._context.reactor
        budget = clock.callLater(seconds, self._kill_all)
        # Even a killed process may hang in the kernel; the hub leaves all the same.
        everyone.addTimeout(seconds + self._context.timing.group + self._context.timing.drain + 1.0, clock)
        everyone.addErrback(lambda failure: self._log.warn("Some modules did not end: {why}", why=failure.value))
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
        self._context.desired.want(short, True)
        return await module.settled()

    async def stop(self, short: str) -> Status:
        """Disable and stop. Resolves with the status when its processes are gone."""
        module = self._module(short)
        module.machine.stop()
        self._context.desired.want(short, False)
        return await module.settled()

    async def restart(self, short: str, why: str = "It is being restarted.") -> Status:
        """Enable and restart with a fresh launch. `why` is a sentence. Resolves as `start` does."""
        module = self._module(short)
        if not self._leaving:
            module.machine.restart(why)
        self._context.desired.want(short, True)
        return await module.settled()

    async def remove(self, short: str) -> None:
        """Stop it and forget it. Its files stay."""
        module = self._modules.get(short)
        if module is None:
            return
        module.machine.stop()
        await module.settled()
        # One of the same name may be started at once: what is left of this one must not be ended then.
        await module.cleared()
        module.close()
        self._modules.pop(short, None)

    def hold(self, short: str, reason: str) -> None:
        """Do not run it until it is released or started; the wish for on stays. `reason` is a sentence."""
        self._module(short).machine.hold(reason)

    def release(self, short: str) -> None:
        """What held it is gone: it runs again if it is wanted."""
        module = self._modules.get(short)
        if module is None:
            return
        if self._context.desired.wanted(short):
            module.machine.release()
        elif module.status.state is State.HELD:
            module.machine.stop()

    def restart_for(self, short: str, why: str) -> None:
        """A guard wants it restarted; the wish for on or off is not touched, and nothing is started that is off."""
        module = self._modules.get(short)
        if module is not None and not self._leaving:
            module.machine.recycle(why)

    # --- questions

    def alive(self) -> list[Running]:
        """Every module that has a process now."""
        return [
            Running(short, module.status.pid, module.launch.memory_limit if module.launch else None)
            for short, module in self._modules.items()
            if module.status.pid is not None and module.status.state is not State.STOPPING
        ]

    def memory(self, short: str) -> History | None:
        """What it took during the last day, in KiB; None if it never ran."""
        return self._guard.history(short)

    def container(self) -> Container:
        """What is in use of the container's memory."""
        return self._guard.container()

    def status(self, short: str) -> Status | None:
        """What is known of one module; None if it was never heard of."""
        module = self._modules.get(short)
        return None if module is None else module.status

    def all(self) -> list[Status]:
        """What is known of each module."""
        return [module.status for module in self._modules.values()]

    def log(self, short: str) -> LogRing | None:
        """Its latest output; None if it was never heard of."""
        module = self._modules.get(short)
        return None if module is None else module.ring

    def owned_port(self, short: str) -> int | None:
        """Where its own processes listen. Checked once a spawn, before it counts as ready; None until then."""
        module = self._modules.get(short)
        return None if module is None else module.owned_port

    async def listens(self, short: str) -> list[int]:
        """Every port on which its own processes listen now; looked up in a thread."""
        module = self._modules.get(short)
        return [] if module is None else await module.other_ports()

    # --- inside

    def _module(self, short: str) -> Module:
        if short not in self._modules:
            self._modules[short] = Module(short, self._context)
        return self._modules[short]
