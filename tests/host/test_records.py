import json
import os
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.host.records import HostRecords, Hub, UnusableRecord, paired, settled
from parachute_hub.link.code import LIFE_SECONDS, MOST_TRIES

ONE, TWO = b"1" * 32, b"2" * 32


class RecordCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.records = HostRecords(self.folder, "vault")


class HostRecordsTests(RecordCase):
    def test_a_new_home_gets_a_name_and_keeps_it(self) -> None:
        record = self.records.current()
        self.assertEqual((record.short, record.hub), ("vault", None))
        self.assertEqual(HostRecords(self.folder).current(), record)

    def test_a_home_without_a_host_is_told_apart(self) -> None:
        with self.assertRaises(UnusableRecord):
            HostRecords(self.folder).current()

    def test_a_change_by_another_program_counts_at_once(self) -> None:
        self.records.write(paired(self.records.current(), "https://hub.test", ONE))
        self.assertIsNotNone(self.records.current().hub)
        other = HostRecords(self.folder)
        other.write(evolve(other.current(), hub=None))
        self.assertIsNone(self.records.current().hub)

    def test_everything_survives_the_file(self) -> None:
        record = evolve(
            self.records.current(), hub=Hub(origin="https://hub.test", key="a", next_key="b"), environment={"A": "1"}
        )
        self.records.write(record)
        self.assertEqual(HostRecords(self.folder).current(), record)
        self.assertEqual(os.stat(self.records.path).st_mode & 0o777, 0o600)

    def test_a_damaged_file_admits_nobody_rather_than_anybody(self) -> None:
        good = json.loads(json.dumps({"id": "x", "short": "vault", "hub": None, "environment": {}}))
        for wrong in (
            b"",
            b"{",
            b"[]",
            b"{}",
            *(
                json.dumps({**good, name: value}).encode()
                for name, value in (("hub", "x"), ("hub", {}), ("hub", 1), ("environment", []), ("short", 1))
            ),
        ):
            self.records.path.write_bytes(wrong)
            with self.assertRaises(UnusableRecord, msg=wrong):
                HostRecords(self.folder, "vault").current()

    def test_the_identity_is_made_once(self) -> None:
        made = self.records.identity()
        self.assertEqual(HostRecords(self.folder).identity(), made)
        for name in ("host.key", "host.crt"):
            self.assertEqual(os.stat(self.folder / name).st_mode & 0o777, 0o600)

    def test_a_key_without_a_certificate_is_from_an_interrupted_start(self) -> None:
        (self.folder / "host.key").write_bytes(b"half")
        private, _ = self.records.identity()
        self.assertIn(b"PRIVATE KEY", private)


class KeyTests(RecordCase):
    def test_the_next_key_counts_and_replaces_the_one_before_when_used(self) -> None:
        record = paired(self.records.current(), "https://hub.test", ONE)
        assert record.hub is not None
        self.assertEqual([record.hub.admits(key) for key in (ONE, TWO)], [True, False])
        record = evolve(record, hub=evolve(record.hub, next_key=TWO.hex()))
        assert record.hub is not None
        self.assertEqual([record.hub.admits(key) for key in (ONE, TWO)], [True, True])
        self.assertEqual(settled(record, ONE), record)
        after = settled(record, TWO)
        assert after.hub is not None
        self.assertEqual([after.hub.admits(key) for key in (ONE, TWO)], [False, True])
        self.assertEqual(settled(self.records.current(), ONE), self.records.current())


class CodeTests(RecordCase):
    def test_a_code_ends_with_its_time_its_use_or_wrong_tries(self) -> None:
        def offered(at: float) -> str | None:
            return HostRecords(self.folder).offered(at)

        self.assertIsNone(offered(0.0))
        code = self.records.offer(1000.0, os.urandom)
        self.assertEqual(offered(1000.0), code)
        self.assertEqual(offered(1000.0 + LIFE_SECONDS - 1), code)
        self.assertIsNone(offered(1000.0 + LIFE_SECONDS))
        # A clock that was set back makes no code last longer.
        self.assertIsNone(offered(10.0))
        self.records.withdraw()
        self.assertIsNone(offered(1000.0))
        self.records.withdraw()
        code = self.records.offer(1000.0, os.urandom)
        for tries in range(MOST_TRIES):
            self.assertEqual(offered(1000.0), code, tries)
            self.records.guessed_wrong()
        self.assertIsNone(offered(1000.0))
        self.assertTrue(self.records.is_burnt())
        self.records.offer(1000.0, os.urandom)
        self.assertFalse(self.records.is_burnt())

    def test_a_damaged_code_is_none(self) -> None:
        for wrong in (b"", b"[]", b'{"code": 1, "until": 1, "wrong": 0}', b'{"code": "x", "until": 1e9, "wrong": 0}'):
            (self.folder / "pairing.json").write_bytes(wrong)
            self.assertIsNone(self.records.offered(1.0))
            self.assertFalse(self.records.is_burnt())
