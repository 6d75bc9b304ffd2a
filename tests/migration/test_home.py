"""Copies of what both hubs write, and the way back."""

import contextlib
import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.migration import home as older_home
from parachute_hub.migration.home import COPIES, CannotUndo, check_not_running, keep_copies, undo, user_of
from parachute_hub.system.atomic_files import atomic_write
from parachute_hub.system.home import HomeError, HomeTaken

NOW = 1000.0


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.home = Path(self.mktemp()).absolute()
        self.home.mkdir()
        (self.home / "hub.db").write_bytes(b"the older hub's")
        self.write("services.json", b'{"services": []}\n', 0o644)
        self.write("operator.token", b"their-token", 0o600)
        self.write("vault/.env", b"A=1", 0o640)

    def write(self, name: str, content: bytes, mode: int = 0o600) -> None:
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(mode)

    def shared(self) -> dict[str, tuple[bytes, int]]:
        """What the older hub finds: everything outside of this hub's folder."""
        files = (path for path in self.home.rglob("*") if path.is_file())
        outside = (path for path in files if path.relative_to(self.home).parts[0] != "hub")
        return {str(path.relative_to(self.home)): (path.read_bytes(), path.stat().st_mode & 0o777) for path in outside}

    def use(self) -> None:
        """What this hub does to such a home."""
        self.assertTrue(keep_copies(self.home))
        self.write("services.json", b"{}")
        self.write("operator.token", b"our-token")
        self.write("vault/.env", b"A=1\nB=2")
        self.write("scribe/config.json", b"{}")
        self.write("hub-instance.json", b"{}", 0o644)
        self.write("hub/accounts.key", b"key")
        with closing(sqlite3.connect(self.home / "parachute.db")) as opened:
            opened.execute("PRAGMA journal_mode = WAL")
            opened.execute("CREATE TABLE users (name)")
            opened.execute("CREATE TABLE audit (at REAL, actor TEXT, action TEXT, means TEXT)")
            opened.commit()


class CopiesTests(Case):
    def test_everything_comes_back_byte_for_byte(self) -> None:
        before = self.shared()
        self.use()
        changed = undo(self.home, NOW)
        self.assertEqual(changed, ["services.json", "operator.token", "vault/.env", "scribe/config.json"])
        self.assertEqual(self.shared(), before)
        aside = self.home / COPIES / "undone-1" / "parachute.db"
        with closing(sqlite3.connect(aside)) as opened:
            self.assertEqual(opened.execute("SELECT * FROM audit").fetchall(), [(NOW, "", "move-undone", "command")])

    def test_copies_are_made_once(self) -> None:
        """A later start would copy this hub's own files."""
        keep_copies(self.home)
        self.write("services.json", b"ours")
        keep_copies(self.home)
        self.assertEqual((self.home / COPIES / "services.json").read_bytes(), b'{"services": []}\n')

    def test_a_disk_that_refuses_the_copies(self) -> None:
        """Half a set of copies does not count."""

        def refuse(path: Path, data: bytes, mode: int = 0o600) -> None:
            if path.name == "operator.token":
                raise OSError(errno.ENOSPC, "No space left on device")
            atomic_write(path, data, mode)

        self.patch(older_home, "atomic_write", refuse)
        error = self.assertRaises(HomeError, keep_copies, self.home)
        self.assertIn("No space left on device. Free some space", str(error))
        self.assertRaises(CannotUndo, undo, self.home, NOW)
        self.patch(older_home, "atomic_write", atomic_write)
        self.assertTrue(keep_copies(self.home))

    def test_another_home_gets_none(self) -> None:
        (self.home / "hub.db").unlink()
        self.assertFalse(keep_copies(self.home))
        self.assertFalse((self.home / "hub").exists())
        self.assertRaises(CannotUndo, undo, self.home, NOW)

    def test_there_and_back_twice(self) -> None:
        self.use()
        undo(self.home, NOW)
        self.write("services.json", b"changed by the older hub", 0o644)
        before = self.shared()
        self.use()
        undo(self.home, NOW)
        self.assertEqual(self.shared(), before)
        self.assertTrue((self.home / COPIES / "undone-2" / "parachute.db").is_file())

    def test_a_damaged_list(self) -> None:
        self.use()
        for content in (b"", b"[]", b'{"../../etc/passwd": 384}'):
            self.write(f"{COPIES}/copies.json", content)
            self.assertRaises(CannotUndo, undo, self.home, NOW)

    def test_a_kill_between_any_two_steps(self) -> None:
        """Another call goes on to the same end."""
        before = self.shared()
        self.use()
        saved = self.home.with_name("saved")
        shutil.copytree(self.home, saved)
        self.addCleanup(shutil.rmtree, saved)
        stops = 0
        while True:
            shutil.rmtree(self.home)
            shutil.copytree(saved, self.home)
            with _Killed(self, stops) as killed:
                undo(self.home, NOW)
            if not killed.happened:
                break
            with contextlib.suppress(CannotUndo):
                # It may have come to its end.
                undo(self.home, NOW)
            self.assertEqual(self.shared(), before, stops)
            stops += 1
        self.assertGreater(stops, 6)


class _Died(BaseException):
    """The process ends here."""


class _Killed:
    """Ends `undo` before the change of this number."""

    def __init__(self, test: SynchronousTestCase, after: int) -> None:
        self.happened = False
        self._left = after
        for module, name in ((os, "rename"), (older_home, "atomic_write"), (older_home, "settle_database")):
            test.patch(module, name, self._counted(getattr(module, name)))

    def _counted(self, real):  # type: ignore[no-untyped-def]
        def call(*args, **kwargs):  # type: ignore[no-untyped-def]
            if self._left == 0 and not self.happened:
                self.happened = True
                raise _Died
            self._left -= 1
            return real(*args, **kwargs)

        return call

    def __enter__(self) -> "_Killed":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        return kind is _Died


class RunningTests(Case):
    def test_a_process_that_has_the_database_open(self) -> None:
        self.assertIsNone(user_of(self.home / "hub.db"))
        check_not_running(self.home)
        program = "import sys; held = open(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
        process = subprocess.Popen(
            [sys.executable, "-c", program, str(self.home / "hub.db")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdout.readline()
            self.assertEqual(user_of(self.home / "hub.db"), process.pid)
            error = self.assertRaises(HomeTaken, check_not_running, self.home)
            self.assertIn(f"process {process.pid}", str(error))
        finally:
            process.stdin.close()
            process.wait(10)
            process.stdout.close()
