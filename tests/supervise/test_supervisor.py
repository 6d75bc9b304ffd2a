"""A module's life under the supervisor: start, port, crash, hang; without processes."""

import signal

from parachute_hub.supervise.model import LASTING, LastExit, ModuleState
from parachute_hub.supervise.process.processes import Holder
from tests.supervise.fixture import OK, SupervisorCase, problem


class StartTests(SupervisorCase):
    def test_it_is_ready_once_it_answers(self) -> None:
        """The start is complete when the module answers, not when it was spawned; the desired state is stored."""
        started = self.begin(self.supervisor.start("vault"))
        self.pass_time(1)
        self.assertNoResult(started)
        self.assertEqual(self.state(), ModuleState.STARTING)
        self.reactor.listening[2000] = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
        self.pass_time(1)
        self.assertEqual(self.successResultOf(started).state, ModuleState.READY)
        self.assertTrue(self.plan.on["vault"])
        self.assertIsNotNone(self.supervisor.owned_port("vault"))

    def test_the_child_is_started_in_place_and_marked(self) -> None:
        process = self.ready()
        self.assertEqual(process.argv[:2], ("/bin/sh", "-c"))
        self.assertEqual(process.argv[-3:], self.plan.argv)
        self.assertRegex(process.env["PARACHUTE_SUPERVISED"], r"^vault:[0-9a-f]{16}:[0-9.-]+$")
        self.assertEqual(process.env["PORT"], "2000")

    def test_every_spawn_builds_a_new_launch(self) -> None:
        """A replayed environment would keep an old origin."""
        self.ready().exit(1)
        self.turn()
        self.assertEqual(self.plan.launches, ["vault", "vault"])

    def test_two_starts_are_one(self) -> None:
        self.reactor.listening[2000] = OK
        first, second = self.begin(self.supervisor.start("vault")), self.begin(self.supervisor.start("vault"))
        self.turn()
        self.assertEqual(self.successResultOf(first), self.successResultOf(second))
        self.assertEqual(len(self.reactor.spawned), 1)

    def test_it_sleeps_and_is_woken(self) -> None:
        """Not by a crash or the boot: it is not counted as a restart, and requests may wait from the first moment."""
        self.reactor.listening[2000] = OK
        self.begin(self.supervisor.start("vault"))
        self.turn()
        sleeping = self.begin(self.supervisor.sleep("vault", "Nobody used it for 5 min."))
        self.turn()
        asleep = self.successResultOf(sleeping)
        self.assertEqual((asleep.state.value, asleep.wakes, asleep.pid), ("asleep", True, None))
        self.assertEqual(asleep.reason, "Nobody used it for 5 min. The next request wakes it.")
        waking = self.begin(self.supervisor.wake("vault"))
        self.turn()
        awake = self.successResultOf(waking)
        self.assertEqual((awake.state.value, awake.wakes, awake.restarts), ("ready", False, 0))

    def test_a_late_one_releases_the_caller_and_is_never_ended(self) -> None:
        started = self.begin(self.supervisor.start("vault"))
        self.pass_time(21)
        self.assertIn("refuses connections", self.successResultOf(started).reason)
        self.assertEqual(self.state(), ModuleState.STARTING)
        self.pass_time(101)
        self.assertEqual(self.state(), ModuleState.DEGRADED)
        self.reactor.listening[2000] = OK
        self.pass_time(1)
        self.assertEqual(self.state(), ModuleState.READY)
        self.assertEqual(self.reactor.spawned[0].signals, [])

    def test_bound_late_is_shown_until_the_next_good_answer(self) -> None:
        self.begin(self.supervisor.start("vault"))
        self.pass_time(30)
        self.reactor.listening[2000] = OK
        self.pass_time(1)
        self.assertEqual(self.state(), ModuleState.DEGRADED)
        self.assertIn("only after 30 s", self.status().reason)
        self.pass_time(10)
        self.assertEqual(self.state(), ModuleState.READY)

    def test_a_module_on_another_port_is_reported(self) -> None:
        """surface ignores PORT: say where it listens."""
        self.system.listening = [1946]
        self.begin(self.supervisor.start("vault"))
        self.pass_time(21)
        self.assertIn("It listens on 1946 instead", self.status().reason)

    def test_what_cannot_be_launched_says_why_and_is_tried_again(self) -> None:
        self.plan.cannot["vault"] = problem()
        started = self.begin(self.supervisor.start("vault"))
        self.turn()
        status = self.successResultOf(started)
        self.assertEqual(status.state, ModuleState.BACKOFF)
        assert status.start_error is not None
        self.assertEqual(status.start_error["error_type"], "missing_package")
        self.assertEqual(status.start_error["package"], "@x/y")
        del self.plan.cannot["vault"]
        self.reactor.listening[2000] = OK
        self.pass_time(1)
        self.assertEqual(self.state(), ModuleState.READY)
        self.assertIsNone(self.status().start_error)

    def test_a_health_path_that_wants_a_token_is_asked_once(self) -> None:
        """Published vaults log each refused request; another path is open."""
        unauthorized = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno"
        missing = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"
        for short, opens, usual in (("vault", {"/.parachute/info": OK}, "/.parachute/info"), ("closed", {}, "/health")):
            self.reactor.asked.clear()
            self.reactor.listening[self.plan.ports.setdefault(short, 2000 + len(self.plan.ports))] = missing
            self.reactor.paths = {"/health": unauthorized, **opens}
            self.begin(self.supervisor.start(short))
            self.pass_time(60)
            self.assertEqual(self.supervisor.status(short).state, ModuleState.READY, short)  # type: ignore[union-attr]
            self.assertEqual(self.reactor.asked[:2], ["/health", "/.parachute/info"], short)
            self.assertEqual(set(self.reactor.asked[2:]), {usual}, short)
            self.begin(self.supervisor.stop(short))

    def test_what_a_module_says_is_wrong_with_itself_is_told(self) -> None:
        """From its health response, for as long as it says so."""
        body = b'{"status": "degraded", "reason": "no disk"}'
        self.ready()
        self.reactor.paths["/health"] = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        self.pass_time(11)
        self.assertEqual((self.state(), self.status().reports), (ModuleState.READY, ("degraded: no disk",)))
        self.assertEqual(self.told[-1].to_json()["reports"], ["degraded: no disk"])
        published = len(self.told)
        self.pass_time(30)
        self.assertEqual(len(self.told), published, "the same again is no news")
        self.reactor.paths.clear()
        self.pass_time(11)
        self.assertEqual(self.told[-1].reports, ())

    def test_failures_written_while_starting_are_told(self) -> None:
        child = self.ready()
        child.say(b"listening\nbun add failed (hunter2)\n")
        self.assertEqual(self.told[-1].warnings, ("bun add failed (***)",))
        self.pass_time(61)
        child.say(b"request failed\n")
        self.assertEqual(self.status().warnings, ("bun add failed (***)",), "later lines are everyday ones")
        child.exit(1)
        self.assertIn('exit code 1. Its last words: "request failed"', self.status().reason)
        self.pass_time(2)
        self.assertEqual(self.status().warnings, (), "a new process begins anew")

    def test_what_no_other_try_cures_is_held_with_the_reason(self) -> None:
        """Someone has to do what the text says, and then start it."""
        for number, kind in enumerate(sorted(LASTING)):
            short = f"module-{number}"
            self.plan.cannot[short] = problem(kind)
            started = self.begin(self.supervisor.start(short))
            self.turn()
            status = self.successResultOf(started)
            self.assertEqual((status.state, status.reason), (ModuleState.HELD, "Install it again."), kind)
            assert status.start_error is not None
            self.assertEqual(status.start_error["error_type"], kind)
            tries = self.plan.launches.count(short)
            self.pass_time(600)
            self.assertEqual(self.plan.launches.count(short), tries, kind)
            del self.plan.cannot[short]
            self.begin(self.supervisor.start(short))
            self.turn()
            self.assertEqual(self.plan.launches.count(short), tries + 1, kind)

    def test_a_broken_launcher_is_a_reason_too(self) -> None:
        """Whatever a launcher raises, the machine gets an answer."""
        self.plan.cannot["vault"] = ValueError("no such thing")
        started = self.begin(self.supervisor.start("vault"))
        self.turn()
        self.assertIn("no such thing", self.successResultOf(started).reason)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_a_missing_program_and_folder(self) -> None:
        for argv, cwd, kind in (
            (("/nowhere/bun", "run"), "/", "missing_dependency"),
            (self.plan.argv, "/nowhere", "missing_package"),
            (("/etc/hostname",), "/", "non_executable"),
        ):
            self.plan.argv, self.plan.cwd = argv, cwd
            self.begin(self.supervisor.start(kind))
            self.turn()
            error = self.status(kind).start_error
            assert error is not None
            self.assertEqual(error["error_type"], kind)
        self.assertEqual(self.reactor.spawned, [])

    def test_no_process_to_be_had(self) -> None:
        """At the limit of descriptors or processes a start fails like any other."""
        self.reactor.cannot_spawn = OSError(24, "Too many open files")
        self.begin(self.supervisor.start("vault"))
        self.turn()
        self.assertEqual(self.status().reason, "The system cannot start a process: Too many open files.")
        self.assertEqual(self.state(), ModuleState.BACKOFF)


class PortTests(SupervisorCase):
    def test_a_foreign_program_is_named_and_left_alone(self) -> None:
        self.system.holders = [Holder(77, "nc -l 2000")]
        started = self.begin(self.supervisor.start("vault"))
        self.turn()
        status = self.successResultOf(started)
        self.assertEqual(status.state, ModuleState.HELD)
        self.assertIn("process 77 (nc -l 2000)", status.reason)
        assert status.start_error is not None
        self.assertEqual(status.start_error["error_type"], "port_squatter")
        self.assertIsNotNone(self.status().next_retry_at)
        self.assertEqual((self.reactor.spawned, self.system.swept), ([], []))
        self.ready()

    def test_a_command_right_after_it_was_held_ends_the_wait(self) -> None:
        self.system.holders = [Holder(77, "nc -l 2000")]
        self.begin(self.supervisor.start("vault"))
        self.assertIsNotNone(self.status().next_retry_at)
        self.begin(self.supervisor.stop("vault"))
        self.turn()
        self.assertEqual((self.state(), self.status().next_retry_at), (ModuleState.STOPPED, None))
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_it_starts_by_itself_once_the_port_is_free(self) -> None:
        stranger = Holder(77, "nc -l 2000")
        self.system.holders = [stranger] * 4
        self.begin(self.supervisor.start("vault"))
        self.turn()
        self.reactor.listening[2000] = OK
        self.pass_time(20)
        self.assertEqual((self.state(), self.reactor.spawned), (ModuleState.HELD, []))
        self.system.holders = []
        self.pass_time(20)
        self.assertEqual(self.state(), ModuleState.READY)

    def test_one_that_is_switched_off_meanwhile_stays_off(self) -> None:
        self.system.holders = [Holder(77, "nc -l 2000")]
        self.begin(self.supervisor.start("vault"))
        self.turn()
        self.begin(self.supervisor.stop("vault"))
        self.pass_time(60)
        self.assertEqual((self.state(), self.reactor.spawned), (ModuleState.STOPPED, []))

    def test_our_own_orphan_is_ended(self) -> None:
        self.system.holders = [Holder(77, "bun", ours=True), None]
        self.ready()
        self.assertEqual(len(self.system.swept), 1)

    def test_an_answer_from_a_foreign_program_is_not_readiness(self) -> None:
        """A foreign process that comes between the check and the first answer never gets traffic."""
        self.system.owners = [Holder(77, "nc -l 2000")]
        self.reactor.listening[2000] = OK
        self.begin(self.supervisor.start("vault"))
        self.turn()
        self.assertEqual(self.state(), ModuleState.HELD)
        self.assertIn("process 77 (nc -l 2000)", self.status().reason)
        self.assertIsNone(self.supervisor.owned_port("vault"))
        self.assertIn(signal.SIGTERM, self.reactor.spawned[0].signals)

    def test_one_that_answers_and_is_gone_is_no_stranger(self) -> None:
        """It may exit between its answer and our look at the port."""
        self.system.owners = [None]
        self.reactor.listening[2000] = OK
        self.begin(self.supervisor.start("vault"))
        self.reactor.advance(0)
        self.assertEqual(self.state(), ModuleState.STARTING)
        self.pass_time(0.5)
        self.assertEqual(self.state(), ModuleState.READY)


class CrashTests(SupervisorCase):
    def test_a_signal_without_a_name_is_reported(self) -> None:
        self.ready().exit(by_signal=50)
        last = self.status().last_exit
        assert last is not None
        self.assertEqual(last.signal, "signal 50")

    def test_the_first_crash_is_repaired_at_once(self) -> None:
        self.ready().exit(by_signal=9)
        self.assertEqual(self.status().last_exit, LastExit(None, "SIGKILL", False, self.reactor.seconds()))
        self.turn()
        self.assertEqual(self.state(), ModuleState.READY)
        self.assertEqual((len(self.reactor.spawned), self.status().restarts), (2, 1))

    def test_a_loop_backs_off_and_is_parked(self) -> None:
        self.begin(self.supervisor.start("vault"))
        for _ in range(100):
            if self.state() is ModuleState.PARKED:
                break
            if not self.reactor.spawned[-1].exited:
                self.reactor.spawned[-1].exit(3)
            self.pass_time(0.1)
        self.assertEqual(len(self.reactor.spawned), 5)
        self.assertEqual(self.state(), ModuleState.PARKED)
        self.assertIn("exit code 3", self.status().reason)
        self.assertEqual(self.status().next_retry_at, self.reactor.seconds() + 300 - 0.1)
        self.assertEqual(self.status().supervisor_status, "crashed")

    def test_a_stop_during_the_wait_prevents_the_next_spawn(self) -> None:
        self.begin(self.supervisor.start("vault"))
        self.reactor.spawned[-1].exit(1)
        stopped = self.begin(self.supervisor.stop("vault"))
        self.pass_time(5)
        self.assertEqual(self.successResultOf(stopped).state, ModuleState.STOPPED)
        self.assertEqual(len(self.reactor.spawned), 1)

    def test_what_escaped_is_swept_before_the_next_life(self) -> None:
        process = self.ready()
        self.system.left = [4711]
        process.exit(1)
        self.turn()
        self.assertEqual(len(self.reactor.spawned), 1)
        self.pass_time(0.2)
        self.assertEqual(len(self.reactor.spawned), 2)
        self.assertIn("[vault] (hub) ended 1 leftover processes: [4711]", self.lines)

    def test_a_stop_waits_until_what_escaped_is_swept(self) -> None:
        """Also when the next process waits for the same."""
        process = self.ready()
        self.system.left = [4711]
        process.exit(1)
        self.turn()
        self.assertEqual(self.state(), ModuleState.STARTING)
        stopped = self.begin(self.supervisor.stop("vault"))
        self.turn()
        self.assertNoResult(stopped)
        self.pass_time(0.2)
        self.assertEqual(self.successResultOf(stopped).state, ModuleState.STOPPED)
        self.assertIn("[vault] (hub) ended 1 leftover processes: [4711]", self.lines)
        self.assertEqual(len(self.reactor.spawned), 1)

    def test_the_group_must_be_empty(self) -> None:
        """A member that outlives the leader may hold the port."""
        process = self.ready()
        process.stragglers = self.system.lives = True
        process.exit(1)
        self.assertFalse(process.stragglers, "KILL went to the group")
        self.pass_time(0.5)
        self.assertEqual(len(self.reactor.spawned), 1)
        self.system.lives = False
        self.pass_time(0.5)
        self.assertEqual(len(self.reactor.spawned), 2)

    def test_a_member_that_cannot_die_is_not_waited_for_for_ever(self) -> None:
        """It may hang in the kernel."""
        process = self.ready()
        self.system.lives = True
        process.exit(1)
        self.pass_time(2.5)
        self.assertEqual(len(self.reactor.spawned), 2)

    def test_memory_kills_are_named(self) -> None:
        (self.folder / "cgroup").mkdir(parents=True)
        events = self.folder / "cgroup" / "memory.events"
        events.write_text("low 0\noom 0\noom_kill 3\n")
        process = self.ready()
        events.write_text("low 0\noom 1\noom_kill 4\n")
        process.exit(by_signal=9)
        last = self.status().last_exit
        assert last is not None
        self.assertTrue(last.oom)
        self.assertTrue(any("memory ran out" in status.reason for status in self.told))

    def test_modules_do_not_share_a_fate(self) -> None:
        self.ready("scribe")
        self.plan.ports["vault"] = 2005
        self.begin(self.supervisor.start("vault"))
        for _ in range(60):
            vault = next(process for process in reversed(self.reactor.spawned) if process.env["PORT"] == "2005")
            if not vault.exited:
                vault.exit(1)
            self.pass_time(0.2)
        self.assertEqual((self.state("vault"), self.state("scribe")), (ModuleState.PARKED, ModuleState.READY))
        self.assertEqual(self.status("scribe").restarts, 0)


class LivenessTests(SupervisorCase):
    def test_a_hung_one_is_ended_and_answers_again_in_time(self) -> None:
        """Within 45 s from the moment it hangs."""
        process = self.ready()
        process.deaf = True
        self.reactor.listening[2000] = None
        hung_at = self.reactor.seconds()
        while not process.exited:
            self.pass_time(0.5)
        self.reactor.listening[2000] = OK
        self.pass_time(3.5)
        self.assertEqual(self.state(), ModuleState.READY)
        self.assertLess(self.reactor.seconds() - hung_at, 45)
        self.assertEqual(process.signals[0], signal.SIGTERM)
        self.assertEqual(process.signals[-1], signal.SIGKILL)
        self.assertTrue(any("accepts connections but does not answer" in status.reason for status in self.told))

    def test_one_miss_is_shown_and_forgotten(self) -> None:
        process = self.ready()
        self.reactor.listening[2000] = None
        self.pass_time(14)
        self.assertEqual(self.state(), ModuleState.DEGRADED)
        self.reactor.listening[2000] = OK
        self.pass_time(10)
        self.assertEqual(self.state(), ModuleState.READY)
        self.assertEqual(process.signals, [])

    def test_while_nobody_uses_the_hub_it_is_asked_less_often_until_one_is_missed(self) -> None:
        self.rests_after = 0.0
        self.supervisor = self.another()
        process = self.ready()
        self.reactor.listening[2000] = None
        self.pass_time(49)
        self.assertEqual(self.state(), ModuleState.READY)
        self.pass_time(16)
        self.assertEqual(self.state(), ModuleState.DEGRADED)
        while not process.exited:
            self.pass_time(0.5)
        self.assertLess(self.reactor.seconds(), 105)

    def test_an_unwell_answer_never_ends_it(self) -> None:
        process = self.ready()
        self.reactor.listening[2000] = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
        self.pass_time(120)
        self.assertEqual(self.state(), ModuleState.DEGRADED)
        self.assertEqual(process.signals, [])

    def test_flapping_health_never_ends_it(self) -> None:
        process = self.ready()
        self.pass_time(5.0)  # Checks are at multiples of ten seconds, and so in the middle of each turn.
        for turn in range(20):
            self.reactor.listening[2000] = OK if turn % 3 == 2 else None
            self.pass_time(10)
        self.assertEqual(process.signals, [])
