"""Failing disks: power cuts in the middle of a write, and full disks of every size."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from parachute_hub.modules.operations.install import InstallRequest
from parachute_hub.modules.state.disk_space import Disk
from parachute_hub.modules.state.records import RecordsRefused
from parachute_hub.modules.state.services_file import RegistryRefused
from parachute_hub.modules.state.store import BadPackage
from parachute_hub.site.errors import Refused
from tests.live.modules_rig import Rig, module, run
from tests.live.modules_victim import begin
from tests.live.powercut import Loss
from tests.live.syscalls import record
from tests.live.test_modules_kill import state
from tests.requirements import program, requires, right

ROOM = (0, 4, 8, 16, 32, 64, 128, 256, 512, 4000)
"""KiB that are free."""
WRITER = """
import os, sys
from pathlib import Path
from parachute_hub.system import atomic_files
if sys.argv[2] == "careless":
    os.fsync = lambda descriptor: None
atomic_files.atomic_write(Path(sys.argv[1]) / "state", b"new")
print("written", flush=True)
"""


@requires(program("strace"), right("to trace processes"))
class PowerCut(SynchronousTestCase):
    def outcomes(self, how: str) -> tuple[set[object], set[object]]:
        """The possible content of `state` after a cut anywhere, and after an acknowledged write."""
        folder = Path(tempfile.mkdtemp(prefix="parachute-cut-"))
        try:
            (folder / "state").write_bytes(b"old")
            disk = record(folder, [sys.executable, "-c", WRITER, str(folder), how], b"written")
        finally:
            shutil.rmtree(folder)
        acknowledged = disk.acknowledged
        assert acknowledged is not None
        found = {
            (cut >= acknowledged, disk.after_a_cut(cut, loss, Random(seed)).get(b"state"))
            for cut in range(len(disk.steps) + 1)
            for loss in Loss
            for seed in range(200)
        }
        return {content for _, content in found}, {content for after, content in found if after}

    def test_old_or_new_and_new_once_acknowledged(self) -> None:
        self.assertEqual(self.outcomes("careful"), ({b"old", b"new"}, {b"new"}))

    def test_the_model_can_fail(self) -> None:
        anywhere, acknowledged = self.outcomes("careless")
        self.assertTrue({b"", b"\0\0\0", b"ne"} <= anywhere, anywhere)
        self.assertIn(b"old", acknowledged)


@requires(right("to mount"))
class FullDisk(TestCase):
    """Small disks of every size, for bun and the hub: the operation works, or leaves the old state."""

    timeout = 200

    @run
    async def test_an_install_at_every_size(self) -> None:
        outcomes = [await self.install_on(kilobytes) for kilobytes in (200, 260, 330, 420, 560, 900, 8000)]
        self.assertEqual((outcomes[0], outcomes[-1]), ("failed", "succeeded"))

    @run
    async def test_an_upgrade_and_an_uninstall_with_every_room(self) -> None:
        for what in ("upgrade", "rollback", "uninstall"):
            outcomes = [await self.change_with(what, kilobytes) for kilobytes in ROOM]
            self.assertEqual((outcomes[0], outcomes[-1]), ("failed", "succeeded"), what)

    @asynccontextmanager
    async def disk(self, kilobytes: int) -> AsyncIterator[Rig]:
        """Modules on a disk of this size, without the check for free space."""
        home = Path(tempfile.mkdtemp(prefix="parachute-small-"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(home)], check=True)
        rig = Rig.start(home=home)
        fetcher: Any = rig.modules.installer.fetcher
        begun = partial(home.glob, "modules/store/*/.incoming-*")
        # Nor does it look again while bun works, as it would on a slow machine.
        object.__setattr__(fetcher, "clock", Clock())
        object.__setattr__(fetcher.room, "free_bytes", lambda: 1 << 40)
        object.__setattr__(fetcher, "free_bytes", lambda: Disk(home).free_bytes() if any(begun()) else 1 << 40)
        try:
            yield rig
        finally:
            await rig.stop()
            self.flushLoggedErrors(OSError, RecordsRefused, RegistryRefused, BadPackage)
            subprocess.run(["umount", "-l", str(home)], check=True)
            home.rmdir()

    async def install_on(self, kilobytes: int) -> str:
        async with self.disk(kilobytes) as rig:
            rig.registry.publish({**module(), "ballast": os.urandom(100_000).hex()})
            try:
                job = await rig.done(rig.modules.installer.install(InstallRequest(short="toy", package="@toys/toy")))
            except Refused as refusal:
                self.assertIn("could not be recorded", str(refusal))
                return "failed"
            rows = rig.files.directory.services.read()
            self.assertEqual(rows.problems, ())
            installed = bool(rows.rows)
            self.assertEqual(installed, job.outcome == "succeeded", job)
            self.assertEqual(rig.files.directory.store.locate("@toys/toy") is not None, installed)
            if not installed:
                self.assertEqual(list((rig.home / "modules" / "store").glob("*/*")), [])
                self.assertRegex(job.error or "", "Free some space")
            return job.outcome or ""

    async def change_with(self, what: str, kilobytes: int) -> str:
        """An operation on an installed module with little space, then with enough."""
        async with self.disk(8000) as rig:
            for version in ("1.0.0", "2.0.0"):
                rig.registry.publish({**module(version=version), "ballast": os.urandom(100_000).hex()})
            for earlier in {"upgrade": ("install",), "rollback": ("install", "upgrade")}.get(what, ("install",)):
                self.assertEqual((await rig.done(begin(rig, earlier))).outcome, "succeeded")
            before = state(rig.home)
            filler = rig.home / "filler"
            with filler.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, max(1, Disk(rig.home).free_bytes() - kilobytes * 1024))
            try:
                job = await rig.done(begin(rig, what))
            except Refused as refusal:
                self.assertIn("Free some space", str(refusal))
                self.assertEqual(state(rig.home), before)
                return "failed"
            self.assertEqual(rig.files.directory.services.read().problems, ())
            filler.unlink()
            await rig.modules.jobs.undo_left()
            if job.outcome != "succeeded":
                self.assertRegex(job.error or "", "Free some space")
                self.assertEqual(state(rig.home), before, (what, kilobytes))
            else:
                self.assertNotEqual(state(rig.home), before)
            return job.outcome or ""
