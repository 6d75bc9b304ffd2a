"""The file of backups."""

from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.backup.records import (
    BackupCopy,
    BackupPlace,
    BackupsFile,
    BackupState,
    RecoveryKey,
    parse_place,
)
from parachute_hub.site.errors import Refused

PLACE = BackupPlace(id="p", kind="s3", label="bucket", added_at=1.0, endpoint="https://s3.example", secret="73656372")
COPY = BackupCopy(
    place="p", name="n", made_at=2.0, seconds=1.0, size=10, stored=5, files=1, sha256="00", recipient="age1",
    warnings=("one",),
)  # fmt: skip
STATE = BackupState(places=(PLACE,), copies=(COPY,), key=RecoveryKey(recipient="age1", made_at=1.0, identity="6b"))


class RecordsTests(SynchronousTestCase):
    def test_what_is_written_is_read(self) -> None:
        path = Path(self.mktemp())
        BackupsFile(path).change(STATE)
        self.assertEqual(BackupsFile(path).state, STATE)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)

    def test_a_damaged_file_is_kept_aside_and_said(self) -> None:
        for content in (b"", b"[]", b"{", b'{"places": [{}]}', b'{"places": null, "copies": []}'):
            path = Path(self.mktemp()).with_suffix(".json")
            path.write_bytes(content)
            file = BackupsFile(path)
            self.assertEqual((file.damaged, file.state), (True, BackupState()), content)
            file.change(STATE)
            self.assertEqual(path.with_suffix(".damaged.json").read_bytes(), content)
            self.assertEqual(BackupsFile(path).state, STATE)

    def test_the_api_shows_no_secret(self) -> None:
        self.assertNotIn("secret", str(PLACE.to_json()))
        self.assertNotIn("73656372", str(PLACE.to_json()))

    def test_history_counts_only_verified_backups(self) -> None:
        self.assertIsNone(STATE.history(PLACE).made_at)
        checked = STATE.with_copy(evolve(COPY, verified_at=3.0))
        self.assertEqual(checked.history(PLACE).made_at, 2.0)
        self.assertEqual(len(checked.copies), 1)

    def test_a_change_of_the_former_key_leaves_a_newer_one_alone(self) -> None:
        """Somebody confirms a sheet while another tab makes a new key."""
        self.assertEqual(STATE.with_key("age1former", confirmed_at=5.0), STATE)
        self.assertEqual(BackupState().with_key("age1", confirmed_at=5.0), BackupState())
        changed = STATE.with_key("age1", confirmed_at=5.0).key
        self.assertEqual(changed and changed.confirmed_at, 5.0)

    def test_a_destination_keeps_its_number(self) -> None:
        state = STATE.with_place(evolve(PLACE, id="q")).updated(evolve(PLACE, failures=1))
        self.assertEqual([(one.id, one.failures) for one in state.places], [("p", 1), ("q", 0)])

    def test_one_that_was_removed_stays_removed(self) -> None:
        self.assertEqual(STATE.without_place("p").updated(PLACE).places, ())

    def test_forgetting_a_destination_forgets_its_backups(self) -> None:
        state = STATE.without_place("p")
        self.assertEqual((state.places, state.copies), ((), ()))


class FolderTests(SynchronousTestCase):
    def test_a_folder_that_is_no_place_for_files_is_refused(self) -> None:
        for path in ("/proc/self/fd", "/dev", "/mnt/../sys/fs"):
            with self.assertRaises(Refused, msg=path):
                parse_place({"kind": "folder", "path": path}, "1", 1.0)
        self.assertEqual(parse_place({"kind": "folder", "path": "/process"}, "1", 1.0).path, "/process")
