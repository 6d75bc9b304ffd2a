"""Modules that sleep while nobody uses them."""

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.supervise.memory.policy import Container
from parachute_hub.supervise.model import ModuleState, Status
from parachute_hub.supervise.sleeping import PERIOD, NoRoom, Sleeper, Usage, to_end
from parachute_hub.system.timers import Rest

MB = 1 << 20


class RoomTests(SynchronousTestCase):
    def test_who_makes_room(self) -> None:
        idle = [Usage("a", 30.0, 45), Usage("b", 90.0, 45), Usage("c", 0.2, 45)]
        for used, expected in ((100, []), (140, ["b"]), (200, ["b", "a"]), (230, None)):
            self.assertEqual(to_end(idle, used=used, need=45, limit=200), expected, used)

    def test_one_that_was_just_used_makes_no_room(self) -> None:
        self.assertIsNone(to_end([Usage("c", 0.2, 100)], used=190, need=45, limit=200))


class FakeModules:
    """Modules of 45 MB in a container of `limit` bytes, next to 75 MB of the hub. `measured` is what is in use, for a
    hub that does not ask the kernel each time.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.measured: int | None = None
        self.calls: list[tuple[str, str]] = []
        self.statuses: dict[str, Status] = {}
        self.starting: Deferred[None] | None = None

    def put(self, short: str, state: ModuleState, *, start_follows: bool = False) -> Status:
        pid = None if state in (ModuleState.ASLEEP, ModuleState.STOPPED) else 7
        self.statuses[short] = Status(
            short=short,
            state=state,
            reason="Why.",
            since=0.0,
            wakes=state is ModuleState.ASLEEP,
            pid=pid,
            start_follows=start_follows,
        )
        return self.statuses[short]

    def all(self) -> list[Status]:
        return list(self.statuses.values())

    def status(self, short: str) -> Status | None:
        return self.statuses.get(short)

    def owned_port(self, short: str) -> int | None:
        up = self.statuses[short].state is ModuleState.READY
        return 2000 + list(self.statuses).index(short) if up else None

    def container(self) -> Container:
        if self.measured is not None:
            return Container(self.measured, self.limit, 75 * MB)
        up = sum(status.state in (ModuleState.READY, ModuleState.STOPPING) for status in self.all())
        return Container((75 + 45 * up) * MB, self.limit, 75 * MB)

    def size(self, short: str) -> int | None:
        return 45 * MB

    async def sleep(self, short: str, why: str) -> Status:
        self.calls.append(("sleep", short))
        return self.put(short, ModuleState.ASLEEP)

    async def wake(self, short: str) -> Status:
        self.calls.append(("wake", short))
        if self.starting is not None:
            await self.starting
        return self.put(short, ModuleState.READY)


class SleeperTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.modules = FakeModules()
        self.requests: dict[str, int] = {}
        self.open: dict[int, int] = {}
        self.working: set[int] = set()
        self.claimed: set[str] = set()
        self.after: dict[str, float] = {"vault": 60.0, "notes": 60.0}
        self.sleeper = Sleeper(
            modules=self.modules,
            after=lambda short: self.after.get(short),
            requests=lambda short: self.requests.get(short, 0),
            under_way=lambda port: self.open.get(port, 0),
            busy=self.busy,
            claimed=lambda short: short in self.claimed,
            clock=self.clock,
        )
        for short in ("vault", "notes", "scribe"):
            self.modules.put(short, ModuleState.READY)
        loop = self.sleeper.start(Rest(self.clock))
        self.addCleanup(loop.stop)

    async def busy(self, port: int) -> bool:
        return port in self.working

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([PERIOD] * round(seconds / PERIOD))

    def asleep(self) -> list[str]:
        return [status.short for status in self.modules.all() if status.state is ModuleState.ASLEEP]

    def woken(self, short: str) -> "Deferred[None]":
        return Deferred.fromCoroutine(self.sleeper.wake(short))

    def test_only_those_that_may_and_that_nobody_uses(self) -> None:
        self.pass_time(30)
        self.requests["vault"] = 1
        self.pass_time(60)
        self.assertEqual(self.asleep(), ["notes"])
        self.pass_time(60)
        self.assertEqual(self.asleep(), ["vault", "notes"])
        self.assertNotIn(("sleep", "scribe"), self.modules.calls)

    def test_an_open_stream_or_work_keeps_it_awake(self) -> None:
        self.open[2000] = 1
        self.working.add(2001)
        self.pass_time(300)
        self.assertEqual(self.asleep(), [])
        del self.open[2000]
        self.working.clear()
        self.pass_time(70)
        self.assertEqual(self.asleep(), ["vault", "notes"])

    def test_one_that_was_stopped_meanwhile_is_left_alone(self) -> None:
        async def stopped_while_asked(port: int) -> bool:
            self.modules.put("vault", ModuleState.STOPPED)
            return False

        self.sleeper.busy = stopped_while_asked
        self.pass_time(70)
        self.assertNotIn(("sleep", "vault"), self.modules.calls)

    def test_requests_that_come_together_wait_for_one_start(self) -> None:
        self.modules.put("vault", ModuleState.ASLEEP)
        self.modules.starting = Deferred()
        first, second = self.woken("vault"), self.woken("vault")
        self.assertNoResult(first)
        self.modules.starting.callback(None)
        self.successResultOf(first)
        self.successResultOf(second)
        self.assertEqual(self.modules.calls, [("wake", "vault")])
        self.pass_time(30)
        self.assertEqual(self.asleep(), [])

    def test_the_least_recently_used_makes_room(self) -> None:
        """Those that may not sleep are never ended for others."""
        self.modules.limit = 256 * MB
        self.modules.put("more", ModuleState.ASLEEP)
        self.pass_time(10)
        self.requests["vault"] = 1
        self.pass_time(10)
        self.successResultOf(self.woken("more"))
        self.assertEqual(self.modules.calls, [("sleep", "notes"), ("wake", "more")])

    def test_one_that_was_just_used_is_waited_for(self) -> None:
        self.modules.limit = 256 * MB
        self.modules.put("more", ModuleState.ASLEEP)
        self.after = {"vault": 60.0}
        self.requests["vault"] = 1
        woken = self.woken("more")
        self.clock.pump([0.1] * 2)
        self.assertNoResult(woken)
        self.clock.pump([0.1] * 3)
        self.successResultOf(woken)
        self.assertEqual(self.modules.calls, [("sleep", "vault"), ("wake", "more")])

    def test_one_that_works_makes_no_room(self) -> None:
        """Whatever says so: it itself, or an operation of the hub."""
        self.modules.limit = 256 * MB
        self.modules.put("more", ModuleState.ASLEEP)
        self.pass_time(10)
        self.working.add(2000)
        self.claimed.add("notes")
        woken = self.woken("more")
        self.clock.pump([0.1] * 50)
        self.assertNoResult(woken)
        self.working.clear()
        self.clock.pump([0.1] * 10)
        self.successResultOf(woken)
        self.assertEqual(self.modules.calls, [("sleep", "vault"), ("wake", "more")])

    def test_one_that_starts_already_takes_no_room_from_others(self) -> None:
        self.modules.limit = 256 * MB
        self.modules.put("more", ModuleState.STARTING)
        self.pass_time(10)
        self.successResultOf(self.woken("more"))
        self.assertEqual(self.modules.calls, [("wake", "more")])

    def test_those_that_wake_together_need_room_for_all(self) -> None:
        self.modules.limit = 300 * MB
        for short in ("one", "two"):
            self.modules.put(short, ModuleState.ASLEEP)
        self.pass_time(10)
        self.modules.starting = Deferred()
        self.woken("one")
        self.woken("two")
        self.clock.pump([0.1] * 5)
        self.assertEqual(self.modules.calls, [("wake", "one"), ("sleep", "vault"), ("wake", "two")])

    def leaving(self, *, start_follows: bool = False) -> "Deferred[None]":
        """Another module is to be woken while vault is being stopped."""
        self.modules.limit = 256 * MB
        for short, state in (("more", ModuleState.ASLEEP), ("vault", ModuleState.READY), ("notes", ModuleState.READY)):
            self.modules.put(short, state)
        self.pass_time(10)
        self.modules.calls.clear()
        self.modules.put("vault", ModuleState.STOPPING, start_follows=start_follows)
        return self.woken("more")

    def test_what_is_ending_makes_room_for_it(self) -> None:
        """Also where the memory in use was measured before it ended."""
        for measured in (None, (75 + 3 * 45) * MB):
            for end in (ModuleState.ASLEEP, ModuleState.STOPPED):
                self.modules.measured = measured
                woken = self.leaving()
                self.clock.pump([0.1] * 3)
                self.assertEqual(self.modules.calls, [], "its memory is still in use")
                self.modules.put("vault", end)
                self.clock.advance(0.1)
                self.successResultOf(woken)
                self.assertEqual(self.modules.calls, [("wake", "more")])

    def test_what_does_not_end_soon_or_comes_back_makes_no_room(self) -> None:
        for start_follows, happens, seconds in (
            (False, None, 2.2),
            (True, None, 0.0),
            (False, ModuleState.STARTING, 0.3),
        ):
            woken = self.leaving(start_follows=start_follows)
            if happens is not None:
                self.assertEqual(self.modules.calls, [])
                self.modules.put("vault", happens)
                self.modules.measured = (75 + 3 * 45) * MB
            self.clock.pump([0.1] * round(seconds / 0.1))
            self.successResultOf(woken)
            self.assertEqual(self.modules.calls, [("sleep", "notes"), ("wake", "more")])
            self.modules.measured = None

    def test_what_ends_late_is_waited_for_where_nobody_else_may_sleep(self) -> None:
        self.after = {}
        for end in (True, False):
            woken = self.leaving()
            self.clock.pump([0.1] * 40)
            self.assertNoResult(woken)
            if end:
                self.modules.put("vault", ModuleState.STOPPED)
                self.clock.advance(0.1)
                self.successResultOf(woken)
            else:
                self.clock.pump([0.1] * 65)
                self.failureResultOf(woken, NoRoom)

    def test_one_that_is_used_all_the_time_makes_no_room(self) -> None:
        self.modules.limit = 256 * MB
        self.modules.put("more", ModuleState.ASLEEP)
        self.open = {2000: 1, 2001: 1}
        woken = self.woken("more")
        self.clock.pump([0.1] * 105)
        self.failureResultOf(woken, NoRoom)

    def test_without_anyone_to_make_room(self) -> None:
        self.modules.limit = 200 * MB
        self.after.clear()
        self.modules.put("more", ModuleState.ASLEEP)
        self.failureResultOf(self.woken("more"), NoRoom)
        self.assertEqual(self.sleeper.refused, {"more"})
        self.modules.put("more", ModuleState.READY)
        self.pass_time(PERIOD)
        self.assertEqual(self.sleeper.refused, set(), "a person started it")

    def reached(self, short: str, seconds: float) -> int | None:
        return self.successResultOf(Deferred.fromCoroutine(self.sleeper.reach(short, seconds)))

    def test_the_use_of_the_hub_itself_counts(self) -> None:
        """Such as a download of notes, which it asks the module for."""
        self.reached("vault", 900.0)
        self.pass_time(300)
        self.assertEqual(self.asleep(), ["notes"])
        self.pass_time(700)
        self.assertEqual(self.asleep(), ["vault", "notes"])

    def test_a_short_use_of_the_hub_makes_room_afterwards(self) -> None:
        """Such as reading the settings of each module."""
        self.modules.limit = 200 * MB
        self.modules.put("more", ModuleState.ASLEEP)
        for short in ("vault", "notes"):
            self.reached(short, 5.0)
        woken = self.woken("more")
        self.clock.pump([0.1] * 40)
        self.assertNoResult(woken)
        self.clock.pump([0.1] * 20)
        self.successResultOf(woken)

    def test_the_hub_itself_wakes_what_it_needs(self) -> None:
        self.modules.put("vault", ModuleState.ASLEEP)
        self.assertEqual(self.reached("vault", 5.0), 2000)
        self.modules.put("vault", ModuleState.STOPPED)
        self.assertIsNone(self.reached("vault", 5.0))
