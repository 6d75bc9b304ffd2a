"""The hub's own records of modules."""

import json
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.state.records import Record, RecordsFile, RecordsRefused
from parachute_hub.system import atomic_files
from tests.support.at_once import at_once


class Records(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "modules.json"
        self.problems: list[str] = []

    def load(self) -> RecordsFile:
        return RecordsFile(self.path, on_problem=self.problems.append)

    def test_a_wish_survives(self) -> None:
        records = self.load()
        self.assertTrue(records.wanted("vault"))
        self.assertFalse(self.path.exists())
        records.want("vault", False)
        self.assertFalse(self.load().wanted("vault"))
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_memory_follows_the_disk_when_only_the_last_step_failed(self) -> None:
        def refuse(folder: Path) -> None:
            raise OSError(28, "No space left on device")

        records = self.load()
        records.change("toy", package="@toys/toy")
        refusing = self.patch(atomic_files, "sync_folder", refuse)
        with self.assertRaises(RecordsRefused):
            at_once(records.put("toy", None))
        refusing.restore()
        records.change("toy", package="@toys/toy")
        self.assertEqual(self.load().get("toy").package, "@toys/toy")

    def test_a_wish_that_could_not_be_stored_is_stored_later(self) -> None:
        records = self.load()
        records.change("toy", package="@toys/toy")
        before = records.get("toy")
        away = self.path.parent.rename(self.path.parent.with_name("away"))
        self.path.parent.touch()
        records.want("toy", False)
        self.assertEqual(len(self.problems), 1)
        self.path.parent.unlink()
        away.rename(self.path.parent)
        records.put("toy", records.get("toy"))
        self.assertFalse(self.load().wanted("toy"))
        records.put("toy", before)
        self.assertTrue(self.load().wanted("toy"))

    def test_every_field_comes_back(self) -> None:
        full = Record(
            wanted=False,
            autostart=False,
            package="@x/y",
            row="x-y",
            previous="1.0.0",
            linked="/src",
            env={"A": "1"},
            memory_limit=1 << 28,
            smol=False,
            pin=True,
            trusted=True,
        )
        records = self.load()
        records.put("y", full)
        records.choose_channel("rc")
        again = self.load()
        self.assertEqual(again.get("y"), full)
        self.assertEqual((again.channel, again.by_row("x-y"), again.known("z")), ("rc", "y", False))
        again.put("y", None)
        self.assertFalse(self.load().known("y"))

    def test_a_damaged_file_is_kept_and_reported(self) -> None:
        self.path.parent.mkdir()
        for content in (b"", b"{", b'{"modules": {"x": {"wanted": 1}}}', b'{"channel": "nightly"}'):
            self.path.write_bytes(content)
            self.assertEqual(self.load().get("x"), Record())
            self.assertEqual(self.path.with_name("modules.json.corrupt").read_bytes(), content)
        self.assertEqual(len(self.problems), 4)

    def test_what_cannot_be_written_is_refused_and_not_remembered(self) -> None:
        records = self.load()
        self.path.parent.write_text("in the way")
        with self.assertRaises(RecordsRefused):
            at_once(records.change("x", pin=True))
        self.assertFalse(records.get("x").pin)

    def test_a_full_disk_does_not_keep_anybody_from_stopping(self) -> None:
        records = self.load()
        self.path.parent.write_text("in the way")
        records.want("x", False)
        self.assertFalse(records.wanted("x"))
        self.assertIn("That x is off could not be stored", self.problems[0])
        self.path.parent.unlink()
        records.change("y", pin=True)
        self.assertFalse(self.load().wanted("x"))

    def test_the_file_is_small(self) -> None:
        records = self.load()
        records.change("x", pin=True)
        self.assertEqual(json.loads(self.path.read_text()), {"modules": {"x": {"pin": True}}})


class ChangeTests(SynchronousTestCase):
    def test_every_change_is_announced_once_it_holds(self) -> None:
        path = Path(self.mktemp()) / "hub" / "modules.json"
        seen: list[bool] = []
        records = RecordsFile(path, on_change=lambda: seen.append(records.get("toy").trusted))
        records.change("toy", trusted=True)
        records.change("toy", trusted=True)
        records.change("toy", trusted=False)
        self.assertEqual(seen, [True, False])
