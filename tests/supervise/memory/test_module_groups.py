"""The cgroups of modules, on a folder with the files that the kernel has there."""

import os
import signal
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.supervise.memory.cgroup import OWN_GROUP, Cgroup
from parachute_hub.supervise.memory.module_groups import ModuleGroups
from parachute_hub.supervise.model import Allowance, ModuleState
from tests.supervise.fixture import SupervisorCase

MB = 1 << 20


def group(folder: Path, **files: str) -> Path:
    """A folder of /sys/fs/cgroup with an own process."""
    told = {"controllers": "cpuset cpu io memory pids", "subtree_control": "", "procs": f"{os.getpid()}\n1\n", **files}
    folder.mkdir(parents=True)
    for name, text in told.items():
        (folder / f"cgroup.{name}").write_text(text)
    return folder


class PrepareTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = group(Path(self.mktemp()))

    def prepared(self, version: int = 2, whole: Path | None = None) -> ModuleGroups | None:
        return ModuleGroups.prepare(Cgroup(self.folder, version), whole or self.folder)

    def test_a_container_with_a_hierarchy_of_its_own(self) -> None:
        found = self.prepared()
        assert found is not None
        self.assertEqual(found.controllers, {"memory", "cpu"})
        # The last of several writes to one file, which the kernel takes one by one.
        self.assertEqual((self.folder / OWN_GROUP / "cgroup.procs").read_text(), "1")
        self.assertEqual((self.folder / "cgroup.subtree_control").read_text(), "+memory")

    def test_what_is_not_the_hubs_stays_as_it_is(self) -> None:
        """A terminal's group, a v1 hierarchy, one that cannot be written, or one without these controllers."""
        elsewhere = Path("/sys/fs/cgroup")
        for version, whole, controllers in ((2, elsewhere, "memory"), (1, None, "memory"), (2, None, "pids")):
            (self.folder / "cgroup.controllers").write_text(controllers)
            self.assertIsNone(self.prepared(version, whole), (version, controllers))
        self.assertEqual((self.folder / "cgroup.subtree_control").read_text(), "")
        (self.folder / "cgroup.subtree_control").unlink()
        self.assertIsNone(self.prepared())

    def test_the_mark_of_systemd(self) -> None:
        """`Delegate=yes` in the service's unit."""
        try:
            os.setxattr(self.folder, "user.delegate", b"1")
        except OSError as error:
            self.skipTest(f"files here have no attributes: {error}")
        self.assertIsNotNone(self.prepared(whole=Path("/sys/fs/cgroup")))

    def test_a_hub_that_took_over_finds_the_same_group(self) -> None:
        proc, mounts = Path(self.mktemp()), Path(self.mktemp())
        (proc / "self").mkdir(parents=True)
        service = group(mounts / "user.slice/parachute.service")
        (service / "memory.current").write_text("1000\n")
        for own in ("", f"/{OWN_GROUP}"):
            (proc / "self/cgroup").write_text(f"0::/user.slice/parachute.service{own}\n")
            self.assertEqual(Cgroup.find(proc, mounts), Cgroup(service, 2))


class LimitTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = group(Path(self.mktemp()))
        self.groups = ModuleGroups(self.folder, frozenset({"memory", "cpu"}))

    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in sorted((self.folder / "module-vault").iterdir())}

    def test_what_the_kernel_is_told(self) -> None:
        self.groups.put("vault", 77, Allowance(memory=128 * MB, processor=0.5))
        limits = {"memory.max": str(144 * MB), "memory.oom.group": "1", "cpu.max": "50000 100000"}
        self.assertEqual(self.files(), {**limits, "cgroup.procs": "77"})
        for allowance, memory, cpu in (
            (Allowance(memory=64 * MB, processor=2.0), str(72 * MB), "200000 100000"),
            (Allowance(), "max", "max 100000"),
            (Allowance(processor=0.05), "max", "5000 100000"),
        ):
            self.groups.keep("vault", allowance)
            found = self.files()
            self.assertEqual((found["memory.max"], found["cpu.max"]), (memory, cpu), allowance)
            self.assertEqual(self.groups.kept("vault"), allowance)

    def test_only_what_is_there(self) -> None:
        self.groups = ModuleGroups(self.folder, frozenset({"cpu"}))
        self.groups.put("vault", 77, Allowance(memory=128 * MB))
        self.assertEqual(set(self.files()), {"cgroup.procs", "cpu.max"})


class SupervisedTests(SupervisorCase):
    def setUp(self) -> None:
        self.groups = ModuleGroups(group(Path(self.mktemp())), frozenset({"memory", "cpu"}))
        super().setUp()

    def limit(self, name: str) -> str:
        assert self.groups is not None
        return (self.groups.folder / "module-vault" / name).read_text()

    def test_a_process_is_limited_from_its_start_and_a_change_holds_at_once(self) -> None:
        self.supervisor.startService()
        self.plan.limits["vault"] = Allowance(memory=128 * MB)
        process = self.ready()
        self.assertEqual((self.limit("cgroup.procs"), self.limit("memory.max")), (str(process.pid), str(144 * MB)))
        self.plan.limits["vault"] = Allowance(processor=0.5)
        self.pass_time(2.1)
        self.assertEqual((self.limit("memory.max"), self.limit("cpu.max")), ("max", "50000 100000"))
        # The hub itself stops nothing then.
        self.system.seconds["vault"] = 100.0
        self.pass_time(6)
        self.assertEqual(process.signals, [])
        process.exit(1)
        self.turn()
        self.assertEqual(self.limit("cgroup.procs"), str(self.reactor.spawned[-1].pid))

    def test_a_module_starts_without_its_group(self) -> None:
        """Somebody removed it, or the kernel refused."""
        assert self.groups is not None
        self.groups.folder = self.groups.folder / "gone"
        self.supervisor.startService()
        self.ready()
        self.pass_time(6)
        self.assertEqual(self.state(), ModuleState.READY)
        failures = self.flushLoggedErrors(FileNotFoundError)
        self.assertEqual(len(failures), 2)


class BrakedTests(SupervisorCase):
    def test_the_hub_does_it_where_the_kernel_does_not(self) -> None:
        self.supervisor.startService()
        self.plan.limits["vault"] = Allowance(processor=0.5)
        process = self.ready()
        for _ in range(100):
            self.system.seconds["vault"] = self.system.seconds.get("vault", 0.0) + 0.05
            self.pass_time(0.05)
        self.assertIn(signal.SIGSTOP, process.signals)
        process.signals.clear()
        stopped = self.begin(self.supervisor.stop("vault"))
        self.pass_time(0.1)
        self.assertEqual(self.successResultOf(stopped).state, ModuleState.STOPPED)
        self.assertNotIn(signal.SIGSTOP, process.signals)
