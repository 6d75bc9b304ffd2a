"""Commands, memory guard, boot and logs of the supervisor, without processes."""

import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from parachute_hub.supervise.limits import Timing
from parachute_hub.supervise.model import Allowance, ModuleState
from tests.supervise.fixture import SupervisorCase, problem
from tests.support.processes import at_once


class RemoveTests(SupervisorCase):
    def test_a_module_is_forgotten_when_nothing_of_it_is_left(self) -> None:
        """A new one of the same name must not be ended by the cleanup of the old one."""
        process = self.ready()
        clearing: Deferred[list[int]] = Deferred()
        self.in_thread = lambda function, *args: clearing
        process.exit(by_signal=signal.SIGKILL)
        removed = self.begin(self.supervisor.remove("vault"))
        self.turn()
        self.assertNoResult(removed)
        self.assertIsNotNone(self.supervisor.status("vault"))
        clearing.callback([])
        self.turn()
        self.successResultOf(removed)
        self.assertIsNone(self.supervisor.status("vault"))


class StopTests(SupervisorCase):
    def test_stop_asks_then_kills(self) -> None:
        process = self.ready()
        process.deaf = True
        stopped = self.begin(self.supervisor.stop("vault"))
        self.pass_time(7.9)
        self.assertNoResult(stopped)
        self.pass_time(0.2)
        self.assertEqual(self.successResultOf(stopped).state, ModuleState.STOPPED)
        self.assertEqual(process.signals, [signal.SIGTERM, signal.SIGCONT, signal.SIGKILL])
        self.assertFalse(self.plan.on["vault"])
        self.pass_time(400)
        self.assertEqual(len(self.reactor.spawned), 1)

    def test_restart_waits_for_the_end_of_the_old_one(self) -> None:
        process = self.ready()
        process.deaf = True
        restarted = self.begin(self.supervisor.restart("vault"))
        self.pass_time(1)
        self.assertEqual(self.status().supervisor_status, "restarting")
        self.assertEqual(len(self.reactor.spawned), 1)
        process.exit()
        self.turn()
        self.assertEqual(self.successResultOf(restarted).state, ModuleState.READY)
        self.assertEqual(len(self.reactor.spawned), 2)

    def test_all_stop_together_within_the_budget(self) -> None:
        processes = [self.ready(short) for short in ("vault", "scribe", "notes")]
        for process in processes:
            process.deaf = True
        gone = self.supervisor.stopService()
        self.pass_time(8.1)
        self.successResultOf(gone)
        self.assertTrue(all(process.exited for process in processes))

    def test_a_second_stop_of_the_hub_is_harmless(self) -> None:
        self.ready().deaf = True
        first, second = self.supervisor.stopService(), self.supervisor.stopService()
        self.pass_time(8.2)
        self.successResultOf(first)
        self.successResultOf(second)

    def test_nothing_starts_while_leaving(self) -> None:
        self.ready()
        self.supervisor.stopService()
        again = self.begin(self.supervisor.start("vault"))
        self.turn()
        self.assertEqual(self.successResultOf(again).state, ModuleState.STOPPED)

    def test_stopping_the_hub_does_not_switch_modules_off(self) -> None:
        self.ready()
        self.supervisor.stopService()
        self.turn()
        self.assertTrue(self.plan.on["vault"])

    def test_a_removed_module_is_forgotten(self) -> None:
        self.ready()
        removed = self.begin(self.supervisor.remove("vault"))
        self.turn()
        self.successResultOf(removed)
        self.assertIsNone(self.supervisor.status("vault"))
        self.assertEqual(self.supervisor.all(), [])


class HoldTests(SupervisorCase):
    def test_a_hold_stops_and_a_release_starts_what_is_wanted(self) -> None:
        self.ready()
        self.supervisor.hold("vault", "The disk is full.")
        self.turn()
        self.assertEqual((self.state(), self.status().reason), (ModuleState.HELD, "The disk is full."))
        self.assertTrue(self.plan.on["vault"])
        self.supervisor.release("vault")
        self.turn()
        self.assertEqual(self.state(), ModuleState.READY)

    def test_a_release_does_not_start_what_is_off(self) -> None:
        self.plan.on["vault"] = False
        self.supervisor.hold("vault", "Safe mode.")
        self.supervisor.release("vault")
        self.turn()
        self.assertEqual(self.state(), ModuleState.STOPPED)


class BootTests(SupervisorCase):
    def test_all_wanted_ones_start_and_none_waits(self) -> None:
        self.plan.cannot["broken"] = problem()
        self.plan.on["off"] = False
        self.supervisor.boot(["broken", "off", "vault", "scribe"])
        self.turn()
        self.assertEqual(len(self.reactor.spawned), 2)
        self.assertEqual(self.state("off"), ModuleState.STOPPED)
        self.assertEqual(self.state("broken"), ModuleState.BACKOFF)

    def test_one_that_waits_for_its_turn_says_that_it_will_start(self) -> None:
        self.plan.on["off"] = False
        self.supervisor.boot(["off", *(f"m{number}" for number in range(12))])
        self.turn()
        coming = {short for short in ("off", "m1", "m11") if self.status(short).start_follows}
        self.assertEqual(coming, {"m11"})
        self.pass_time(1)
        self.assertFalse(self.status("m11").start_follows)

    def test_many_start_in_small_steps(self) -> None:
        """So that twenty modules on a small machine do not delay each other."""
        self.supervisor.boot([f"m{number}" for number in range(12)])
        self.turn()
        self.assertEqual(len(self.reactor.spawned), 4)
        self.pass_time(0.3)
        self.assertEqual(len(self.reactor.spawned), 12)

    def test_what_an_earlier_hub_left_is_ended_first(self) -> None:
        self.system.left = [99]
        self.supervisor.boot(["vault"])
        self.turn()
        tag_filter = self.system.swept[0]
        self.assertIsNone(tag_filter.short)
        self.pass_time(1)
        ours = self.reactor.spawned[0].env["PARACHUTE_SUPERVISED"]
        self.assertFalse(tag_filter.has(ours))
        self.assertTrue(tag_filter.has(f"{ours}1"))

    def test_a_held_one_stays_held(self) -> None:
        self.supervisor.hold("vault", "Safe mode.")
        self.supervisor.boot(["vault"])
        self.turn()
        self.assertEqual(self.state(), ModuleState.HELD)


class MemoryTests(SupervisorCase):
    def test_a_module_over_its_own_limit_is_restarted_then_held(self) -> None:
        self.plan.limits["vault"] = Allowance(memory=100 << 20)
        self.supervisor.startService()
        self.ready()
        self.system.sizes = {"vault": 150 << 20}
        self.pass_time(2.1)
        self.assertTrue(any("150 MB of memory and its limit is 100 MB" in status.reason for status in self.told))
        self.assertEqual(len(self.reactor.spawned), 2)
        self.pass_time(2)
        self.assertEqual(self.state(), ModuleState.HELD)
        history = self.supervisor.memory("vault")
        assert history is not None
        self.assertEqual(history.recent, [150 << 10] * 2)


class CrowdTests(SupervisorCase):
    def test_a_module_that_starts_programs_without_end_is_held(self) -> None:
        """Until a person starts it again; a module with many children is left alone."""
        self.supervisor.startService()
        self.ready()
        self.system.limiter = {"vault": 200}
        self.pass_time(2.1)
        self.assertEqual(self.state(), ModuleState.READY)
        self.system.limiter = {"vault": 300}
        self.pass_time(2.1)
        self.assertEqual(self.state(), ModuleState.HELD)
        status = self.supervisor.status("vault")
        assert status is not None
        self.assertIn("300 programs at once", status.reason)

    def test_it_gets_no_time_to_go_on(self) -> None:
        self.supervisor.startService()
        process = self.ready()
        process.deaf = True
        self.system.limiter = {"vault": 300}
        self.pass_time(2.1)
        self.assertIn(signal.SIGKILL, process.signals)


class SurgeTests(SupervisorCase):
    """A container of 512 MB, and a module that takes all of it within a second."""

    def setUp(self) -> None:
        super().setUp()
        (self.folder / "cgroup").mkdir(parents=True)
        self.uses(150)
        (self.folder / "cgroup" / "memory.max").write_text(str(512 << 20))
        self.supervisor.startService()
        self.module = self.ready()
        self.module.deaf = True
        self.system.sizes = {"vault": 60 << 20}
        self.pass_time(2.1)

    def uses(self, megabytes: int, files: int = 0) -> None:
        (self.folder / "cgroup" / "memory.current").write_text(str((megabytes + files) << 20))
        (self.folder / "cgroup" / "memory.stat").write_text(f"inactive_file {files << 20}\n")

    def is_killed_for_its_growth_and_starts_again(self, spared: tuple[int, ...] = ()) -> None:
        """It takes 70 MB a tenth of a second; until the last of it has only the `spared` signals."""
        for size in (220, 290, 360):
            self.assertEqual(self.module.signals, list(spared), size)
            self.system.sizes = {"vault": (size - 90) << 20}
            self.uses(size)
            self.pass_time(0.1)
        self.assertIn(signal.SIGKILL, self.module.signals)
        self.uses(150)
        self.system.sizes = {"vault": 60 << 20}
        self.pass_time(0.3)
        self.assertEqual((len(self.reactor.spawned), self.state()), (2, ModuleState.READY))

    def test_it_is_killed_before_the_kernel_has_to_look_for_memory(self) -> None:
        """Without the time that other stops give."""
        self.supervisor.attend()
        self.is_killed_for_its_growth_and_starts_again()
        self.assertTrue(any("210 MB of memory at once" in status.reason for status in self.told))

    def test_nobody_else_is_blamed_while_one_is_being_stopped(self) -> None:
        """What it holds comes back soon; others that grow a little are innocent."""
        self.ready("scribe")
        for stop in (lambda: self.supervisor.restart_for("vault", "Too large."), self.stop_by_hand):
            stop()
            self.uses(465)
            for size in range(61, 64):
                self.system.sizes["scribe"] = size << 20
                self.pass_time(2)
                self.assertEqual((self.state(), self.state("scribe")), (ModuleState.STOPPING, ModuleState.READY))
            self.uses(200)
            self.pass_time(6)
            self.assertEqual([status for status in self.told if "Memory use" in status.reason], [])
        self.assertEqual(self.state(), ModuleState.STOPPED)

    def stop_by_hand(self) -> None:
        self.reactor.spawned[-1].deaf = True
        self.begin(self.supervisor.stop("vault"))

    def test_one_that_grows_on_while_it_is_being_stopped_is_killed(self) -> None:
        self.supervisor.restart_for("vault", "It is too large.")
        self.supervisor.attend()
        self.is_killed_for_its_growth_and_starts_again(spared=(signal.SIGTERM, signal.SIGCONT))
        self.assertEqual([status for status in self.told if "at once" in status.reason], [])

    def test_a_measurement_that_began_before_a_kill_blames_nobody_again(self) -> None:
        """The module would be held, as one that grows again after each restart."""
        waiting: list[Callable[[], None]] = []

        def held(function: Callable[..., Any], *args: Any) -> "Deferred[Any]":
            result = function(*args)
            answer: Deferred[Any] = Deferred()
            waiting.append(lambda: answer.callback(result))
            return answer

        self.system.sizes = {"vault": 400 << 20}
        self.in_thread = held
        self.pass_time(2)
        self.assertEqual(len(waiting), 1)
        self.in_thread = at_once
        self.supervisor.attend()
        self.uses(480)
        self.pass_time(0.1)
        self.assertIn(signal.SIGKILL, self.module.signals)
        waiting[0]()
        self.uses(150)
        self.system.sizes = {"vault": 60 << 20}
        self.pass_time(0.3)
        self.assertEqual((len(self.reactor.spawned), self.state()), (2, ModuleState.READY))

    def test_files_are_no_reason(self) -> None:
        """The kernel drops their pages without delay."""
        self.supervisor.attend()
        for files in (100, 200, 300, 362):
            self.uses(150, files)
            self.pass_time(0.1)
        self.assertEqual(self.module.signals, [])


class MemoryOfTheOperator(SupervisorCase):
    """A machine without a container: the hub's own use counts."""

    memory_limit = 300 << 20

    def test_the_operators_limit_holds_without_a_container(self) -> None:
        self.supervisor.startService()
        self.ready()
        self.system.hub, self.system.sizes = 60 << 20, {"vault": 200 << 20}
        self.pass_time(2.1)
        self.assertEqual((len(self.reactor.spawned), self.supervisor.container().used), (1, 260 << 20))
        self.system.sizes = {"vault": 220 << 20}
        self.pass_time(2.1)
        self.assertEqual(len(self.reactor.spawned), 2)
        self.assertTrue(any("Memory use is 280 MB of 300 MB" in status.reason for status in self.told))


class ShortTiming(SupervisorCase):
    timing = Timing(shutdown=2.0)

    def test_the_budget_of_the_hub_is_shorter_than_the_grace_of_one(self) -> None:
        process = self.ready()
        process.deaf = True
        gone = self.supervisor.stopService()
        self.pass_time(2.1)
        self.successResultOf(gone)
        self.assertEqual(process.signals[-1], signal.SIGKILL)


class OutputTests(SupervisorCase):
    def test_lines_are_masked_and_kept(self) -> None:
        process = self.ready()
        process.say(b"the password is hunter2\nhalf a li")
        process.say(b"ne\n")
        self.assertEqual(self.lines, ["[vault] the password is ***", "[vault] half a line"])
        ring = self.supervisor.log("vault")
        assert ring is not None
        self.assertEqual([line.text for line in ring.since(0) if not line.mark], ["the password is ***", "half a line"])
        written = (self.folder / "logs" / "vault.log").read_text()
        self.assertNotIn("hunter2", written)
        self.assertEqual((self.folder / "logs" / "vault.log").stat().st_mode & 0o777, 0o600)

    def test_the_last_words_are_kept(self) -> None:
        process = self.ready()
        process.say(b"Fatal: no")
        process.exit(1)
        self.assertIn("[vault] Fatal: no", self.lines)

    def test_the_ring_survives_a_crash(self) -> None:
        process = self.ready()
        process.say(b"before\n")
        process.exit(1)
        self.turn()
        self.reactor.spawned[-1].say(b"after\n")
        ring = self.supervisor.log("vault")
        assert ring is not None
        told = [line.mark or line.text for line in ring.since(0)]
        self.assertEqual(told, ["start", "before", "crash", "start", "after"])

    def test_a_log_that_cannot_be_written_stops_nothing(self) -> None:
        self.folder.mkdir()
        (self.folder / "logs").write_text("a file where the folder should be")
        process = self.ready()
        process.say(b"one\ntwo\n")
        self.assertEqual(self.lines, ["[vault] one", "[vault] two"])
        self.assertEqual(self.state(), ModuleState.READY)
