"""How often the memory guard looks, and whom it kills."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.supervise.limits import MemoryLimits
from parachute_hub.supervise.memory.guard import MemoryGuard, RunningModule
from parachute_hub.supervise.memory.module_groups import ModuleGroups
from parachute_hub.supervise.model import Allowance
from parachute_hub.system.timers import Rest
from tests.support.processes import FakeSystem, at_once

MB = 1 << 20


@define
class Room:
    """A container of 512 MB."""

    in_use: int = 300 * MB
    looks: int = 0

    def limit(self) -> int:
        return 512 * MB

    def charged(self) -> int:
        self.looks += 1
        return self.in_use

    def used(self) -> int:
        return self.in_use

    def oom_kills(self) -> int:
        return 0


@define
class Modules:
    """One module with a process."""

    killed: list[str] = field(factory=list)
    restarted: list[str] = field(factory=list)

    def alive(self) -> list[RunningModule]:
        return [RunningModule("vault", 7, Allowance())]

    def ending(self) -> list[RunningModule]:
        return []

    def restart_for(self, short: str, why: str) -> None:
        self.restarted.append(short)

    def hold(self, short: str, reason: str) -> None: ...

    def kill(self, short: str) -> None:
        self.killed.append(short)


class Groups(ModuleGroups):
    """Cgroups of a kernel that takes its time."""

    def keep(self, short: str, allowance: Allowance) -> None:
        raise AssertionError("Nobody runs it.")


class LookTests(SynchronousTestCase):
    def test_nobody_is_blamed_for_what_was_measured_before_a_wait(self) -> None:
        """While the kernel is told of limits, a module may end, and the next process of it is innocent."""
        modules, meter, waiting = Modules(), FakeSystem(), Deferred[None]()
        meter.sizes["vault"] = 400 * MB

        def in_thread(function: Callable[..., Any], *args: Any) -> Any:
            return waiting if function == groups.keep else at_once(function, *args)

        groups = Groups(Path(), frozenset({"memory"}))
        guard = MemoryGuard(
            modules=modules,
            meter=meter,
            room=Room(480 * MB),
            limit=None,
            limits=MemoryLimits(),
            in_thread=in_thread,
            now=Clock().seconds,
            groups=groups,
        )
        looking = Deferred.fromCoroutine(guard.look())
        self.assertEqual(modules.restarted, ["vault"])
        meter.sizes["vault"] = 40 * MB
        waiting.callback(None)
        self.successResultOf(looking)
        self.assertEqual(modules.restarted, ["vault"])


class GlanceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock, self.room, self.modules, self.meter = Clock(), Room(), Modules(), FakeSystem()
        self.meter.sizes["vault"] = 40 * MB
        self.guard = MemoryGuard(
            modules=self.modules,
            meter=self.meter,
            room=self.room,
            limit=None,
            limits=MemoryLimits(),
            in_thread=at_once,
            now=self.clock.seconds,
        )
        self.guard.start(self.clock, Rest(self.clock))

    def looks(self, seconds: float, *, growth: int = 0) -> int:
        """Glances in this time, while the vault grows by so many bytes a second."""
        before = self.room.looks
        for _ in range(round(seconds * 20)):
            self.clock.advance(0.05)
            self.room.in_use += growth // 20
            self.meter.sizes["vault"] += growth // 20
        return self.room.looks - before

    def test_it_glances_often_while_modules_work(self) -> None:
        self.looks(2)
        self.assertLessEqual(self.looks(10), 11)
        self.guard.attend()
        self.assertGreater(self.looks(4), 30)
        self.looks(4)
        self.assertLessEqual(self.looks(10), 11)
        self.looks(2, growth=4 * MB)
        self.assertGreater(self.looks(4), 30)
        self.looks(8)
        self.room.in_use = 400 * MB
        self.looks(8)
        self.assertGreater(self.looks(4), 30)
        self.guard.stop()
        self.guard.attend()
        self.assertEqual((self.looks(10), self.clock.getDelayedCalls()), (0, []))

    def test_pauses_are_longer_where_much_is_free(self) -> None:
        """A module that then takes 200 MB a second is still killed in time."""
        for in_use, most in ((300, 11), (100, 6)):
            self.room.in_use, self.meter.sizes["vault"] = in_use * MB, 40 * MB
            self.looks(20)
            self.assertLessEqual(self.looks(10), most)
        self.modules.killed.clear()
        while not self.modules.killed and self.room.in_use < self.room.limit():
            self.looks(0.05, growth=190 * MB)
        self.assertEqual(self.modules.killed, ["vault"])

    def test_a_module_that_grows_slowly_in_a_rest_is_restarted_in_time(self) -> None:
        """As soon as the limit for that is passed, not at the next of the rare measurements."""
        self.looks(20)
        while not self.modules.restarted and self.room.in_use < self.room.limit():
            self.looks(0.05, growth=10 * MB)
        self.assertEqual((self.modules.restarted, self.modules.killed), (["vault"], []))
        self.assertLess(self.room.in_use, (0.9 * 512 + 25) * MB)

    def test_minutes_are_minutes_in_a_rest_too(self) -> None:
        """Measurements are rarer then, and the page draws an hour of them."""
        self.looks(1200)
        history = self.guard.history("vault")
        assert history is not None
        self.assertIn(len(history.minutes), (19, 20))
        self.assertIn(len(history.recent), range(585, 605))
        self.assertEqual(history.slope(15, 2.0), 0.0)

    def test_a_module_that_fills_the_container_is_killed_before_it_is_full(self) -> None:
        """After a request, and out of the blue."""
        for attended, growth in ((True, 400 * MB), (False, 120 * MB)):
            self.room.in_use, self.meter.sizes["vault"] = 300 * MB, 40 * MB
            self.modules.killed.clear()
            self.looks(20)
            if attended:
                self.guard.attend()
            while not self.modules.killed and self.room.in_use < self.room.limit():
                self.looks(0.05, growth=growth)
            self.assertEqual(self.modules.killed, ["vault"], growth)
        self.guard.stop()
