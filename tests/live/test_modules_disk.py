"""Disks that fail: cut off from power in the middle of a write, and full at every size."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase, TestCase

from parachute_hub.modules.installer import InstallRequest
from tests.live.modules_rig import Rig, module, run

WRITER = """
import os, sys
from pathlib import Path
from parachute_hub import files
if sys.argv[2] == "careless":
    os.fsync = lambda descriptor: None
files.atomic_write(Path(sys.argv[1]) / "state", b"new")
"""
CALL = re.compile(r"^(\w+)\((.*)\)\s+= (-?\d+)")


@frozen
class Call:
    """One system call on the folder: `open` of a name, `write`, `fsync` of a name or the folder, `rename`."""

    kind: str
    names: tuple[str, ...]


def recorded(folder: Path, how: str) -> list[Call]:
    """What one atomic write does, as strace sees it."""
    trace = folder.with_suffix(".trace")
    command = ["strace", "-y", "-qq", "-o", str(trace), "-e", "trace=openat,write,fsync,rename,renameat,renameat2"]
    subprocess.run(
        [*command, sys.executable, "-c", WRITER, str(folder), how], check=True, cwd=Path(__file__).parents[2]
    )
    return list(_calls(trace.read_text(), str(folder)))


def _calls(text: str, folder: str) -> Iterator[Call]:
    for line in text.splitlines():
        found = CALL.match(line)
        if found is None or folder not in line or int(found[3]) < 0:
            continue
        names = tuple(Path(name).name for name in re.findall(re.escape(folder) + r"(/[^\">]*)?", found[2]))
        word = {"openat": "open", "renameat": "rename", "renameat2": "rename"}.get(found[1], found[1])
        if word == "open" and "O_CREAT" not in found[2]:
            continue
        yield Call(word, names)


def after_a_cut(calls: list[Call], lost: bool) -> bytes | None:
    """What `state` holds when the power goes after these calls. `lost` drops all that was not made durable.

    Data is durable after fsync of its file. A rename is durable after fsync of the folder; until then the disk may
    have it or not, and it may well have it without the data.
    """
    contents: dict[str, bytes] = {"state": b"old"}
    durable: dict[str, bytes] = {"state": b"old"}
    name_on_disk = "state"
    renamed = ""
    for call in calls:
        target = call.names[0] if call.names else ""
        match call.kind:
            case "open":
                contents[target] = b""
            case "write":
                contents[target] = b"new"
            case "fsync" if target:
                durable[target] = contents[target]
            case "fsync":
                name_on_disk = renamed or name_on_disk
            case "rename":
                renamed = target
    if renamed and not lost:
        name_on_disk = renamed
    return durable.get(name_on_disk, b"")


class PowerCut(SynchronousTestCase):
    def outcomes(self, how: str) -> tuple[set[bytes | None], set[bytes | None]]:
        """What may be found after a cut anywhere, and after one when the write was acknowledged."""
        folder = Path(tempfile.mkdtemp(prefix="parachute-cut-"))
        try:
            (folder / "state").write_bytes(b"old")
            calls = recorded(folder, how)
        finally:
            shutil.rmtree(folder)
            folder.with_suffix(".trace").unlink(missing_ok=True)
        self.assertEqual([call.kind for call in calls if call.kind == "rename"], ["rename"])
        anywhere = {after_a_cut(calls[:end], lost) for end in range(len(calls) + 1) for lost in (True, False)}
        return anywhere, {after_a_cut(calls, lost) for lost in (True, False)}

    def test_old_or_new_and_new_once_acknowledged(self) -> None:
        self.assertEqual(self.outcomes("careful"), ({b"old", b"new"}, {b"new"}))

    def test_the_model_can_fail(self) -> None:
        anywhere, acknowledged = self.outcomes("careless")
        self.assertIn(b"", anywhere)
        self.assertNotEqual(acknowledged, {b"new"})


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
