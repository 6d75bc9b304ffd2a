"""Confinement of real processes by the real kernel."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.confinement.kernel import Calls, Confiner, Kernel, NotConfined
from parachute_hub.confinement.rules import SYSTEM_FOLDERS, Rules
from tests.live.ports import free_port
from tests.requirements import requires, right

KERNEL = Kernel.find()


class CallsWithout(Calls):
    """A kernel that reports one call as done without doing it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number

    def __call__(self, number: int, *arguments: object) -> int:
        return 0 if number in (self._number, {317: 277}.get(self._number)) else super().__call__(number, *arguments)


class Rig:
    """A home with two folders. A confined process may use the first."""

    def __init__(self, top: Path) -> None:
        self.home = top / "home"
        self.own = self.home / "own"
        self.other = self.home / "other"
        for folder in (self.own, self.other):
            folder.mkdir(parents=True)
            (folder / "file").write_text("content")
        self.confiner = Confiner(kernel=KERNEL, forbidden=(self.home,))
        self.rules = Rules(reads=SYSTEM_FOLDERS, writes=(str(self.own),))

    def says(self, script: str, rules: Rules | None = None) -> str:
        """What a confined shell writes to `own/said`."""
        os.waitpid(self.started(script, rules or self.rules), 0)
        return (self.own / "said").read_text()

    def started(self, script: str, rules: Rules) -> int:
        """The process id of a confined shell that writes to `own/said`."""

        def spawn() -> int:
            said = [(os.POSIX_SPAWN_OPEN, 1, str(self.own / "said"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)]
            argv = ["/bin/sh", "-c", f"exec 2>&1; cd {self.own}; {script}"]
            return os.posix_spawn("/bin/sh", argv, {"PATH": os.defpath}, file_actions=said)

        return self.confiner.start(rules, spawn)


@requires(right("to confine programs"))
class ConfinerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rig = Rig(Path(self.mktemp()).absolute())

    def test_only_granted_files_are_accessible(self) -> None:
        rig = self.rig
        for what, script, wanted in (
            ("own", "cat file", "content"),
            ("a new one of its own", "echo x > new; mv new newer; cat newer", "x"),
            ("another's", f"cat {rig.other}/file", "denied"),
            ("another's folder", f"ls {rig.other}", "denied"),
            ("another's, written", f"echo x > {rig.other}/file", "denied"),
            ("another's by a link", f"ln -s {rig.other}/file link; cat link", "denied"),
            ("another's by a hard link", f"ln {rig.other}/file hard; cat hard", "No such file"),
            ("another's taken away", f"mv {rig.other}/file stolen; cat stolen", "No such file"),
            ("removed", f"rm -f {rig.other}/file", "denied"),
            ("beside the home", f"echo x > {rig.home}/new", "denied"),
            ("the shared scratch folder", "echo x > /tmp/parachute-not-there", "denied"),
        ):
            self.assertIn(wanted, rig.says(script), what)
        self.assertEqual((rig.other / "file").read_text(), "content")

    def test_paths_that_are_missing_or_links(self) -> None:
        """A missing one opens nothing, also once it is there; a link opens what it leads to, as it did at the start."""
        rig = self.rig
        target, link = rig.home / "target", rig.home / "link"
        target.mkdir()
        (target / "file").write_text("content")
        link.symlink_to(target)
        missing, below = rig.home / "missing", rig.home / "own" / "file" / "below"
        rules = evolve(rig.rules, writes=(*rig.rules.writes, str(link), str(missing), str(below)))

        go = rig.own / "go"
        script = f"until [ -f {go} ]; do sleep 0.01; done; cat {missing}/file; cat {link}/file; cat {target}/file"
        pid = rig.started(script, rules)
        missing.mkdir()
        (missing / "file").write_text("content")
        link.unlink()
        link.symlink_to(rig.other)
        go.touch()
        os.waitpid(pid, 0)
        first, second, third = (rig.own / "said").read_text().splitlines()
        self.assertIn("denied", first)
        self.assertIn("denied", second)
        self.assertEqual(third, "content")

    def test_changing_modes_has_no_effect(self) -> None:
        """chmod succeeds without effect; Landlock does not cover it."""
        (self.rig.other / "file").chmod(0o640)
        self.assertEqual(self.rig.says(f"chmod 777 {self.rig.other}/file && echo done"), "done\n")
        self.assertEqual((self.rig.other / "file").stat().st_mode & 0o777, 0o640)
        says = self.rig.says("chmod 700 file", evolve(self.rig.rules, change_modes=True))
        self.assertEqual(((self.rig.own / "file").stat().st_mode & 0o777, says), (0o700, ""))

    def test_other_processes_cannot_be_signalled(self) -> None:
        if KERNEL.abi >= 6:
            self.assertIn("not permitted", self.rig.says(f"kill -0 {os.getpid()}"))
        self.assertEqual(self.rig.says("sleep 9 & kill $! && echo own"), "own\n")

    def test_limits_are_set_before_the_program_runs(self) -> None:
        rules = evolve(self.rig.rules, open_files=99, file_bytes=1 << 20)
        script = "until [ $(ulimit -n) = 99 ]; do sleep 0.01; done; ulimit -f; ulimit -c; ulimit -p"
        size, core, tasks = self.rig.says(script, rules).split()
        self.assertEqual((size, core), ("2048", "0"))
        self.assertGreater(int(tasks), rules.tasks)

    def test_only_granted_ports_are_reachable(self) -> None:
        granted, other = free_port(), free_port()
        script = (
            "import socket as s\n"
            "def t(*a, port=None):\n"
            "    try:\n"
            "        x = s.socket(*a)\n"
            "        if port: x.bind(('127.0.0.1', port))\n"
            "        return 'ok'\n"
            "    except OSError as e: return e.errno\n"
            "print(t(s.AF_UNIX), t(s.AF_INET, s.SOCK_DGRAM), "
            f"t(s.AF_INET, port={granted}), t(s.AF_INET, port={other}))"
        )
        python = os.path.dirname(os.path.realpath(sys.executable))
        reads = (*SYSTEM_FOLDERS, os.path.dirname(python))
        rules = evolve(self.rig.rules, reads=reads, bind=(granted,))
        said = self.rig.says(f'{os.path.realpath(sys.executable)} -I -S -c "{script}"', rules)
        self.assertEqual(said, "97 13 ok 13\n" if KERNEL.abi >= 4 else "97 13 ok ok\n")

    def test_older_kernels_keep_what_they_can(self) -> None:
        """Each version of Landlock up to this one: files always, ports from 4 on, signals from 6 on."""
        python = os.path.realpath(sys.executable)
        script = (
            "import os, socket as s\n"
            "def t(f):\n"
            "    try: f(); return 'got'\n"
            "    except OSError: return 'no'\n"
            f"print(t(lambda: open('{self.rig.other}/file')), t(lambda: os.truncate('{self.rig.other}/file', 0)),\n"
            f"    t(lambda: open('{self.rig.other}/file', 'w')), t(lambda: os.rename('{self.rig.other}/file', 'x')),\n"
            f"    t(lambda: s.socket().bind(('127.0.0.1', {free_port()}))), t(lambda: os.kill(PID, 0)))"
        ).replace("PID", str(os.getpid()))
        rules = evolve(self.rig.rules, reads=(*SYSTEM_FOLDERS, os.path.dirname(os.path.dirname(python))))
        for abi in range(1, min(KERNEL.abi, 7) + 1):
            self.rig.confiner = evolve(self.rig.confiner, kernel=Kernel(abi, KERNEL.machine))
            said = self.rig.says(f'{python} -I -S -c "{script}"', rules)
            wanted = ["no"] * 4 + ["no" if abi >= 4 else "got", "no" if abi >= 6 else "got"]
            self.assertEqual(said.split(), wanted, abi)
        self.assertEqual((self.rig.other / "file").read_text(), "content")

    def test_the_hub_itself_stays_free(self) -> None:
        self.rig.says("true")
        self.assertEqual((self.rig.other / "file").read_text(), "content")

    def test_the_thread_stays_as_long_as_the_process(self) -> None:
        """A process with PDEATHSIG dies with this thread."""

        def spawn() -> int:
            return os.posix_spawn("/bin/sleep", ["sleep", "60"], {})

        pid = self.rig.confiner.start(self.rig.rules, spawn)
        [thread] = [each for each in threading.enumerate() if each.name == "confined"]
        os.kill(pid, 9)
        thread.join(10)
        self.assertFalse(thread.is_alive())
        self.assertEqual(os.waitpid(pid, 0)[0], pid)

    def test_a_released_process_belongs_to_the_main_thread(self) -> None:
        """Its thread ends before `release`, so that a program which takes the place of this one keeps the process."""
        gate, key = os.pipe()

        def spawn() -> int:
            script = "read -r _ || exit 1; exec setpriv --pdeathsig KILL -- sleep 60"
            stdin = [(os.POSIX_SPAWN_DUP2, gate, 0)]
            return os.posix_spawn("/bin/sh", ["sh", "-c", script], {"PATH": os.defpath}, file_actions=stdin)

        threads: list[str] = []

        def release() -> None:
            threads.extend(each.name for each in threading.enumerate())
            os.write(key, b"\n")

        pid = self.rig.confiner.start(self.rig.rules, spawn, release)
        os.close(gate)
        os.close(key)
        self.assertNotIn("confined", threads)
        while Path(f"/proc/{pid}/comm").read_text() != "sleep\n":
            self.assertEqual(os.waitpid(pid, os.WNOHANG), (0, 0))
            time.sleep(0.01)
        os.kill(pid, signal.SIGTERM)
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), -signal.SIGTERM)

    def test_rules_that_open_the_home_start_nothing(self) -> None:
        link = self.rig.home.parent / "link"
        link.symlink_to(self.rig.home)
        for path in (str(self.rig.home), str(link), "/"):
            with self.assertRaises(NotConfined):
                self.rig.says("true", evolve(self.rig.rules, writes=(str(self.rig.own), path)))

    def test_a_confinement_that_does_not_hold_starts_nothing(self) -> None:
        """It is tested before each start."""
        for call, why in ((446, "could still read"), (317, "could still use UNIX sockets")):
            rig = Rig(Path(self.mktemp()).absolute())
            rig.confiner = evolve(rig.confiner, calls=CallsWithout(call))
            with self.assertRaisesRegex(NotConfined, why):
                rig.says("echo started")
            self.assertFalse((rig.own / "said").exists(), why)

    def test_what_goes_wrong_in_the_start_is_told(self) -> None:
        with self.assertRaises(FileNotFoundError):
            self.rig.confiner.start(self.rig.rules, lambda: os.posix_spawn("/not/there", ["x"], {}))


class KernelTests(SynchronousTestCase):
    def test_a_kernel_without_it(self) -> None:
        confiner = Confiner(kernel=Kernel(0, "x86_64"), forbidden=())
        with self.assertRaises(NotConfined):
            confiner.start(Rules(reads=(), writes=()), lambda: self.fail("it was started"))
        self.assertFalse(Kernel(7, "").confines)
