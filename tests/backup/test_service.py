"""Backups by hand and on schedule, with a scripted worker process; `tests/live/test_backup.py` runs the real one."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.accounts.encryption import Sealer
from parachute_hub.backup.ledger import Ledger
from parachute_hub.backup.places import Places
from parachute_hub.backup.records import BackupPlace, BackupsFile
from parachute_hub.backup.schedule import DAY, HOUR, OVERDUE_AFTER, UNPACK_EVERY
from parachute_hub.backup.service import SHORT, Backups, HubFacts
from parachute_hub.backup.worker_process import WorkFailed
from parachute_hub.jobs.runner import Jobs
from parachute_hub.site.errors import Refused
from tests.modules.homes import at_once
from tests.support.acts import HeardActs

KEY = "AGE-SECRET-KEY-1XYZ9"
DONE = {"files": 3, "size": 30, "stored": 20, "sha256": "ab", "damaged": [], "changed": [], "skipped": []}
VERIFIED = {"decrypted": True, "files": 3, "size": 30, "databases": 1}


class ScriptedWorkers:
    """Answers each job at once; `failing` maps a kind of job to its error, `held` ones wait."""

    def __init__(self) -> None:
        self.jobs: list[Mapping[str, Any]] = []
        self.failing: dict[str, WorkFailed] = {}
        self.held: dict[str, Deferred[Mapping[str, Any]]] = {}
        self.answers: dict[str, Mapping[str, Any]] = {
            "keygen": {"identity": KEY, "recipient": "age1abc"},
            "backup": DONE,
            "verify": VERIFIED,
        }

    async def do(
        self,
        job: Mapping[str, Any],
        on_report: Callable[[Mapping[str, Any]], None] = lambda report: None,
        *,
        silence: float = 0.0,
    ) -> Mapping[str, Any]:
        self.jobs.append(job)
        on_report({"event": "progress", "bytes": 1, "of": 2, "path": "x"})
        if job["do"] in self.failing:
            raise self.failing[job["do"]]
        if job["do"] in self.held:
            return await self.held[job["do"]]
        return self.answers.get(job["do"], {})

    def did(self) -> list[str]:
        return [str(job["do"]) for job in self.jobs]


class BackupCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.time = 1000 * DAY
        self.workers = ScriptedWorkers()
        self.addresses: dict[str, Sequence[str]] = {"s3.example": ["93.184.216.34"]}
        self.ids = iter(str(number) for number in range(10_000))
        self.heard = HeardActs()
        self.backups = self.make()

    def make(self) -> Backups:
        jobs = Jobs(
            folder=self.folder / "jobs", handlers={}, emit=lambda event: None, mask=str, now=lambda: self.time,
            new_id=lambda: next(self.ids),
        )  # fmt: skip

        async def resolve(host: str) -> Sequence[str]:
            return self.addresses[host]

        ledger = Ledger(BackupsFile(self.folder / "backups.json"), at_once)
        workers: Any = self.workers
        sealer = Sealer(b"k" * 32, lambda size: b"n" * size)
        return Backups(
            home=str(self.folder),
            ledger=ledger,
            places=Places(
                home="/hub",
                ledger=ledger,
                workers=workers,
                seals=sealer,
                resolve=resolve,
                now=lambda: self.time,
                done=self.heard.done,
            ),
            workers=workers,
            jobs=jobs,
            seals=sealer,
            facts=lambda: HubFacts(hub_version="1", schema=1, origin="http://localhost", modules=()),
            now=lambda: self.time,
            new_id=lambda: next(self.ids),
            done=self.heard.done,
        )

    def wait(self, coroutine: Any) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def refusal(self, coroutine: Any) -> Refused:
        failure = self.failureResultOf(Deferred.fromCoroutine(coroutine), Refused)
        found: Refused = failure.value
        return found

    def place(self, **values: Any) -> BackupPlace:
        told = {"id": "p", "kind": "folder", "label": "disk", "added_at": 0.0, "path": "/mnt", **values}
        return BackupPlace(**told)

    def ready(self) -> None:
        self.wait(self.backups.make_key())
        self.wait(self.backups.confirm_sheet("xyz9"))
        self.wait(self.backups.places.add(self.place(), ""))
        self.time += 4 * HOUR
        self.workers.jobs.clear()

    def tick(self) -> list[str]:
        self.workers.jobs.clear()
        self.wait(self.backups.tick())
        return self.workers.did()


class KeyTests(BackupCase):
    def test_the_key_is_sealed_on_disk_and_told_once(self) -> None:
        self.assertEqual(self.wait(self.backups.make_key()), KEY)
        self.assertNotIn(KEY, (self.folder / "backups.json").read_text())
        self.assertEqual(self.backups.identity("age1abc"), KEY)

    def test_backups_wait_until_the_owner_has_the_sheet(self) -> None:
        self.wait(self.backups.make_key())
        self.wait(self.backups.places.add(self.place(), ""))
        with self.assertRaises(Refused) as caught:
            self.backups.back_up("p")
        self.assertEqual(caught.exception.error, "not_confirmed")
        self.assertEqual(self.tick(), [])
        self.assertEqual(self.refusal(self.backups.confirm_sheet("abcd")).error, "wrong_characters")
        self.wait(self.backups.confirm_sheet(" xyz9 "))
        self.assertEqual(self.tick(), [], "it waits for its hour")
        self.time += 4 * HOUR
        self.assertEqual(self.tick(), ["backup", "verify"])

    def test_an_unfinished_set_up_needs_the_owner(self) -> None:
        self.assertEqual(self.backups.problems(), [])
        self.wait(self.backups.make_key())
        self.assertEqual([key for key, _ in self.backups.problems()], ["backup-sheet"])
        self.wait(self.backups.confirm_sheet("xyz9"))
        self.assertEqual([key for key, _ in self.backups.problems()], ["backup-nowhere"])
        self.wait(self.backups.places.add(self.place(), ""))
        self.assertEqual(self.backups.problems(), [])
        self.wait(self.backups.make_key())
        self.assertEqual([key for key, _ in self.backups.problems()], ["backup-sheet"])

    def test_a_new_key_leaves_older_backups_readable(self) -> None:
        self.ready()
        self.workers.answers["keygen"] = {"identity": "AGE-SECRET-KEY-1NEW", "recipient": "age1new"}
        self.wait(self.backups.make_key())
        self.assertEqual([self.backups.identity(one) for one in ("age1abc", "age1new")], [KEY, "AGE-SECRET-KEY-1NEW"])

    def test_on_the_sheet_only(self) -> None:
        self.ready()
        self.wait(self.backups.forget_identity())
        self.assertIsNone(self.backups.identity("age1abc"))
        self.workers.answers["verify"] = {"decrypted": False}
        self.backups.back_up("p")
        self.assertEqual(self.workers.jobs[-1]["identity"], None)
        copy = self.backups.state.copies[0]
        self.assertEqual((copy.verified_at, copy.decrypted_at), (self.time, None))

    def test_acts_are_told_once_they_have_happened(self) -> None:
        self.ready()
        self.refusal(self.backups.confirm_sheet("abcd"))
        self.wait(self.backups.choose(hour=4, daily=True, programs=False))
        self.wait(self.backups.places.test("p"))
        self.workers.failing["probe"] = WorkFailed("no_bucket", "There is no bucket of this name.")
        self.refusal(self.backups.places.test("p"))
        self.refusal(self.backups.places.add(self.place(id="q"), ""))
        self.wait(self.backups.forget_identity())
        self.wait(self.backups.places.remove("p"))
        told = [
            ("backup-key-made", ""),
            ("backup-key-confirmed", ""),
            ("backup-place-added", "disk"),
            ("backup-schedule-changed", ""),
            ("backup-place-tested", "disk"),
            ("backup-key-removed", ""),
            ("backup-place-removed", "disk"),
        ]
        self.assertEqual(self.heard.acts, told)


class PlaceTests(BackupCase):
    def s3(self, **values: Any) -> BackupPlace:
        return self.place(
            **{"kind": "s3", "path": "", "endpoint": "https://s3.example", "bucket": "b", "key_id": "k", **values}
        )

    def test_a_destination_is_tried_before_it_is_kept(self) -> None:
        self.workers.failing["probe"] = WorkFailed("no_bucket", "There is no bucket of this name.")
        refused = self.refusal(self.backups.places.add(self.s3(), "hush"))
        self.assertEqual((refused.status, refused.error), (400, "no_bucket"))
        self.assertEqual(self.backups.state.places, ())

    def test_one_that_only_refuses_to_delete_is_kept(self) -> None:
        self.workers.failing["probe"] = WorkFailed("no_delete", "Deleting was refused.")
        self.wait(self.backups.places.add(self.place(), ""))
        self.assertEqual([place.id for place in self.backups.state.places], ["p"])
        self.assertEqual(self.refusal(self.backups.places.probe(self.place())).error, "no_delete")

    def test_its_secret_is_sealed_and_reaches_only_the_worker(self) -> None:
        self.wait(self.backups.places.add(self.s3(), "hush"))
        self.assertNotIn("hush", (self.folder / "backups.json").read_text())
        self.assertEqual(self.workers.jobs[-1]["at"]["secret"], "hush")

    def test_a_private_address_needs_a_confirmation(self) -> None:
        for addresses in (["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["169.254.169.254"], ["fd00::1"]):
            self.addresses["s3.example"] = addresses
            self.assertEqual(self.refusal(self.backups.places.add(self.s3(), "x")).error, "private_address", addresses)
        self.wait(self.backups.places.add(self.s3(private=True), "x"))

    def test_an_address_that_turned_private_stops_the_backup(self) -> None:
        self.ready()
        self.wait(self.backups.places.add(self.s3(id="s"), "x"))
        self.addresses["s3.example"] = ["10.0.0.1"]
        job = self.backups.back_up("s")
        self.assertEqual(self.backups.jobs.get(job.id).outcome, "failed")
        self.assertNotIn("backup", self.workers.did())


class WorkTests(BackupCase):
    def setUp(self) -> None:
        super().setUp()
        self.ready()

    def test_stored_verified_and_noted(self) -> None:
        job = self.backups.jobs.get(self.backups.back_up("p").id)
        self.assertEqual((job.outcome, [step.name for step in job.steps]), ("succeeded", ["store", "verify", "prune"]))
        copy = self.backups.state.copies[0]
        self.assertEqual((copy.verified_at, copy.decrypted_at, copy.stored), (self.time, self.time, 20))
        self.assertEqual(self.backups.problems(), [])

    def test_a_failure_is_told_and_tried_again_later(self) -> None:
        self.workers.failing["backup"] = WorkFailed("refused", "The service refused.")
        job = self.backups.jobs.get(self.backups.back_up("p").id)
        self.assertEqual((job.outcome, job.error), ("failed", "The service refused."))
        self.assertEqual([key for key, _ in self.backups.problems()], ["backup-failed-p"])
        self.assertEqual(self.tick(), [])
        self.time += 15 * 60
        del self.workers.failing["backup"]
        self.assertEqual(self.tick(), ["backup", "verify"])
        self.assertEqual(self.backups.problems(), [])

    def test_what_is_damaged_there_is_removed_and_never_offered(self) -> None:
        self.workers.failing["verify"] = WorkFailed("damaged", "The backup is damaged.")
        self.backups.back_up("p")
        self.assertEqual(self.workers.did(), ["backup", "verify", "delete"])
        self.assertEqual(self.backups.state.copies, ())

    def test_what_is_damaged_and_cannot_be_removed_is_not_offered_as_good(self) -> None:
        self.backups.back_up("p")
        [copy] = self.backups.state.copies
        self.workers.failing["verify"] = WorkFailed("damaged", "The backup is damaged.")
        self.workers.failing["delete"] = WorkFailed("refused", "The service refused.")
        job = self.backups.verify("p", copy.name)
        self.assertEqual(self.backups.jobs.get(job.id).error, "The backup is damaged.")
        self.assertEqual([one.verified_at for one in self.backups.state.copies], [None])

    def test_what_is_being_deleted_no_longer_counts_as_verified(self) -> None:
        self.backups.back_up("p")
        [old] = self.backups.state.copies
        self.time += 60
        self.workers.held["delete"] = Deferred()
        self.backups.back_up("p")
        self.assertEqual(
            {one.name: one.verified_at is not None for one in self.backups.state.copies_at("p")},
            {old.name: False, self.backups.state.copies_at("p")[0].name: True},
        )
        self.workers.held["delete"].callback({})
        self.assertEqual(len(self.backups.state.copies), 1)

    def test_what_was_never_stored_is_said_of_the_destination(self) -> None:
        self.workers.failing["verify"] = WorkFailed("missing", "This backup no longer exists.")
        job = self.backups.back_up("p")
        self.assertEqual(self.backups.jobs.get(job.id).error_detail, {"error_type": "lies"})
        self.assertIn("reported success", self.backups.problems()[0][1])
        self.assertEqual(self.backups.state.copies, ())

    def test_a_place_that_cannot_be_read_just_now_loses_nothing(self) -> None:
        self.workers.failing["verify"] = WorkFailed("slow_down", "The service did not work.")
        self.backups.back_up("p")
        self.assertNotIn("delete", self.workers.did())
        self.assertEqual(len(self.backups.state.copies), 1)

    def test_one_at_a_time_and_cancelled(self) -> None:
        self.workers.held["backup"] = Deferred()
        job = self.backups.back_up("p")
        self.assertEqual(self.backups.back_up("p").id, job.id)
        self.assertEqual(self.tick(), [])
        self.backups.jobs.cancel(job.id)
        self.assertEqual(self.backups.jobs.get(job.id).outcome, "cancelled")
        self.assertEqual(self.backups.state.copies, ())

    def test_old_ones_are_pruned_after_a_newer_one_was_verified(self) -> None:
        for _ in range(40):
            self.backups.back_up("p")
            self.time += DAY
        self.assertLess(len(self.backups.state.copies), 20)
        gone = [name for job in self.workers.jobs if job["do"] == "delete" for name in job["names"]]
        self.assertEqual(len(gone) + len(self.backups.state.copies), 40)

    def test_a_place_that_refuses_to_delete_keeps_working(self) -> None:
        self.workers.failing["delete"] = WorkFailed("refused", "The service refused.")
        for _ in range(20):
            job = self.backups.back_up("p")
            self.time += DAY
        self.assertEqual(self.backups.jobs.get(job.id).outcome, "succeeded")
        self.assertEqual(len(self.backups.state.copies), 20)

    def test_daily_weekly_and_overdue(self) -> None:
        self.assertEqual(self.tick(), ["backup", "verify"])
        self.assertEqual(self.tick(), [])
        self.time += DAY
        self.assertEqual(self.tick(), ["backup", "verify"])
        self.wait(self.backups.choose(hour=3, daily=False, programs=False))
        self.time += OVERDUE_AFTER + 1
        [(key, text)] = self.backups.problems()
        self.assertEqual(key, "backup-overdue-p")
        self.assertIn("is 3 days old. Make one now", text)

    def test_each_week_one_is_restored_for_practice_although_each_day_one_is_read(self) -> None:
        practised = []
        for day in range(22):
            for _ in range(3):
                if self.tick() == ["verify"]:
                    self.assertTrue(self.workers.jobs[-1]["whole"])
                    practised.append(day)
            self.time += DAY
        self.assertEqual(practised, [7, 14, 21])

    def test_a_restore_for_practice_that_fails_needs_the_owner_and_is_tried_again_later(self) -> None:
        self.backups.back_up("p")
        self.wait(self.backups.choose(hour=3, daily=False, programs=False))
        self.time += UNPACK_EVERY
        self.workers.failing["verify"] = WorkFailed("slow_down", "The service did not work.")
        self.assertEqual(self.tick(), ["verify"])
        self.assertEqual(self.tick(), [], "not every minute")
        self.assertIn("The service did not work.", self.backups.problems()[0][1])
        self.time += HOUR
        del self.workers.failing["verify"]
        self.assertEqual([self.tick(), self.tick()], [["verify"], []])
        self.assertEqual(self.backups.state.places[0].failures, 0)

    def test_checking_an_old_backup_again_does_not_make_it_recent(self) -> None:
        self.backups.back_up("p")
        [copy] = self.backups.state.copies
        self.time += OVERDUE_AFTER + 1
        self.backups.verify("p", copy.name)
        self.assertEqual(self.backups.state.copies[0].verified_at, self.time)
        self.assertEqual([key for key, _ in self.backups.problems()], ["backup-overdue-p"])

    def test_why_there_is_no_recent_backup_is_said_with_it(self) -> None:
        self.workers.failing["backup"] = WorkFailed("refused", "The service refused.")
        self.backups.back_up("p")
        self.time += OVERDUE_AFTER + 1
        [(_, text)] = self.backups.problems()
        self.assertEqual(text, "There is no backup at disk yet that we know can be restored. The service refused.")

    def test_a_restart_goes_on_where_it_was(self) -> None:
        self.tick()
        self.backups = self.make()
        self.assertEqual(self.tick(), [])
        self.assertIsNotNone(self.backups.state.copies[0].verified_at)
        self.assertIsNone(self.backups.jobs.active(SHORT))
