"""Writing state files."""

import errno
import os
import stat
from pathlib import Path
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.system import atomic_files
from parachute_hub.system.atomic_files import Unsynced, atomic_write, private_folder, sweep_temporaries
from parachute_hub.system.storage_trouble import is_full


class AtomicWrite(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "state.json"

    def test_replaces_the_content_and_is_private(self) -> None:
        atomic_write(self.path, b"old")
        atomic_write(self.path, b"new")
        self.assertEqual(self.path.read_bytes(), b"new")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertEqual(os.listdir(self.folder), ["state.json"])

    def test_a_failure_leaves_the_old_file_and_no_rest(self) -> None:
        atomic_write(self.path, b"old")
        self.path.unlink()
        self.path.mkdir()
        (self.path / "in the way").touch()
        with self.assertRaises(OSError):
            atomic_write(self.path, b"new")
        self.assertEqual(os.listdir(self.folder), ["state.json"])

    def test_a_folder_that_is_not_there_is_told_by_the_file_that_people_know(self) -> None:
        with self.assertRaises(OSError) as caught:
            atomic_write(self.folder / "none" / "state.json", b"new")
        self.assertEqual(caught.exception.filename, str(self.folder / "none" / "state.json"))

    def test_new_but_not_safe_yet_is_told_apart(self) -> None:
        def refuse(folder: Path) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        atomic_write(self.path, b"old")
        self.patch(atomic_files, "sync_folder", refuse)
        with self.assertRaises(Unsynced) as caught:
            atomic_write(self.path, b"new")
        self.assertEqual((self.path.read_bytes(), caught.exception.errno), (b"new", errno.ENOSPC))
        self.assertTrue(is_full(caught.exception))
        self.assertFalse(is_full(ValueError()))

    def test_what_a_kill_left_is_swept_and_nothing_else(self) -> None:
        atomic_write(self.path, b"new")
        others = (".mine.tmp", "state.json.tmp", ".state.json.1-0123456.tmp")
        for name in (".state.json.123-0123abcd.tmp", *others):
            (self.folder / name).touch()
        sweep_temporaries(self.folder)
        self.assertEqual(sorted(os.listdir(self.folder)), sorted(("state.json", *others)))
        sweep_temporaries(self.folder / "missing")

    def test_folders_are_for_our_user_only(self) -> None:
        made = private_folder(Path(mkdtemp()) / "a" / "b")
        self.assertEqual(stat.S_IMODE(made.stat().st_mode), 0o700)
