"""The supervisor on real processes."""

import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from parachute_hub.supervise.model import ModuleState
from parachute_hub.supervise.process.process_tags import VARIABLE, ProcessTag, TagFilter, home_hash
from parachute_hub.supervise.process.processes import Processes
from tests.live.faults.rig import Rig
from tests.live.harness import gone
from tests.live.ports import free_port


class RigCase(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.rig = Rig(reactor)
        self.addCleanup(shutil.rmtree, self.rig.home, ignore_errors=True)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.end()))

    async def end(self) -> None:
        self.assertEqual(await self.rig.end(), [], "processes were left behind")


class ChildTests(RigCase):
    async def test_a_bun_child(self) -> None:
        """Own session and group, no new privileges, first to be OOM-killed, no inherited descriptors."""
        self.rig.add_bun("calm")
        status = await self.rig.supervisor.start("calm")
        self.assertEqual(status.state, ModuleState.READY)
        pid = self.rig.pid("calm")
        self.assertEqual((os.getsid(pid), os.getpgid(pid)), (pid, pid))
        self.assertEqual(Path(f"/proc/{pid}/oom_score_adj").read_text(), "500\n")
        self.assertIn("NoNewPrivs:\t1", Path(f"/proc/{pid}/status").read_text())
        self.assertEqual(os.readlink(f"/proc/{pid}/fd/0"), "/dev/null")
        self.assertEqual(os.readlink(f"/proc/{pid}/cwd"), str(self.rig.home))
        self.assertEqual(self.rig.supervisor.owned_port("calm"), self.rig.launches["calm"].port)

    async def test_no_descriptor_of_the_hub_reaches_it(self) -> None:
        """Not even those that are inherited, such as the listening sockets that systemd hands over."""
        database = (self.rig.home / "parachute.db").open("w")
        self.addCleanup(database.close)
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        for opened in (database, listener):
            os.set_inheritable(opened.fileno(), True)
        self.rig.add("calm")
        await self.rig.supervisor.start("calm")
        ours = {os.readlink(f"/proc/self/fd/{opened.fileno()}") for opened in (database, listener)}
        folder = Path(f"/proc/{self.rig.pid('calm')}/fd")
        theirs = {os.readlink(each) for each in folder.iterdir()}
        self.assertEqual((len(ours), theirs & ours), (2, set()), theirs)

    async def test_a_killed_one_answers_again_soon(self) -> None:
        """Its own boot time plus at most 120 ms."""
        self.rig.add_bun("calm")
        began = time.monotonic()
        await self.rig.supervisor.start("calm")
        boot = time.monotonic() - began
        took = [math.inf]
        # One life is enough to show what the supervisor adds; what other programs add differs each time.
        while min(took) >= boot + 0.12 and len(took) < 10:
            old = self.rig.pid("calm")
            self.rig.forgive("calm")
            os.kill(old, signal.SIGKILL)
            took.append(await self.rig.until_next_life("calm", old))
        self.assertLess(min(took), boot + 0.12)

    async def test_exec_failures_have_reasons(self) -> None:
        self.rig.add("gone", argv=("/nowhere/bun",))
        self.rig.add("folder", cwd="/nowhere")
        junk = self.rig.home / "junk"
        junk.write_bytes(b"\x00\x01 junk")
        junk.chmod(0o755)
        self.rig.add("junk", argv=(str(junk),))
        broken = self.rig.home / "broken"
        broken.write_bytes(b"\x7fELF not really")
        broken.chmod(0o755)
        self.rig.add("broken", argv=(str(broken),))
        kinds = {}
        tried = (ModuleState.BACKOFF, ModuleState.PARKED, ModuleState.STARTING)
        for short, states in (
            ("gone", (ModuleState.HELD,)),
            ("folder", tried),
            ("junk", (ModuleState.HELD,)),
            ("broken", tried),
        ):
            status = await self.rig.supervisor.start(short)
            self.assertIn(status.state, states)
            kinds[short] = (status.start_error or {}).get("error_type")
        self.assertEqual(kinds, {
            "gone": "missing_dependency", "folder": "missing_package", "junk": "non_executable", "broken": None,
        })  # fmt: skip
        await self.rig.until(lambda: self.rig.state("broken") is ModuleState.PARKED, "the broken one to be parked")


class EndTests(RigCase):
    async def test_a_deaf_one_is_killed_after_its_grace(self) -> None:
        self.rig.add("deaf", "deaf", "kin=3")
        await self.rig.supervisor.start("deaf")
        pid = self.rig.pid("deaf")
        self.assertEqual(len(self.rig.ours()), 4)
        began = time.monotonic()
        await self.rig.supervisor.stop("deaf")
        self.assertGreater(time.monotonic() - began, 0.5)
        self.assertTrue(gone(pid))
        self.assertEqual(self.rig.ours(), [])

    async def test_a_stopped_process_can_be_ended(self) -> None:
        """A process under SIGSTOP does not receive SIGTERM."""
        self.rig.add("calm")
        await self.rig.supervisor.start("calm")
        os.kill(self.rig.pid("calm"), signal.SIGSTOP)
        await self.rig.supervisor.stop("calm")
        self.assertEqual(self.rig.ours(), [])

    async def test_escaped_grandchildren_go_with_it(self) -> None:
        self.rig.add("wild", "orphans=4", "kin=2")
        await self.rig.supervisor.start("wild")
        self.assertEqual(len(self.rig.ours()), 7)
        await self.rig.supervisor.stop("wild")
        self.assertEqual(self.rig.ours(), [])

    async def test_the_last_words_are_read(self) -> None:
        script = "import sys; sys.stdout.write('x' * 100000 + chr(10) + 'the end'); sys.exit(3)"
        self.rig.add("talker", argv=(sys.executable, "-S", "-c", script))
        await self.rig.supervisor.start("talker")
        ring = self.rig.supervisor.log("talker")
        assert ring is not None
        self.assertIn("the end", [line.text for line in ring.since(0)])

    async def test_two_stops_of_the_hub(self) -> None:
        self.rig.add("deaf", "deaf")
        await self.rig.supervisor.start("deaf")
        first, second = self.rig.supervisor.stopService(), self.rig.supervisor.stopService()
        await first
        await second
        self.assertEqual(self.rig.ours(), [])


class PortTests(RigCase):
    async def test_a_stranger_keeps_his_port(self) -> None:
        with socket.socket() as stranger:
            stranger.bind(("127.0.0.1", 0))
            stranger.listen()
            self.rig.add("calm", port=stranger.getsockname()[1])
            status = await self.rig.supervisor.start("calm")
            self.assertEqual(status.state, ModuleState.HELD)
            self.assertIn(f"process {os.getpid()} (", status.reason)
        self.assertEqual((await self.rig.supervisor.start("calm")).state, ModuleState.READY)

    def test_of_a_stranger_the_program_is_told_and_nothing_that_it_was_told(self) -> None:
        """In one line without control characters: visitors may read it, and arguments may be passwords."""
        program = "import socket, sys, time\ns = socket.create_server(('127.0.0.1', int(sys.argv[2])))\ntime.sleep(60)"
        folder = Path(self.mktemp())
        folder.mkdir(parents=True)
        script = folder / "line\n\x1b[2J.py"
        script.write_text(program)
        port = free_port()
        with subprocess.Popen([sys.executable, str(script), "--password=hush", str(port)]) as stranger:
            try:
                deadline = time.monotonic() + 20
                while (holder := Processes().holder(port, TagFilter("nobody"))) is None and time.monotonic() < deadline:
                    time.sleep(0.05)
            finally:
                stranger.kill()
        self.assertIn(f"process {stranger.pid} (python", str(holder))
        self.assertIn("line [2J.py)", str(holder))
        self.assertNotIn("hush", str(holder))
        self.assertTrue(str(holder).isprintable(), str(holder))

    async def test_an_orphan_of_an_earlier_hub_is_ended(self) -> None:
        """Where children do not die with the hub (macOS), a killed hub leaves them; they carry its mark."""
        self.rig.add("calm")
        launch = self.rig.launches["calm"]
        env = {**launch.env, VARIABLE: str(ProcessTag("calm", home_hash(self.rig.home), "earlier"))}
        orphan = subprocess.Popen(launch.argv, env=env, start_new_session=True)
        self.addCleanup(orphan.wait, 5)
        await self.rig.until(lambda: self.rig.ours(), "the orphan")
        while not await self.rig.answers("calm"):
            await self.rig.sleep(0.01)
        status = await self.rig.supervisor.start("calm")
        self.assertEqual(status.state, ModuleState.READY)
        self.assertNotEqual(status.pid, orphan.pid)
        self.assertEqual(orphan.wait(5), 0)

    async def test_a_stranger_on_another_address_does_not_matter(self) -> None:
        """Only what 127.0.0.1 reaches is in the way."""
        with socket.socket() as stranger:
            stranger.bind(("127.0.0.2", 0))
            stranger.listen()
            self.rig.add("calm", port=stranger.getsockname()[1])
            self.assertEqual((await self.rig.supervisor.start("calm")).state, ModuleState.READY)

    def test_descriptors_that_close_meanwhile_hide_no_listener(self) -> None:
        """Listing our own descriptors opens one before the listener's, which is soon closed."""
        low = os.open(os.devnull, os.O_RDONLY)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen()
            os.close(low)
            holder = Processes().holder(listener.getsockname()[1], TagFilter("nobody"))
        assert holder is not None
        self.assertEqual(holder.pid, os.getpid())

    def test_a_listener_that_closes_meanwhile_is_nobody(self) -> None:
        """It is in the kernel's table, and no process has it any more; it is no process of another user."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        def closing() -> Iterator[psutil.Process]:
            listener.close()
            return iter(())

        self.patch(psutil, "process_iter", closing)
        self.assertIsNone(Processes().holder(listener.getsockname()[1], TagFilter("nobody")))

    async def test_another_homes_process_is_a_stranger(self) -> None:
        port = free_port()
        self.rig.add("calm", port=port)
        env = {
            **self.rig.launches["calm"].env,
            VARIABLE: str(ProcessTag("calm", home_hash(Path("/another/home")), "1")),
        }
        other = subprocess.Popen(self.rig.launches["calm"].argv, env=env, start_new_session=True)
        self.addCleanup(other.wait, 5)
        self.addCleanup(other.kill)
        while not await self.rig.answers("calm"):
            await self.rig.sleep(0.01)
        status = await self.rig.supervisor.start("calm")
        self.assertEqual(status.state, ModuleState.HELD)
        self.assertIsNone(other.poll())


class HangTests(RigCase):
    async def test_each_way_of_hanging_is_repaired(self) -> None:
        """Stopped, silent, partial response, busy loop: all lead to a restart with the reason."""
        for kind in ("stop", "silent", "head", "busy"):
            short = self.rig.add(kind, f"hang={kind}")
            await self.rig.supervisor.start(short)
            old = self.rig.pid(short)
            os.kill(old, signal.SIGSTOP if kind == "stop" else signal.SIGUSR1)
            await self.rig.until(partial(gone, old), f"{kind} to be ended")
            await self.rig.until_ready(short)
            self.assertTrue(any("It hung and was stopped" in status.reason for status in self.rig.told), kind)
            await self.rig.supervisor.stop(short)

    async def test_an_unwell_one_lives_on(self) -> None:
        self.rig.add("unwell", "status=404")
        await self.rig.supervisor.start("unwell")
        pid = self.rig.pid("unwell")
        await self.rig.sleep(1.5)
        self.assertEqual(self.rig.pid("unwell"), pid)


class BootTests(RigCase):
    async def test_a_boot_leaves_alone_what_already_runs(self) -> None:
        """A module started before the boot's scan is not an earlier hub's."""
        self.rig.add("calm")
        self.rig.add("other")
        await self.rig.supervisor.start("calm")
        pid = self.rig.pid("calm")
        self.rig.supervisor.boot(["calm", "other"])
        await self.rig.until_ready("calm", "other")
        await self.rig.sleep(0.3)
        self.assertEqual(self.rig.pid("calm"), pid)


class HubDeathTests(RigCase):
    async def test_children_die_with_the_hub(self) -> None:
        """None of its children survives a SIGKILL of the hub, and escaped ones do not hinder the next hub."""
        home, port = self.rig.home, free_port()
        hub = subprocess.Popen(
            [sys.executable, "-m", "tests.live.faults.hub", str(home), str(port), "orphans=2"],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(hub.wait, 5)
        assert hub.stdout is not None
        self.addCleanup(hub.stdout.close)
        pid = int(hub.stdout.readline())
        hub.kill()
        await self.rig.until(lambda: gone(pid), "the child to die with the hub")
        self.assertEqual(len(self.rig.ours()), 2)
        self.rig.add("wild", port=port)
        self.rig.supervisor.boot(["wild"])
        await self.rig.until_ready("wild")
        self.assertEqual(len(self.rig.ours()), 1)
