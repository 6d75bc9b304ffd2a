"""When the hub makes way for the version that is installed, and when it does not."""

import os
import signal
import subprocess
import sys
from typing import NoReturn

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.app import restart_in_place
from parachute_hub.app.handover import Left
from parachute_hub.app.proving import NotProven, Proven
from parachute_hub.app.restart_in_place import DRAIN_SECONDS, HOLD_SECONDS, RestartInPlace
from parachute_hub.settings import fold
from parachute_hub.site.errors import Refused


class Gone(BaseException):
    """The process is another one."""


@define
class FakeHub:
    """Clients and operations."""

    clock: Clock
    busy_clients: int = 0
    at_work: str | None = None
    held: list[tuple[float, bool]] = field(factory=list)
    ended: list[str] = field(factory=list)

    @property
    def busy(self) -> int:
        """As the front."""
        return self.busy_clients

    def hold(self, held: bool) -> None:
        self.held.append((self.clock.seconds(), held))

    def end_streams(self) -> None:
        self.ended.append("web sockets")


@define
class FakeComposed:
    hub: FakeHub

    def operation(self) -> str | None:
        return self.hub.at_work

    def busy(self) -> str | None:
        return self.hub.at_work

    def end_streams(self) -> None:
        self.hub.ended.append("events")

    def hand_over(self) -> Left:
        return Left(life="a", gateway=None, modules=())


class RestartTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.hub = FakeHub(self.clock)
        self.left: list[str] = []
        self.leaving = False
        self.proof: Deferred[Proven] = Deferred()
        self.patch(restart_in_place, "keep_signals", lambda: None)
        self.patch(os, "_exit", self.exits)
        self.restart = self.made({})

    def made(self, environ: dict[str, str]) -> RestartInPlace:
        made = RestartInPlace(
            reactor=self.clock,
            front=self.hub,
            settings=fold({}, environ),
            leave=self.leave,
            is_leaving=lambda: self.leaving,
            prove=lambda: self.proof,
        )
        made.composed = FakeComposed(self.hub)
        return made

    def leave(self, version: str) -> NoReturn:
        self.left.append(version)
        raise Gone

    def exits(self, code: int) -> None:
        """Nothing comes after an exec."""

    def begin(self) -> "Deferred[str]":
        return Deferred.fromCoroutine(self.restart.begin())

    def begun(self) -> None:
        asked = self.begin()
        self.proof.callback(Proven("9.1"))
        self.assertEqual(self.successResultOf(asked), "9.1")

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.clock.advance(0.01)

    def done(self) -> None:
        """A failing leave is told."""
        self.assertEqual(len(self.flushLoggedErrors(Gone)), 1)

    def refused(self, error: str) -> str:
        refusal = self.failureResultOf(self.begin(), Refused).value
        self.assertEqual((refusal.status, refusal.error), (409, error))
        return str(refusal.description)

    def test_a_quiet_hub_makes_way_at_once(self) -> None:
        """After the answer to whoever asked. Streams end in the last moment."""
        self.begun()
        self.assertEqual((self.left, self.hub.ended, self.hub.held), ([], [], []))
        self.pass_time(0.5)
        self.assertEqual((self.left, self.hub.ended), (["9.1"], ["events", "web sockets"]))
        self.done()

    def test_a_version_that_would_not_start_changes_nothing(self) -> None:
        asked = self.begin()
        self.proof.errback(NotProven("--listen must be a port."))
        refusal = self.failureResultOf(asked, Refused).value
        self.assertEqual((refusal.status, refusal.error), (409, "check_failed"))
        self.assertIn("--listen must be a port.", refusal.description)
        self.pass_time(60)
        self.assertEqual((self.left, self.hub.held, self.restart.state), ([], [], "idle"))
        self.assertEqual(self.restart.problem, refusal.description)
        self.proof = Deferred()
        self.begun()

    def test_requests_under_way_are_answered_first(self) -> None:
        """Others wait for 2 s at a time, and are served in between: one of them may be what the first waits for."""
        self.hub.busy_clients = 1
        self.begun()
        self.pass_time(HOLD_SECONDS + 0.3)
        self.assertEqual([held for _, held in self.hub.held], [True, False])
        self.pass_time(0.6)
        self.assertEqual([held for _, held in self.hub.held], [True, False, True])
        self.hub.busy_clients = 0
        self.pass_time(0.1)
        self.assertEqual((self.left, len(self.hub.held)), (["9.1"], 3))
        self.done()

    def test_requests_without_end_are_cut_off(self) -> None:
        self.hub.busy_clients = 1
        self.begun()
        self.pass_time(DRAIN_SECONDS - 1)
        self.assertEqual(self.left, [])
        self.pass_time(30)
        self.assertEqual(self.left, ["9.1"])
        held = sum(end - begin for (begin, _), (end, _) in zip(self.hub.held[::2], self.hub.held[1::2], strict=False))
        self.assertLess(held, 7 * HOLD_SECONDS, "clients waited all the time")
        self.done()

    def test_an_operation_is_not_interrupted(self) -> None:
        """One that runs prevents it; one that begins meanwhile is waited for, and prevents it if it is long."""
        self.hub.at_work = "install of vault is under way."
        self.assertIn("install of vault is under way.", self.refused("operation_in_progress"))
        self.hub.at_work = None
        self.begun()
        self.hub.at_work = "backup of hub is under way."
        self.pass_time(10)
        self.assertEqual((self.left, self.hub.held), ([], []))
        self.pass_time(60)
        self.assertEqual((self.left, self.restart.state), ([], "idle"))
        self.assertIn("backup of hub is under way.", self.restart.problem)

    def test_an_operation_that_begins_while_clients_wait(self) -> None:
        self.hub.busy_clients = 1
        self.begun()
        self.pass_time(0.5)
        self.hub.busy_clients, self.hub.at_work = 0, "install of vault is under way."
        self.pass_time(1)
        self.assertEqual(([held for _, held in self.hub.held], self.left), ([True, False], []))
        self.hub.at_work = None
        self.pass_time(10)
        self.assertEqual(self.left, ["9.1"])
        self.done()

    def test_an_error_lets_clients_in_again(self) -> None:
        self.hub.busy_clients = 1
        self.begun()
        self.pass_time(0.5)
        self.patch(FakeHub, "busy", property(lambda _: 1 / 0))
        self.pass_time(1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((self.hub.held[-1][1], self.restart.state, self.left), (False, "idle", []))
        self.assertIn("error", self.restart.problem)

    def test_only_one_at_a_time(self) -> None:
        self.begin()
        self.refused("operation_in_progress")
        self.proof.callback(Proven("9.1"))
        self.refused("operation_in_progress")

    def test_a_hub_that_is_stopped_meanwhile_stops(self) -> None:
        self.hub.busy_clients = 1
        self.begun()
        self.pass_time(0.5)
        self.leaving, self.hub.busy_clients = True, 0
        self.pass_time(60)
        self.assertEqual((self.left, self.hub.held[-1][1]), ([], False))

    def test_a_hub_that_is_stopped_while_streams_end_stops(self) -> None:
        self.begun()
        self.patch(FakeHub, "end_streams", lambda hub: setattr(hub, "busy_clients", 1))
        self.pass_time(0.3)
        self.leaving = True
        self.pass_time(2)
        self.assertEqual(self.left, [])

    def test_where_a_platform_starts_the_new_version(self) -> None:
        for variables in ({"RENDER": "true"}, {"FLY_APP_NAME": "hub"}):
            self.restart = self.made(variables)
            self.refused("not_here")

    def test_before_the_hub_is_up(self) -> None:
        self.restart.composed = None
        self.refused("not_now")


class SignalTests(SynchronousTestCase):
    def test_one_that_another_thread_gets_waits_for_the_hub_that_comes(self) -> None:
        """Threads of the hub that leaves do not block it."""
        program = (
            "import os, signal, threading, time\n"
            "from parachute_hub.app.restart_in_place import keep_signals\n"
            "threading.Thread(target=time.sleep, args=(30,), daemon=True).start()\n"
            "keep_signals()\n"
            "os.kill(os.getpid(), signal.SIGTERM)\n"
            "time.sleep(0.2)\n"  # Until the other thread has it.
            "os.execv('/bin/grep', ['grep', '-E', '^(Sig|Shd)Pnd', '/proc/self/status'])\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
        self.assertIn(f"{1 << (signal.SIGTERM - 1):016x}", done.stdout.split())
