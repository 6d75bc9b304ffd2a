"""Disks that fail: cut off from power in the middle of a write, and full at every size."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase, TestCase

from parachute_hub.modules.installer import InstallRequest
from tests.live.modules_rig import Rig, module, run
from tests.live.powercut import Loss
from tests.live.syscalls import record

WRITER = """
import os, sys
from pathlib import Path
from parachute_hub import files
if sys.argv[2] == "careless":
    os.fsync = lambda descriptor: None
files.atomic_write(Path(sys.argv[1]) / "state", b"new")
print("written", flush=True)
"""


class PowerCut(SynchronousTestCase):
    def outcomes(self, how: str) -> tuple[set[object], set[object]]:
        """What `state` may hold after a cut anywhere, and after one when the write was acknowledged."""
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


class FullDisk(TestCase):
    """An install on small disks of every size: it works, or it leaves nothing, and the home stays readable."""

    timeout = 100

    @run
    async def test_at_every_size(self) -> None:
        if os.getuid() != 0:
            raise AssertionError("This test mounts a small disk: run it as root.")
        outcomes: list[str] = []
        for kilobytes in (200, 260, 330, 420, 560, 900, 8000):
            outcomes.append(await self.install_on(kilobytes))
        self.assertEqual(outcomes[0], "failed")
        self.assertEqual(outcomes[-1], "succeeded")

    async def install_on(self, kilobytes: int) -> str:
        home = Path(tempfile.mkdtemp(prefix="parachute-small-"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(home)], check=True)
        rig = Rig.start(home=home)
        fetcher: Any = rig.modules.installer.fetcher
        object.__setattr__(fetcher, "free_bytes", lambda: 1 << 40)
        try:
            rig.registry.publish({**module(), "ballast": os.urandom(100_000).hex()})
            job = await rig.done(rig.modules.installer.install(InstallRequest(short="toy", package="@toys/toy")))
            rows = rig.files.services.read()
            self.assertEqual(rows.problems, ())
            installed = bool(rows.rows)
            self.assertEqual(installed, job.outcome == "succeeded", job)
            self.assertEqual(rig.files.store.locate("@toys/toy") is not None, installed)
            if not installed:
                self.assertEqual(list((home / "modules" / "store").glob("*/*")), [])
                self.assertRegex(job.error or "", "disk|unpacked|room")
            return job.outcome or ""
        except Exception as refusal:
            self.assertIn("cannot be written down", str(refusal))
            return "failed"
        finally:
            await rig.stop()
            self.flushLoggedErrors(OSError)
            subprocess.run(["umount", "-l", str(home)], check=True)
            home.rmdir()
