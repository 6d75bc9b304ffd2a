"""Backups of a whole hub: created by the worker process, verified, downloaded, and opened without a hub."""

import io
import json
import os
import sqlite3
import subprocess
import sys
import tarfile
from contextlib import closing
from typing import Any

import pyrage
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.backup.archive.pipes import zstd
from parachute_hub.cli.progress import ProgressPrinter, follow
from tests.live.harness import OWNER, HubProcess, fetch, hub, packed_examples


def opened(archive: bytes, identity: str) -> dict[str, bytes]:
    """An archive's members, read with other programs."""
    plain = pyrage.decrypt(archive, [pyrage.x25519.Identity.from_str(identity)])
    with tarfile.open(fileobj=io.BytesIO(zstd.decompress(plain)), mode="r:") as tar:
        return {member.name: _content(tar, member) for member in tar}


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    found = tar.extractfile(member)
    assert found is not None, member.name
    return found.read()


class BackupTests(SynchronousTestCase):
    hub: HubProcess

    def setUp(self) -> None:
        self.hub = hub(self, catalog=packed_examples(), environment=OWNER).start()
        self.disk = self.hub.home.with_name("disk")
        self.disk.mkdir()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        return self.hub.client.call(method, path, body)

    def set_up(self) -> str:
        identity: str = self.call("POST", "/api/backups/key")["identity"]
        self.call("POST", "/api/backups/key/confirm", {"characters": identity[-4:]})
        return identity

    def run_at(self, place: str) -> dict[str, Any]:
        begun = self.call("POST", f"/api/backups/places/{place}/run")
        return follow(self.hub.client, begun["operation_id"], ProgressPrinter(quiet=True))

    def test_to_a_folder_verified_and_opened_without_a_hub(self) -> None:
        self.hub.install("hello")
        (self.hub.home / "hello").mkdir(exist_ok=True)
        (self.hub.home / "hello" / "note.md").write_text("words")
        identity = self.set_up()
        place = self.call("POST", "/api/backups/places", {"kind": "folder", "path": str(self.disk)})["id"]
        job = self.run_at(place)
        self.assertEqual(job["outcome"], "succeeded", job)
        [backup] = self.call("GET", "/api/backups")["places"][0]["backups"]
        self.assertIsNotNone(backup["verifiedAt"])
        members = opened((self.disk / backup["name"]).read_bytes(), identity)
        self.assertEqual(members["home/hello/note.md"], b"words")
        header = json.loads(members["parachute-backup.json"])
        self.assertEqual([module["short"] for module in header["modules"]], ["hello"])
        for absent in ("home/parachute.db-wal", "home/hub/lock"):
            self.assertNotIn(absent, members)
        copy = self.hub.home.with_name("copy.db")
        copy.write_bytes(members["home/parachute.db"])
        with closing(sqlite3.connect(copy)) as database:
            self.assertEqual(database.execute("SELECT username FROM users").fetchall(), [("owner",)])
        self.assertNotIn(identity, self.hub.log())
        self.assertEqual(os.listdir(self.hub.home / "tmp"), [])

    def test_downloaded_by_the_link_once(self) -> None:
        identity = self.set_up()
        url = self.hub.url + self.call("POST", "/api/backups/download")["url"]
        headers = {"Authorization": f"Bearer {(self.hub.home / 'operator.token').read_text().strip()}"}
        answer = fetch(url, headers=headers)
        self.assertEqual(answer.status, 200, answer.body[:500])
        self.assertIn("attachment", answer.headers["content-disposition"])
        self.assertIn("home/parachute.db", opened(answer.body, identity))
        self.assertEqual(fetch(url, headers=headers).status, 404)
        self.assertEqual(fetch(url).status, 401)
        self.hub.wait_for(lambda: len(self.downloads()) == 3, "the refused attempts to be recorded")
        self.assertEqual(self.downloads(), [("page", "", "refused"), ("command", "", "refused"), ("command", "", "ok")])

    def downloads(self) -> list[tuple[str, str, str]]:
        """What Activity says of them, the newest first."""
        acts = [act for act in self.call("GET", "/api/audit")["acts"] if act["action"] == "backup-downloaded"]
        return [(act["means"], act["subject"], act["outcome"]) for act in acts]

    def test_a_folder_that_is_gone_is_a_problem_in_plain_words(self) -> None:
        self.set_up()
        place = self.call("POST", "/api/backups/places", {"kind": "folder", "path": str(self.disk)})["id"]
        self.disk.rmdir()
        begun = self.call("POST", f"/api/backups/places/{place}/run")
        self.hub.wait_for(lambda: self.call("GET", "/api/backups")["problems"], "the problem")
        self.assertIn("Is the disk mounted?", self.call("GET", "/api/backups")["problems"][0]["text"])
        # The operation ends after its problem is known.
        job = f"/api/modules/operations/{begun['operation_id']}"
        self.hub.wait_for(lambda: self.call("GET", job)["outcome"], "the end of the operation")
        self.assertEqual(self.call("GET", job)["outcome"], "failed")

    def test_by_the_command_alone_and_onto_another_hub(self) -> None:
        identity = json.loads(self.run_command(self.hub, "sheet", "--json"))["identity"]
        confirmed = json.loads(self.run_command(self.hub, "sheet", "--confirm", identity[-4:], "--json"))
        self.assertTrue(confirmed["kept"] and confirmed["confirmedAt"])
        self.run_command(self.hub, "destination", "add-folder", str(self.disk))
        self.assertIn("made and checked", self.run_command(self.hub, "now"))
        self.assertIn("can be restored", self.run_command(self.hub, "verify"))
        listed = json.loads(self.run_command(self.hub, "list", "--json"))
        self.assertEqual(len(listed["places"][0]["backups"]), 1)
        file, key = self.disk / "mine.age", self.disk / "key"
        self.run_command(self.hub, "download", str(file))
        key.write_text(f"{identity}\n")
        asked = self.command(self.hub, "restore", str(file), "--key-file", str(key), "--json")
        self.assertEqual((asked.returncode, json.loads(asked.stdout)["code"]), (2, 2), "nobody can be asked there")
        keys = fetch(f"{self.hub.url}/.well-known/jwks.json").json()
        other = HubProcess(home=self.hub.home.with_name("other")).start()
        self.addCleanup(other.end)
        self.assertIn("restored", self.run_command(other, "restore", str(file), "--key-file", str(key), "--yes"))
        self.assertEqual(fetch(f"{other.url}/.well-known/jwks.json").json(), keys)
        left = json.loads(self.run_command(self.hub, "sheet", "--only", "--yes", "--json"))
        self.assertFalse(left["kept"])
        self.run_command(self.hub, "now")
        [place] = json.loads(self.run_command(self.hub, "list", "--json"))["places"]
        self.assertIsNone(place["backups"][0]["decryptedAt"], "it was only compared with what was sent")

    def run_command(self, one: HubProcess, *words: str) -> str:
        done = self.command(one, *words)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def command(self, one: HubProcess, *words: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "parachute_hub.cli.main", "backup", *words, "--home", str(one.home)]
        return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
