"""The disk is full at each write of a restore: the home stays as it was, with words that help, until there is room."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pyrage
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.backup import switch
from parachute_hub.backup.archive.layout import archive_name
from parachute_hub.backup.archive.worker import Reports, run
from tests.backup.archive.test_archive import header, make_home
from tests.backup.test_switch import NEW, OLD, STAY
from tests.live.fulldisk import FullDisk

KEY = pyrage.x25519.Identity.generate()
NAME = archive_name("0123abcd", 5.0)
WAYS = {"full once": (False, errno.ENOSPC), "full from then on": (True, errno.ENOSPC), "broken": (True, errno.EIO)}


def files(home: Path) -> dict[str, bytes]:
    """What a home holds, without what restores keep aside."""
    found = {str(path.relative_to(home)): path for path in home.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(switch.FOLDER)}


class FullDiskTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.root = Path(self.mktemp()).absolute()
        self.root.mkdir(parents=True)

    def work(self, job: dict[str, Any]) -> dict[str, Any]:
        """The last report of one job, in this process, so that its disk can be full."""
        lines: list[bytes] = []
        run(job, Reports(lines.append, lambda: 0.0))
        last: dict[str, Any] = json.loads(lines[-1])
        return last

    def test_at_each_write_while_it_is_unpacked(self) -> None:
        disk, source, home = self.root / "disk", self.root / "source", self.root / "home"
        disk.mkdir()
        make_home(source, {"vault/note": os.urandom(600_000), "scribe/.env": b"x", "parachute.db": b"no database"})
        make_home(home, OLD)
        at = {"kind": "folder", "path": str(disk)}
        made = {"do": "backup", "home": str(source), "header": header().to_json(), "name": NAME, "to": at}
        self.assertEqual(self.work({**made, "recipient": str(KEY.to_public())})["event"], "done")
        staged = switch.staging(home, "r1")
        job = {"do": "unpack", "home": str(home), "from": at, "name": NAME, "identity": str(KEY), "most": 1 << 40}
        job["into"] = str(staged)
        # Folders that exist from the first run on are no writes later.
        self.work(job)
        calm = FullDisk(home)
        with calm.at_work():
            ended = self.work(job)
        self.assertEqual(ended["event"], "done", (ended, calm.calls))
        self.assertGreater(len(calm.calls), 8, calm.calls)
        for way, (lasting, error) in WAYS.items():
            for number, call in enumerate(calm.calls, 1):
                with FullDisk(home, at=number, lasting=lasting, error=error).at_work():
                    ended = self.work(job)
                case = (way, call, ended)
                if call == "mkdir tmp" and not lasting:
                    # It is there already, so a refusal to make it changes nothing.
                    self.assertEqual(ended["event"], "done", case)
                    continue
                self.assertEqual(ended["event"], "failed", case)
                self.assertEqual(ended["kind"], "disk_full" if error == errno.ENOSPC else "disk", case)
                self.assertIn("Free some space" if error == errno.ENOSPC else "Input/output error", ended["error"])
                self.assertEqual(files(home), OLD, case)
                self.assertEqual(os.listdir(home / "tmp"), [], case)
                self.assertFalse(staged.exists(), case)
        self.assertEqual(self.work(job)["event"], "done")

    def test_at_each_write_while_it_takes_the_place(self) -> None:
        after = {**NEW, **STAY}
        calm = FullDisk(self.fresh("calm"))
        with calm.at_work():
            self.exchange(calm.home)
        self.assertGreater(len(calm.calls), 20, calm.calls)
        for way, (lasting, error) in WAYS.items():
            for number, call in enumerate(calm.calls, 1):
                home, case = self.fresh(f"{way} {number}"), (way, call)
                with FullDisk(home, at=number, lasting=lasting, error=error).at_work():
                    decided = self.decided(home)
                    if not decided:
                        self.assertEqual(files(home), OLD, case)
                    elif not self.finished(home, error, case):
                        undone = (home / switch.FOLDER / "ready.json").exists()
                        self.assertTrue(undone or files(home) == after, case)
                switch.finish(home)
                self.assertEqual(files(home), after if decided else OLD, case)

    def fresh(self, name: str) -> Path:
        home = make_home(self.root / name, OLD)
        make_home(switch.staging(home, "r1"), NEW)
        return home

    def exchange(self, home: Path) -> None:
        switch.commit(home, "r1", {})
        switch.finish(home)

    def decided(self, home: Path) -> bool:
        try:
            switch.commit(home, "r1", {})
        except OSError:
            return (home / switch.FOLDER / "ready.json").exists()
        return True

    def finished(self, home: Path, number: int, case: object) -> bool:
        try:
            return switch.finish(home)
        except switch.RestoreStuck as error:
            self.assertEqual("Free some space" in str(error), number == errno.ENOSPC, (case, str(error)))
            return False
