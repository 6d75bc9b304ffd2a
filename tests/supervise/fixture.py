"""A supervisor on a fake reactor that records everything it reports."""

import math
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.supervise.context import SupervisorContext
from parachute_hub.supervise.limits import LogLimits, Timing
from parachute_hub.supervise.memory.cgroup import Cgroup
from parachute_hub.supervise.memory.module_groups import ModuleGroups
from parachute_hub.supervise.model import Allowance, CannotLaunch, Launch, ModuleState, Status
from parachute_hub.supervise.supervisor import Supervisor
from parachute_hub.system.timers import Rest
from tests.support.processes import FakeProcess, FakeReactor, FakeSystem, at_once

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Plan:
    """A launcher and the desired states: each module has a port, unless it `cannot` be launched."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self.cannot: dict[str, Exception] = {}
        self.on: dict[str, bool] = {}
        self.launches: list[str] = []
        self.limits: dict[str, Allowance] = {}
        self.argv: tuple[str, ...] = (sys.executable, "-c", "pass")
        self.cwd = "/"

    async def launch(self, short: str) -> Launch:
        self.launches.append(short)
        if short in self.cannot:
            raise self.cannot[short]
        port = self.ports.setdefault(short, 2000 + len(self.ports))
        return Launch(
            short=short,
            argv=self.argv,
            cwd=self.cwd,
            env={"PORT": str(port)},
            port=port,
            health="/health",
        )

    def wanted(self, short: str) -> bool:
        return self.on.get(short, True)

    async def want(self, short: str, on: bool) -> None:
        self.on[short] = on


class SupervisorCase(SynchronousTestCase):
    """`self.supervisor` on `self.reactor`; `self.told` has each status, `self.lines` each line of output."""

    timing = Timing()
    memory_limit: int | None = None
    groups: ModuleGroups | None = None

    rests_after = math.inf
    """In seconds without a request."""

    def setUp(self) -> None:
        self.in_thread: Any = at_once
        self.reactor = FakeReactor()
        self.system = FakeSystem(open_ports=self.reactor.listening)
        self.plan = Plan()
        self.told: list[Status] = []
        self.lines: list[str] = []
        self.under_way: dict[int, int] = {}
        self.folder = Path(self.mktemp())
        self.cgroup = Cgroup(self.folder / "cgroup", 2)
        self.supervisor = self.another()

    def another(self) -> Supervisor:
        """A supervisor in the same surroundings."""
        return Supervisor(
            SupervisorContext(
                rest=Rest(self.reactor, after=self.rests_after),
                reactor=self.reactor,
                launcher=self.plan,
                desired=self.plan,
                home=self.folder,
                emit=self.told.append,
                log_line=lambda short, line: self.lines.append(f"[{short}] {line}"),
                log_folder=self.folder / "logs",
                mask=lambda text: text.replace("hunter2", "***"),
                random=lambda: 0.5,
                timing=self.timing,
                limits=LogLimits(),
                now=self.reactor.seconds,
                wall=self.reactor.seconds,
                in_thread=lambda function, *args: self.in_thread(function, *args),
                signal_group=self.reactor.signal_group,
                system=self.system,
                counters=self.cgroup,
                under_way=lambda port: self.under_way.get(port, 0),
                allowance=lambda short: self.plan.limits.get(short, Allowance()),
                groups=self.groups,
                memory_limit=self.memory_limit,
                adopt=FakeReactor.adopt,
            )
        )

    def begin(self, asked: Any) -> "Deferred[Any]":
        """Start a command; advance the reactor, then read its result."""
        return Deferred.fromCoroutine(asked)

    def pass_time(self, seconds: float) -> None:
        """Advance time in small steps."""
        whole = round(seconds / 0.05)
        for _ in range(whole):
            self.reactor.advance(0.05)

    def turn(self) -> None:
        """Run what was scheduled for the next turns of the reactor."""
        for _ in range(5):
            self.reactor.advance(0)

    def ready(self, short: str = "vault") -> FakeProcess:
        """Start a module until it answers."""
        self.reactor.listening[self.plan.ports.setdefault(short, 2000 + len(self.plan.ports))] = OK
        started = self.begin(self.supervisor.start(short))
        self.turn()
        self.assertEqual(self.successResultOf(started).state, ModuleState.READY)
        return self.reactor.spawned[-1]

    def state(self, short: str = "vault") -> ModuleState:
        return self.status(short).state

    def status(self, short: str = "vault") -> Status:
        status = self.supervisor.status(short)
        assert status is not None
        return status


def problem(kind: str = "missing_package") -> CannotLaunch:
    """A reason not to launch."""
    return CannotLaunch(kind, "Install it again.", {"package": "@x/y"})
