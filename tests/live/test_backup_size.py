"""A large home backed up by the worker and by restic, on the same data: `make proof NAME=backup-size`.

Half of the vault is text in a database, half are attachments that do not compress.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import pyrage
from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.backup.archive.layout import Header, archive_name
from parachute_hub.backup.worker_process import MODULE
from tests.live.harness import ROOT

MEGABYTE = 1024 * 1024
BOUND = 60 * MEGABYTE
_WORDS = "the a note about garden letters of every day and what to remember tomorrow in bread water light".split()
_NOTE = 200
_FILE = 2 * MEGABYTE


@frozen
class Measured:
    """One run: seconds, and bytes of peak memory and of the most that lay in its scratch folder."""

    seconds: float
    memory: int
    scratch: int

    def __str__(self) -> str:
        figures = f"{self.seconds:.1f} s, {self.memory / MEGABYTE:.0f} MB of memory"
        return figures + (f", {self.scratch / MEGABYTE:.0f} MB of scratch space" if self.scratch else "")


def make_vault(home: Path, size: int) -> None:
    """A home of about `size` bytes."""
    random = Random(18)
    folder = home / "vault" / "attachments"
    folder.mkdir(parents=True)
    for number in range(size // 2 // _FILE):
        (folder / f"{number}.jpg").write_bytes(random.randbytes(_FILE))
    with closing(sqlite3.connect(home / "vault" / "vault.db")) as database, database:
        database.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, content TEXT)")
        text = (" ".join(random.choices(_WORDS, k=_NOTE)) + f" {random.random()}" for _ in iter(int, 1))
        written = 0
        while written < size // 2:
            note = next(text)
            written += len(note)
            database.execute("INSERT INTO notes (content) VALUES (?)", (note,))


def measured(process: "subprocess.Popen[bytes]", scratch: Path) -> Measured:
    """Watch a process to its end. Raises CalledProcessError."""
    began, memory, most = time.monotonic(), 0, 0
    while process.poll() is None:
        memory = max(memory, _peak(process.pid))
        most = max(most, total(scratch))
        time.sleep(0.02)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return Measured(time.monotonic() - began, memory, most)


def _peak(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def total(folder: Path) -> int:
    """Bytes of the files below a folder."""
    found = 0
    for top, _, names in os.walk(folder):
        for name in names:
            try:
                found += os.lstat(os.path.join(top, name)).st_size
            except FileNotFoundError:
                continue
    return found


def worker(job: dict[str, object], home: Path) -> Measured:
    """One job of the real worker process."""
    # The worker reports on descriptor 3, which Popen cannot place, so a shell does.
    command = ["sh", "-c", 'exec "$0" -m "$1" 3>/dev/null', sys.executable, MODULE]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=ROOT)
    assert process.stdin is not None
    process.stdin.write(json.dumps(job).encode() + b"\n")
    process.stdin.close()
    return measured(process, home / "tmp")


def restic(root: Path, *words: str) -> Measured:
    """One command of restic, at the worker's priority."""
    environment = {**os.environ, "RESTIC_PASSWORD": "x", "RESTIC_REPOSITORY": str(root / "restic")}
    kept = {**environment, "RESTIC_CACHE_DIR": str(root / "cache"), "TMPDIR": str(root / "scratch")}
    (root / "scratch").mkdir(exist_ok=True)
    process = subprocess.Popen(["nice", "-n", "10", "restic", "--quiet", *words], env=kept, stdin=subprocess.DEVNULL)
    return measured(process, root / "scratch")


def compare(root: Path, size: int, said: Callable[[str], object] = print, *, beside: bool = True) -> int:
    """Back up, check and unpack, `beside` restic if there is one; the worker's peak memory in bytes."""
    home, disk, out = root / "home", root / "disk", root / "out"
    disk.mkdir()
    make_vault(home, size)
    key = pyrage.x25519.Identity.generate()
    name, at = archive_name("0123abcd", 5.0), {"kind": "folder", "path": str(disk)}
    header = Header(id="1", created_at=1.0, hub_version="1", hub_id="0123abcd", schema=1, origin="", modules=())
    common: dict[str, object] = {"home": str(home), "from": at, "name": name, "identity": str(key), "most": 1 << 40}
    made = {**common, "do": "backup", "to": at, "header": header.to_json(), "recipient": str(key.to_public())}
    said(f"a home of {total(home) / MEGABYTE:.0f} MB")
    runs = {
        "backup": worker(made, home),
        "verify": worker({**common, "do": "verify"}, home),
        "restore": worker({**common, "do": "unpack", "into": str(out)}, home),
    }
    for what, run in runs.items():
        said(f"worker {what}: {run}")
    said(f"worker archive: {total(disk) / MEGABYTE:.0f} MB")
    if total(out / "vault" / "attachments") != total(home / "vault" / "attachments"):
        raise AssertionError("the restored attachments are not those of the home")
    shutil.rmtree(out)
    if beside and shutil.which("restic"):
        restic(root, "init")
        for what, words in {
            "backup": ("backup", str(home)),
            "verify": ("check", "--read-data"),
            "restore": ("restore", "latest", "--target", str(out)),
        }.items():
            said(f"restic {what}: {restic(root, *words)}")
        said(f"restic repository: {total(root / 'restic') / MEGABYTE:.0f} MB")
    return max(run.memory for run in runs.values())


class SizeTests(SynchronousTestCase):
    """The small form, without restic."""

    def test_memory_does_not_grow_with_the_home(self) -> None:
        root = Path(self.mktemp()).absolute()
        root.mkdir(parents=True)
        lines: list[str] = []
        self.assertLess(compare(root, 40 * MEGABYTE, lines.append, beside=False), BOUND, lines)


def main(megabytes: int) -> int:
    """The full form; 1 when the worker took too much memory."""
    with tempfile.TemporaryDirectory(prefix="parachute-size-") as folder:
        memory = compare(Path(folder), megabytes * MEGABYTE)
    print(f"peak memory of the worker {memory / MEGABYTE:.0f} MB, bound {BOUND // MEGABYTE} MB")
    return int(memory > BOUND)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if sys.argv[1:] else 200))
