"""The supervisor: every module's life, one machine each."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from parachute_hub.supervise.context import Desired, Ground, InThread, Launcher, System
from parachute_hub.supervise.limits import LogLimits, MemoryLimits, Timing
from parachute_hub.supervise.memory.cgroup import Cgroup
from parachute_hub.supervise.memory.guard import MemoryGuard, Running
from parachute_hub.supervise.memory.policy import Container, History
from parachute_hub.supervise.model import State, Status
from parachute_hub.supervise.module import Module
from parachute_hub.supervise.output.log_ring import LogRing
from parachute_hub.supervise.process.command_line import find_tools
from parachute_hub.supervise.process.orphans import sweep
from parachute_hub.supervise.process.process_tags import Whose, home_hash
from parachute_hub.supervise.process.processes import Processes

# All made at the start: when processes run out, a fork bomb is ended with these.
_THREADS = 4
_TIMING = Timing()
_LIMITS = LogLimits()
_MEMORY = MemoryLimits()


class Supervisor(Service):
    """Runs modules, keeps them running, and stops them all with the hub.

    `home` is the hub's home; it marks our processes. `emit` is told each new status, `log_line` each line of output
    (`short`, text), already masked. `log_folder` takes two files a module. `random` gives 0..1. `now` is monotonic
    seconds, `wall` seconds since the epoch. `in_thread` runs what would block; without it, threads of our own do.
    `memory_limit` is the operator's word, in bytes, for what all of us may take together. `under_way` counts the
    requests that a port has been sent and has not answered; without it, nobody waits for them.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        reactor: Any,
        launcher: Launcher,
        desired: Desired,
        home: Path,
        emit: Callable[[Status], None],
        log_line: Callable[[str, str], None],
        log_folder: Path,
        mask: Callable[[str], str],
        random: Callable[[], float],
        timing: Timing = _TIMING,
        limits: LogLimits = _LIMITS,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        in_thread: InThread | None = None,
        signal_group: Callable[[int, int], None] = os.killpg,
        system: System | None = None,
        cgroup: Cgroup | None = None,
        memory_limit: int | None = None,
        memory: MemoryLimits = _MEMORY,
        under_way: Callable[[int], int] = lambda port: 0,
    ) -> None:
        cgroup = cgroup or Cgroup.find()
        system = system or Processes()
        self._desired = desired
        self._pool: ThreadPool | None = None
        self._modules: dict[str, Module] = {}
        self._leaving = False
        self._ground = Ground(
            reactor=reactor,
            launcher=launcher,
            system=system,
            oom=cgroup,
            under_way=under_way,
            in_thread=in_thread or cast(InThread, self._in_own_thread),
            signal_group=signal_group,
            tools=find_tools(),
            home=home_hash(home),
            life=f"{os.getpid()}-{wall():.3f}",
            log_folder=log_folder,
            timing=timing,
            limits=limits,
            emit=emit,
            log_line=log_line,
            mask=mask,
            random=random,
            now=now,
            wall=wall,
        )
        self._guard = MemoryGuard(
            modules=self,
            meter=system,
            room=cgroup,
            limit=memory_limit,
            limits=memory,
            in_thread=self._ground.in_thread,
            now=now,
        )

    # --- the hub's life

    def startService(self) -> None:
        """Begin to look after memory; modules start with `boot`."""
        super().startService()
        self._guard.start(self._ground.reactor)

    def boot(self, shorts: Iterable[str]) -> None:
        """Start every wanted one of `shorts`, none waiting for another. Never raises."""
        for short in shorts:
            self._module(short)
        booting = Deferred.fromCoroutine(self._boot())
        booting.addErrback(lambda failure: self._log.failure("Modules could not be started", failure))

    async def _boot(self) -> None:
        ground = self._ground
        try:
            left = await sweep(
                ground.system,
                Whose(ground.home, other_than=ground.life),
                grace=ground.timing.sweep,
                clock=ground.reactor,
                in_thread=ground.in_thread,
            )
            if left:
                self._log.info("Ended {count} processes that an earlier hub left behind", count=len(left))
        except Exception:
            self._log.failure("Could not look for processes of an earlier hub")
        for place, module in enumerate(list(self._modules.values())):
            delay = place // ground.timing.boot_batch * ground.timing.boot_step
            ground.reactor.callLater(delay, self._boot_one, module)

    def _boot_one(self, module: Module) -> None:
        try:
            untouched = module.status.state is State.STOPPED
            if untouched and not self._leaving and self._desired.wanted(module.short):
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
        await self._at_most(everyone, self._ground.timing.shutdown)
        for module in modules:
            module.close()

    async def _at_most(self, everyone: "Deferred[Any]", seconds: float) -> None:
        clock = self._ground.reactor
        budget = clock.callLater(seconds, self._kill_all)
        # Even a killed process may hang in the kernel; the hub leaves all the same.
        everyone.addTimeout(seconds + self._ground.timing.group + self._ground.timing.drain + 1.0, clock)
        everyone.addErrback(lambda failure: self._log.warn("Some modules did not end: {why}", why=failure.value))
        await everyone
        if budget.active():
            budget.cancel()

    def _kill_all(self) -> None:
        for module in self._modules.values():
            module.kill()

    # --- commands

    async def start(self, short: str) -> Status:
        """Want it on, and start it now. The status once it answers, is late, or has failed."""
        module = self._module(short)
        if not self._leaving:
            module.machine.start()
        self._desired.want(short, True)
        return await module.settled()

    async def stop(self, short: str) -> Status:
        """Want it off, and stop it. The status when its processes are gone."""
        module = self._module(short)
        module.machine.stop()
        self._desired.want(short, False)
        return await module.settled()

    async def restart(self, short: str, why: str = "It is being restarted.") -> Status:
        """Want it on, and start it anew with a fresh launch. `why` is a sentence. The status as for `start`."""
        module = self._module(short)
        if not self._leaving:
            module.machine.restart(why)
        self._desired.want(short, True)
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
        if self._desired.wanted(short):
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
            self._modules[short] = Module(short, self._ground)
        return self._modules[short]

    def _in_own_thread(self, function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
        if self._pool is None:
            self._pool = ThreadPool(_THREADS, _THREADS, "supervise")
            self._pool.start()
            # After the last service: modules are stopped with its help, and its threads would outlive the reactor.
            self._ground.reactor.addSystemEventTrigger("after", "shutdown", self._pool.stop)
        return deferToThreadPool(self._ground.reactor, self._pool, function, *args)
