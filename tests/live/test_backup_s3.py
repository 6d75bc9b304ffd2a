"""Backups to a bucket: a whole hub and a real S3 server on loopback, first alone, then behind a proxy with faults."""

import os
import signal
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.backup.archive.leftovers import abort_unfinished
from parachute_hub.cli.client import CommandError
from parachute_hub.cli.progress import ProgressPrinter, follow
from tests.backup.archive.test_worker import work
from tests.live.harness import HubProcess, fetch, hub, session_of_owner
from tests.live.s3_rig import ALL, REGION, Bucket, Fault, bucket

RESTORE = "/admin/setup/restore"
LATENCY = float(os.environ.get("PARACHUTE_S3_LATENCY", "0.3"))
"""Seconds that a slow bucket takes for each answer; `make proof NAME=backup-s3` takes 10."""


def workers_of(process: HubProcess) -> list[int]:
    """Backup processes whose parent is this hub."""
    assert process.process is not None
    found = []
    for entry in os.listdir("/proc"):
        try:
            words = Path(f"/proc/{entry}/cmdline").read_bytes()
            parent = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1]
        except (OSError, IndexError):
            continue
        if b"backup.archive.worker" in words and int(parent) == process.process.pid:
            found.append(int(entry))
    return found


class BucketTests(SynchronousTestCase):
    hub: HubProcess
    bucket: Bucket

    def setUp(self) -> None:
        self.bucket = bucket(self)
        self.hub = hub(self).start()
        self.identity: str = self.call("POST", "/api/backups/key")["identity"]
        self.call("POST", "/api/backups/key/confirm", {"characters": self.identity[-4:]})

    def call(self, method: str, path: str, body: Any = None) -> Any:
        return self.hub.client.call(method, path, body)

    def add(self) -> str:
        place: str = self.call("POST", "/api/backups/places", self.bucket.told(private=True))["id"]
        return place

    def run_at(self, place: str, what: str = "run", body: Any = None) -> dict[str, Any]:
        """One job to its end."""
        begun = self.call("POST", f"/api/backups/places/{place}/{what}", body)
        operation = begun["operation_id"]
        try:
            return follow(self.hub.client, operation, ProgressPrinter(quiet=True))
        except CommandError:
            job: dict[str, Any] = self.call("GET", f"/api/modules/operations/{operation}")
            return job

    def listed(self) -> list[dict[str, Any]]:
        """The backups that the hub offers."""
        found: list[dict[str, Any]] = self.call("GET", "/api/backups")["places"][0]["backups"]
        return found

    def test_added_used_pruned_and_restored_from(self) -> None:
        (self.hub.home / "hello").mkdir()
        (self.hub.home / "hello" / "note.md").write_bytes(b"words" + os.urandom(12 * 1024 * 1024))
        note = (self.hub.home / "hello" / "note.md").read_bytes()
        with self.assertRaises(CommandError) as refused:
            self.call("POST", "/api/backups/places", self.bucket.told())
        self.assertIn("private network", str(refused.exception))
        self.assertEqual(self.bucket.seen, [])
        place = self.add()
        self.assertEqual(self.bucket.keys(), [])
        self.assertEqual(self.run_at(place)["outcome"], "succeeded")
        [first] = self.listed()
        self.assertIsNotNone(first["verifiedAt"])
        self.assertEqual(self.run_at(place, "verify", {"name": first["name"]})["outcome"], "succeeded")
        self.hub.wait_for(lambda: self.run_at(place)["outcome"] == "succeeded", "another backup")
        [second] = self.listed()
        self.assertNotEqual(second["name"], first["name"])
        self.assertEqual(self.bucket.keys(), [f"home/{second['name']}"])
        archives = self.call("GET", f"/api/backups/places/{place}/archives")["archives"]
        self.assertEqual([one["name"] for one in archives], [second["name"]])
        self.assertEqual(self.bucket.unfinished(), [])
        self.hub.stop()
        other = self.restored(second["name"])
        self.assertEqual((other.home / "hello" / "note.md").read_bytes(), note)
        session_of_owner(other)
        for one in (self.hub, other):
            self.assertNotIn("s3-secret-of-the-owner", one.log())

    def restored(self, name: str) -> HubProcess:
        """An empty hub that took this backup from the bucket."""
        home = self.hub.home.with_name("other")
        other = HubProcess(home=home).start()
        self.addCleanup(other.end)
        other.wait_for(lambda: "parachute-bootstrap-" in other.log(), "the setup token")
        token = "parachute-bootstrap-" + other.log().partition("parachute-bootstrap-")[2].split()[0]
        told = {"setup_token": token, "identity": self.identity, "from": self.bucket.told()}
        refused = fetch(other.url + RESTORE + "/archives", method="POST", body=told)
        self.assertEqual((refused.status, refused.json()["error"]), (409, "private_address"))
        told["from"] = self.bucket.told(private=True)
        answer = fetch(other.url + RESTORE + "/archives", method="POST", body=told)
        self.assertEqual([one["name"] for one in answer.json()["archives"]], [name], answer.body)
        begun = fetch(other.url + RESTORE, method="POST", body={**told, "name": name}).json()
        path, headers = f"{other.url}{RESTORE}/{begun['id']}", {"Authorization": f"Bearer {begun['ticket']}"}
        other.wait_for(lambda: fetch(path, headers=headers).json()["phase"] == "ready", "the plan")
        instance = other.client.health()["instance"]
        applied = fetch(path + "/apply", method="POST", body={"mode": "move"}, headers=headers)
        self.assertEqual(applied.status, 202, applied.body)
        other.wait_for_restart(instance)
        return other

    def test_refusals_end_in_words_and_the_next_backup_works(self) -> None:
        """The service itself refuses: first what the key may do changes, then clock and region, then the key."""
        self.bucket.guard()
        place = self.add()
        self.assertEqual(self.run_at(place)["outcome"], "succeeded")
        kept, stored = self.listed(), self.bucket.keys()

        def refused(name: str, kind: str, words: str) -> None:
            job = self.run_at(place)
            self.assertEqual((job["outcome"], job["error_detail"]["error_type"]), ("failed", kind), (name, job))
            self.assertIn(words, job["error"], name)
            self.assertEqual([one["name"] for one in self.listed()], [one["name"] for one in kept], name)
            self.assert_clean(name)

        self.bucket.allow("s3:ListBucket", "s3:GetObject")
        refused("denied", "refused", "Allow this key")
        self.bucket.allow(*ALL)
        self.bucket.ahead = 86400.0
        refused("clock", "clock", "Set the clock")
        self.bucket.ahead, self.bucket.region = 0.0, "eu-west-1"
        refused("region", "region", "Correct the region")
        self.bucket.region = REGION
        self.assertEqual((self.bucket.keys(), self.bucket.unfinished()), (stored, []))
        self.assertEqual(self.run_at(place)["outcome"], "succeeded")
        kept = self.listed()
        self.bucket.withdraw()
        refused("key", "wrong_key", "secret for missing")

    def test_a_byte_that_changed_in_the_bucket_is_found_by_the_next_check(self) -> None:
        """The service keeps whatever it is given. What cannot be restored is removed, and not offered."""
        place = self.add()
        for at in (0, -1, 0.5):
            self.assertEqual(self.run_at(place)["outcome"], "succeeded")
            [copy] = self.listed()
            key = f"home/{copy['name']}"
            content = bytearray(self.bucket.read(key))
            number = int(at * len(content)) if isinstance(at, float) else at
            content[number] ^= 1
            self.bucket.replace(key, bytes(content))
            job = self.run_at(place, "verify", {"name": copy["name"]})
            self.assertEqual((job["outcome"], job["error_detail"]["error_type"]), ("failed", "damaged"), (at, job))
            self.assertEqual((self.listed(), self.bucket.keys()), ([], []), at)
            self.assert_clean(str(at))

    def test_faults_end_in_words_and_the_next_backup_works(self) -> None:
        place = self.add()
        self.assertEqual(self.run_at(place)["outcome"], "succeeded")
        cases: dict[str, tuple[Fault, str, str]] = {
            "no bucket": (Fault(status=404, code="NoSuchBucket"), "no_bucket", "Create it"),
            "moved to another region": (Fault(status=301, code="PermanentRedirect"), "region", "Correct the region"),
            "spoiled on the way": (Fault(when=lambda asked: asked.method == "PUT", spoil=True), "changed", "arrived"),
            "denied at the end": (
                Fault(when=lambda asked: asked.completes, status=403, code="AccessDenied"),
                "refused",
                "Allow this key",
            ),
            "stores nothing": (Fault(when=lambda asked: asked.stores, lie=True), "lies", "Choose another place"),
        }
        for name, (fault, kind, words) in cases.items():
            kept = [one["name"] for one in self.listed()]
            self.bucket.inject(fault)
            job = self.run_at(place)
            self.bucket.inject(None)
            self.assertEqual((job["outcome"], job["error_detail"]["error_type"]), ("failed", kind), (name, job))
            self.assertIn(words, job["error"], name)
            self.assertEqual([one["name"] for one in self.listed()], kept, name)
            if not fault.lie:
                self.assertEqual(self.bucket.unfinished(), [], name)
            self.assert_clean(name)
        self.assertEqual(self.run_at(place)["outcome"], "succeeded")

    def test_short_trouble_is_waited_out(self) -> None:
        place = self.add()
        for name, fault in {
            "500": Fault(status=500, code="InternalError", times=1),
            "503": Fault(status=503, code="SlowDown", times=2),
            "reset": Fault(reset=True, times=2),
            "half of what was read": Fault(when=lambda asked: asked.reads, cut=True, times=1),
            "an error in a good answer": Fault(
                when=lambda asked: asked.completes, status=200, code="InternalError", times=2
            ),
            "slow": Fault(delay=LATENCY),
        }.items():
            self.bucket.inject(fault)
            job = self.run_at(place)
            self.assertGreater(self.bucket.met, 0, name)
            self.bucket.inject(None)
            self.assertEqual(job["outcome"], "succeeded", (name, job))
            self.assertEqual(len(self.listed()), 1, name)
            self.assert_clean(name)

    def test_what_a_killed_worker_left_is_aborted_by_a_later_backup(self) -> None:
        """Only uploads of this hub. moto says of every upload that it began in 2010, so all are old enough."""
        (self.hub.home / "hello").mkdir()
        (self.hub.home / "hello" / "photo").write_bytes(os.urandom(12 << 20))
        place = self.add()
        self.bucket.inject(Fault(when=lambda asked: "partNumber=2" in asked.path, delay=5.0))
        begun = self.call("POST", f"/api/backups/places/{place}/run")
        self.hub.wait_for(lambda: self.bucket.met, "the second part to be sent")
        for pid in workers_of(self.hub):
            os.kill(pid, signal.SIGKILL)
        self.hub.wait_for(lambda: self.call("GET", f"/api/modules/operations/{begun['operation_id']}")["outcome"], "it")
        self.bucket.inject(None)
        self.assertEqual(len(self.bucket.unfinished()), 1)
        self.assertEqual(abort_unfinished(self.bucket.told(), "00000000", time.time()), 0)
        self.assertEqual(self.run_at(place)["outcome"], "succeeded")
        self.assertEqual(self.bucket.unfinished(), [])

    def assert_clean(self, name: str) -> None:
        self.assertEqual(workers_of(self.hub), [], name)
        self.assertEqual(os.listdir(self.hub.home / "tmp"), [], name)


class LastingTroubleTests(SynchronousTestCase):
    """The worker alone, because only there a test can shorten the two minutes of patience."""

    def test_it_is_given_up_with_words(self) -> None:
        here = bucket(self)
        for name, (fault, kind) in {
            "500": (Fault(status=500, code="InternalError"), "slow_down"),
            "503": (Fault(status=503, code="SlowDown"), "slow_down"),
            "reset": (Fault(reset=True), "unreachable"),
            "half of each answer": (Fault(when=lambda asked: asked.reads, cut=True), "interrupted"),
            "no S3 there": (Fault(status=404, code="NotFound"), "no_bucket"),
            "stores nothing": (Fault(when=lambda asked: asked.stores, lie=True), "lies"),
            "does not delete": (
                Fault(when=lambda asked: asked.method in ("DELETE", "POST"), status=403, code="AccessDenied"),
                "no_delete",
            ),
        }.items():
            here.inject(fault)
            reports, _ = work({"do": "probe", "at": here.told(patience=1), "home": "/"})
            self.assertEqual((reports[-1]["event"], reports[-1].get("kind")), ("failed", kind), (name, reports))
            self.assertNotIn(here.endpoint, str(reports), name)
