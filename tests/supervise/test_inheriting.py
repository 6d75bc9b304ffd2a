"""A hub that another one takes the place of: processes stay, and so does what was known of them."""

import json
import os
from collections.abc import Sequence

from attrs import evolve

from parachute_hub.supervise.inheritance import InheritedModule
from parachute_hub.supervise.model import ModuleState
from parachute_hub.supervise.supervisor import Supervisor
from parachute_hub.system import strict_records
from tests.supervise.fixture import OK, SupervisorCase


class InheritingTests(SupervisorCase):
    def handed_over(self) -> list[InheritedModule]:
        """What the supervisor leaves, as the next process reads it."""
        left = json.loads(json.dumps([strict_records.plain(one) for one in self.supervisor.hand_over()]))
        return [strict_records.record(InheritedModule, one) for one in left]

    def successor(self, left: Sequence[InheritedModule], shorts: Sequence[str] = ("vault",)) -> Supervisor:
        self.supervisor = self.another()
        self.supervisor.boot(shorts, left)
        self.turn()
        self.reactor.advance(1)
        return self.supervisor

    def test_a_ready_module_stays_ready_with_its_process(self) -> None:
        process = self.ready()
        before = self.status()
        self.successor(self.handed_over())
        self.assertEqual(self.status(), before)
        self.assertEqual((self.reactor.spawned, process.signals), ([process], []))
        self.assertEqual(self.supervisor.owned_port("vault"), self.plan.ports["vault"])

    def test_its_output_goes_on_in_the_middle_of_a_line(self) -> None:
        process = self.ready()
        process.say(b"one\ntw")
        self.successor(self.handed_over())
        process.say(b"o\n")
        self.assertEqual([line for line in self.lines if "(hub)" not in line][-2:], ["[vault] one", "[vault] two"])

    def test_it_is_stopped_and_started_like_any_other(self) -> None:
        process = self.ready()
        self.successor(self.handed_over())
        stopped = self.begin(self.supervisor.stop("vault"))
        self.pass_time(1)
        self.assertEqual(self.successResultOf(stopped).state, ModuleState.STOPPED)
        self.assertTrue(process.exited)

    def test_one_that_hangs_afterwards_is_ended(self) -> None:
        """Like any that was ready before."""
        process = self.ready()
        self.successor(self.handed_over())
        self.reactor.listening[self.plan.ports["vault"]] = None
        self.pass_time(45)
        self.assertTrue(process.exited)

    def test_one_that_was_starting_becomes_ready(self) -> None:
        started = self.begin(self.supervisor.start("vault"))
        self.turn()
        self.assertEqual(self.state(), ModuleState.STARTING)
        self.successor(self.handed_over())
        self.assertEqual(self.state(), ModuleState.STARTING)
        self.reactor.listening[self.plan.ports["vault"]] = OK
        self.pass_time(1)
        self.assertEqual((self.state(), len(self.reactor.spawned)), (ModuleState.READY, 1))
        self.assertNoResult(started)

    def test_one_that_is_unwell_stays_so(self) -> None:
        self.ready()
        self.reactor.listening[self.plan.ports["vault"]] = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
        self.pass_time(11)
        before = self.status()
        self.assertEqual(before.state, ModuleState.DEGRADED)
        self.successor(self.handed_over())
        self.assertEqual((self.state(), self.status().reason), (ModuleState.DEGRADED, before.reason))

    def test_crashes_are_remembered(self) -> None:
        """A module that crashed too often gets one try, not five new ones."""
        self.supervisor.boot(["vault"])
        for _ in range(200):
            self.turn()
            for process in self.reactor.spawned:
                if not process.exited:
                    process.exit(1)
            self.pass_time(0.5)
        self.assertEqual(self.state(), ModuleState.PARKED)
        last, spawned = self.status().last_exit, len(self.reactor.spawned)
        self.successor(self.handed_over())
        self.assertEqual(len(self.reactor.spawned), spawned + 1)
        self.assertEqual((self.status().last_exit, self.status().restarts), (last, 5))
        self.reactor.spawned[-1].exit(1)
        self.turn()
        self.pass_time(0.2)
        self.assertEqual(self.state(), ModuleState.PARKED)

    def test_a_process_that_ended_meanwhile_is_started_again(self) -> None:
        process = self.ready()
        left = self.handed_over()
        descriptor, write = os.pipe()
        self.addCleanup(os.close, write)
        process.exited = True
        assert left[0].process is not None
        self.successor([evolve(left[0], process=evolve(left[0].process, descriptor=descriptor))])
        self.assertEqual((self.state(), len(self.reactor.spawned)), (ModuleState.READY, 2))
        with self.assertRaises(BrokenPipeError):
            os.write(write, b"x")

    def test_one_that_is_not_wanted_any_more_is_ended(self) -> None:
        process = self.ready()
        left = self.handed_over()
        self.plan.on["vault"] = False
        self.successor(left, ())
        self.assertTrue(process.exited)
        self.assertEqual(self.state(), ModuleState.STOPPED)

    def test_one_that_sleeps_is_not_woken(self) -> None:
        """Even if it has crashed before."""
        self.ready().exit(1)
        self.pass_time(1)
        self.reactor.advance(1)
        self.assertEqual((self.state(), self.status().restarts), (ModuleState.READY, 1))
        self.begin(self.supervisor.sleep("vault", "Nobody uses it."))
        self.pass_time(1)
        self.assertEqual(self.state(), ModuleState.ASLEEP)
        self.assertEqual(self.handed_over(), [])

    def test_what_never_ran_is_not_handed_over(self) -> None:
        self.plan.on["notes"] = False
        self.supervisor.boot(["notes"])
        self.turn()
        self.assertEqual(self.handed_over(), [])

    def test_a_module_that_starts_or_stops_is_waited_for(self) -> None:
        process = self.ready()
        self.assertEqual(self.supervisor.settles(), [])
        process.deaf = True
        self.begin(self.supervisor.stop("vault"))
        self.assertEqual(self.supervisor.settles(), ["vault"])
        self.pass_time(10)
        self.assertEqual(self.supervisor.settles(), [])

    def test_the_one_that_leaves_does_nothing_more(self) -> None:
        """Its timers and checks are over, so that an output or end is for the other one alone."""
        process = self.ready()
        leaving = self.supervisor
        self.successor(self.handed_over())
        told = len(self.told)
        process.say(b"hello\n")
        process.exit(1)
        self.assertEqual({one.pid for one in self.told[told:]}, {None})
        status = leaving.status("vault")
        assert status is not None
        self.assertEqual(status.state, ModuleState.READY)
