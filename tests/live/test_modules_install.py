"""Installing from a registry with the real bun: a running module, or nothing."""

import json
import os
from pathlib import Path
from typing import Any, cast

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from parachute_hub.jobs.model import Job
from parachute_hub.jobs.runner import Work
from parachute_hub.modules.operations.health_gate import HealthGate
from parachute_hub.modules.operations.install import InstallRequest
from parachute_hub.modules.packages import lockfile
from parachute_hub.modules.state.services_file import ServicesFile
from parachute_hub.supervise.model import ModuleState, Status
from tests.live.modules_rig import BROKEN, CLOCK, PORT, Rig, ask, module, run
from tests.live.ports import free_port
from tests.modules.homes import write

TOY = InstallRequest(short="toy", package="@toys/toy")


class Rival:
    """Overwrites the new row once, just before the module starts."""

    def __init__(self, prover: HealthGate, services: ServicesFile) -> None:
        self.prover, self.services, self.due = prover, services, True

    async def prove(self, work: Work, short: str, seconds: float, settle: float) -> None:
        if self.due:
            self.due = False
            self.services.update(lambda registry: registry.without("toys-toy"))
        await self.prover.prove(work, short, seconds, settle)


class SlowDisk(TestCase):
    """Data reaches the disk only when the test allows it."""

    timeout = 60

    @run
    async def test_nothing_counts_as_installed_before_it_would_survive_a_power_cut(self) -> None:
        gate: Deferred[None] = Deferred()

        async def in_thread(function: Any, *args: Any) -> Any:
            return await (gate if function is os.sync else deferToThread(function, *args))

        rig = Rig.start(in_thread=in_thread)
        try:
            rig.registry.publish(module())
            job = await rig.modules.jobs.recorded(rig.modules.installer.install(TOY))
            while not (steps := rig.modules.jobs.get(job.id).steps) or steps[-1].name != "finish":
                self.assertIsNone(rig.modules.jobs.get(job.id).error)
                await deferLater(CLOCK, 0.02)
            self.assertEqual(steps[-2].name, "start")
            saved = json.loads((rig.home / "hub" / "jobs" / f"{job.id}.json").read_bytes())
            self.assertFalse(saved["committed"])
            self.assertEqual(
                [undo["handler"] for undo in saved["undo"]],
                ["settle", "discard", "discard", "record", "row", "activate"],
            )
            gate.callback(None)
            self.assertEqual((await rig.done(job)).status, "succeeded")
        finally:
            # A test that failed before must not wait for its own disk.
            if not gate.called:
                gate.callback(None)
            await rig.stop()


class Install(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.rig = Rig.start()

    def tearDown(self) -> Any:
        return run(lambda test: test.rig.stop())(self)

    async def install(self, request: InstallRequest = TOY) -> Job:
        return await self.rig.done(self.rig.modules.installer.install(request))

    @run
    async def test_a_module_is_installed_and_answers(self) -> None:
        self.rig.registry.publish(module())
        job = await self.install()
        self.assertEqual(job.status, "succeeded", job)
        sizes = {step.name: step.size for step in job.steps}
        self.assertGreater(sizes["verify"] or 0, sum(map(len, module().values())))
        row = self.rig.files.directory.services.read().row("toys-toy")
        assert row is not None
        self.assertEqual((row.version, row.port), ("1.0.0", PORT))
        answer = await ask(row.port, "/toy/x")
        self.assertEqual(answer["version"], "1.0.0")
        self.assertEqual(answer["env"]["PORT"], str(PORT))
        self.assertTrue((self.rig.home / "modules" / "node_modules" / "@toys" / "toy").is_symlink())
        self.assertTrue((self.rig.home / "modules" / "bin" / "toy-toy").is_symlink())

    @run
    async def test_a_restore_takes_the_package_that_the_backup_names(self) -> None:
        self.rig.registry.publish(module())
        refused = await self.install(evolve(TOY, integrity="sha512-another"))
        self.assertEqual(refused.status, "failed")
        self.assertIn("is not what the backup was made with", refused.error or "")
        self.assertEqual((await self.install()).status, "succeeded")
        lock = self.rig.files.directory.store.lock("@toys/toy")
        self.assertRegex(lockfile.integrity(lock.read_bytes(), "@toys/toy") or "", "^sha512-")

    @run
    async def test_a_folder_runs_where_it_is_and_again_when_it_changes(self) -> None:
        """The module author's workflow."""
        folder = write(Path(self.mktemp()).absolute(), module())
        job = await self.install(InstallRequest(short="toy", folder=folder))
        self.assertEqual(job.status, "succeeded", job)
        self.assertEqual((await ask(PORT, "/toy"))["version"], "1.0.0")
        self.rig.modules.linked.look()
        write(folder, module(version="1.0.1"))
        for _ in range(2):  # Until nothing changed between two looks.
            self.rig.modules.linked.look()
        status = await self.rig.supervisor.start("toy")
        while status.state is not ModuleState.READY:
            await deferLater(CLOCK, 0.02)
            status = cast(Status, self.rig.supervisor.status("toy"))
        answer = await ask(PORT, "/toy")
        self.assertEqual((answer["version"], answer["cwd"]), ("1.0.1", str(folder)))

    @run
    async def test_a_first_command_runs_once_and_only_with_consent(self) -> None:
        """With the module's own environment; what it says is in the log."""
        first = 'await Bun.write(`${process.env.PARACHUTE_HOME}/toy/made`, process.argv[2])\nconsole.log("made it")'
        files = {**module(init={"command": ["./first.ts", "here"]}), "first.ts": first}
        self.rig.registry.publish(files)
        job = await self.install()
        self.assertEqual((job.outcome, (job.error_detail or {})["command"]), ("failed", ["./first.ts", "here"]), job)
        self.assertFalse(self.rig.files.directory.records.known("toy"))
        made = self.rig.home / "toy" / "made"
        job = await self.install(evolve(TOY, init=False))
        self.assertEqual((job.status, made.exists()), ("succeeded", False), job)
        await self.rig.done(self.rig.modules.remover.uninstall("toy"))
        job = await self.install(evolve(TOY, init=True))
        self.assertEqual((job.status, made.read_text()), ("succeeded", "here"), job)
        self.assertIn("  made it", job.log)
        self.rig.registry.publish(module(version="1.0.1", init={"command": ["./first.ts", "again"]}))
        job = await self.install(InstallRequest(short="toy", package="@toys/toy", version="1.0.1"))
        self.assertEqual((job.status, made.read_text()), ("succeeded", "here"), job)

    @run
    async def test_a_first_command_that_fails_leaves_nothing(self) -> None:
        files = {**module(init={"command": ["./first.ts"]}), "first.ts": BROKEN}
        self.rig.registry.publish(files)
        job = await self.install(evolve(TOY, init=True, allow_new=True))
        self.assertIn("exit code 3", job.error or "")
        self.assertIn("cannot find my legs", "\n".join(job.log))
        self.assert_nothing()

    @run
    async def test_what_it_would_like_beside_it_is_offered(self) -> None:
        wanted = {"vault": {}, "scribe": {"optional": True}, "other": {}}
        self.rig.registry.publish(module("other", port=free_port()))
        self.rig.registry.publish(module(dependencies=wanted))
        await self.install(InstallRequest(short="other", package="@toys/other"))
        job = await self.install()
        self.assertEqual(job.status, "succeeded", job)
        self.assertEqual(
            job.log[-2:],
            (
                "toy needs vault, which is not installed. Install vault now.",
                "toy can make use of scribe. Install scribe as well if you want that.",
            ),
        )

    @run
    async def test_a_row_that_another_module_overwrote_is_written_again(self) -> None:
        """services.json has no lock: a module that starts meanwhile may write an older version of the file."""
        self.rig.registry.publish(module())
        installer = self.rig.modules.installer
        rival = Rival(installer.prover, self.rig.files.directory.services)
        job = await self.rig.done(evolve(installer, prover=cast(Any, rival)).install(TOY))
        self.assertEqual(job.status, "succeeded", job)
        row = self.rig.files.directory.services.read().row("toys-toy")
        assert row is not None
        self.assertEqual((await ask(row.port, "/toy"))["version"], "1.0.0")

    @run
    async def test_a_module_that_does_not_run_leaves_nothing(self) -> None:
        self.rig.registry.publish(module(server=BROKEN))
        job = await self.install()
        self.assertEqual(job.outcome, "failed", job)
        self.assertIn("cannot find my legs", "\n".join(job.log))
        self.assert_nothing()

    @run
    async def test_another_version_over_a_running_one_comes_back_when_it_fails(self) -> None:
        self.rig.registry.publish(module())
        await self.install()
        self.rig.registry.publish(module(version="2.0.0", server=BROKEN))
        job = await self.install(InstallRequest(short="toy", package="@toys/toy", version="2.0.0"))
        self.assertEqual(job.outcome, "failed", job)
        self.assertEqual((await ask(PORT, "/toy"))["version"], "1.0.0")
        self.assertEqual(self.rig.files.directory.store.versions("toy"), ("1.0.0",))
        self.assertTrue(self.rig.files.directory.records.wanted("toy"))

    def assert_nothing(self) -> None:
        self.assertEqual(self.rig.files.directory.services.read().rows, ())
        self.assertFalse(self.rig.files.directory.records.known("toy"))
        self.assertFalse((self.rig.home / "modules" / "node_modules" / "@toys" / "toy").is_symlink())
        self.assertEqual(self.rig.files.directory.store.versions("toy"), ())
        self.assertEqual(list((self.rig.home / "modules" / "store").glob("*/.*")), [])
        json.loads((self.rig.home / "services.json").read_bytes())
