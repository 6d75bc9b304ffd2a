"""The restore drill: three modules and two vaults, backed up while people write, come back on an empty hub."""

import json
import os
import threading
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.progress import ProgressPrinter, follow
from tests.live.harness import HubProcess, Reply, fetch, hub, packed_examples, session_of_owner

RESTORE = "/admin/setup/restore"
MODULES = ("vault", "notes", "scribe")
VAULTS = ("default", "work")


@define
class Writer:
    """Writes numbered notes into a vault, one after the other, until it is told to stop."""

    url: str
    key: str
    written: list[str] = field(factory=list)
    _over: threading.Event = field(factory=threading.Event)
    _thread: threading.Thread | None = None

    def ask(self, method: str, path: str, body: Any = None) -> Reply:
        return fetch(
            f"{self.url}/api/{path}", method=method, body=body, headers={"Authorization": f"Bearer {self.key}"}
        )

    def write(self) -> None:
        path = f"note {len(self.written):05}"
        answer = self.ask("POST", "notes", {"path": path, "content": f"{path} " * 200})
        assert answer.status == 201, answer.body
        self.written.append(path)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            self.write()

    def stop(self) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(30)


def still(home: Path) -> dict[str, bytes]:
    """The files of a home that nobody writes while it runs: what modules keep besides their databases, and keys."""
    kept = [home / "hub" / "accounts.key"]
    for short in MODULES:
        kept += [path for path in (home / short).rglob("*") if path.is_file() and ".db" not in path.name]
    return {str(path.relative_to(home)): path.read_bytes() for path in kept if path.is_file()}


class RestoreDrill(SynchronousTestCase):
    def setUp(self) -> None:
        self.hub = hub(self, catalog=packed_examples()).start()
        for short in MODULES:
            self.assertEqual(self.hub.install(short)["status"], "succeeded", short)
        self.call("POST", "/vaults", {"name": "work"})
        self.disk = self.hub.home.with_name("disk")
        self.disk.mkdir()
        self.identity = self.call("POST", "/api/backups/key")["identity"]
        self.call("POST", "/api/backups/key/confirm", {"characters": self.identity[-4:]})
        self.place = self.call("POST", "/api/backups/places", {"kind": "folder", "path": str(self.disk)})["id"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        return self.hub.client.call(method, path, body)

    def writer(self, one: HubProcess, vault: str) -> Writer:
        key = (one.home / "vault" / "data" / vault / "initial-key").read_text().strip()
        return Writer(f"{one.url}/vault/{vault}", key)

    def test_everything_comes_back_byte_for_byte(self) -> None:
        for number in range(6):
            (self.hub.home / "scribe" / f"recording {number}").write_bytes(os.urandom(700_000))
        writers = [self.writer(self.hub, vault) for vault in VAULTS]
        for writer in writers:
            for _ in range(20):
                writer.write()
            writer.start()
            self.addCleanup(writer.stop)
        before = [len(writer.written) for writer in writers]
        begun = self.call("POST", f"/api/backups/places/{self.place}/run")
        job = follow(self.hub.client, begun["operation_id"], ProgressPrinter(quiet=True))
        self.assertEqual(job["outcome"], "succeeded", job)
        for writer in writers:
            writer.stop()
        [copy] = self.call("GET", "/api/backups")["places"][0]["backups"]
        self.assertEqual([one for one in copy["warnings"] if "damaged" in one], [])
        files, keys = still(self.hub.home), fetch(f"{self.hub.url}/.well-known/jwks.json").json()
        self.hub.stop()

        other = self.restored(next(self.disk.iterdir()))
        found = still(other.home)
        self.assertEqual([name for name in files if found.get(name) != files[name]], [])
        self.assertGreater(len(files), 8, sorted(files))
        self.assertEqual(fetch(f"{other.url}/.well-known/jwks.json").json(), keys)
        session_of_owner(other)
        for vault, writer, least in zip(VAULTS, writers, before, strict=True):
            other.wait_for(lambda: other.module("vault")["state"] == "ready", "the vault to run again")
            self.assert_notes(self.writer(other, vault), writer, least)
        for short in MODULES:
            other.wait_for(lambda short=short: other.module(short)["state"] == "ready", f"{short} to run again")

    def assert_notes(self, there: Writer, writer: Writer, least: int) -> None:
        """All that was written before the backup, then what came during it in the order of writing; nothing half."""
        listed: list[dict[str, Any]] = []
        while page := there.ask("GET", f"notes?limit=100&offset={len(listed)}&include_content=true").json():
            listed += page
        paths = sorted(str(note["path"]) for note in listed)
        self.assertGreaterEqual(len(paths), least)
        self.assertEqual(paths, writer.written[: len(paths)])
        for note in listed:
            self.assertEqual(note["content"], f"{note['path']} " * 200)

    def restored(self, archive: Path) -> HubProcess:
        """An empty hub that took this backup."""
        other = HubProcess(home=self.hub.home.with_name("other"), catalog=packed_examples()).start()
        self.addCleanup(other.end)
        other.wait_for(lambda: "parachute-bootstrap-" in other.log(), "the setup token")
        token = "parachute-bootstrap-" + other.log().partition("parachute-bootstrap-")[2].split()[0]
        told = {"setup_token": token, "identity": self.identity, "name": archive.name}
        told["from"] = {"kind": "folder", "path": str(self.disk)}
        begun = fetch(other.url + RESTORE, method="POST", body=told).json()
        path, headers = f"{other.url}{RESTORE}/{begun['id']}", {"Authorization": f"Bearer {begun['ticket']}"}
        other.wait_for(lambda: fetch(path, headers=headers).json()["phase"] == "ready", "the plan")
        plan = json.loads(fetch(path, headers=headers).body)
        self.assertEqual(set(plan["result"]["modules"]) & set(MODULES), {"vault", "scribe"}, plan["result"])
        self.assertEqual(sorted(plan["result"]["vaults"]), sorted(VAULTS))
        instance = other.client.health()["instance"]
        applied = fetch(path + "/apply", method="POST", body={"mode": "move"}, headers=headers)
        self.assertEqual(applied.status, 202, applied.body)
        other.wait_for_restart(instance)
        return other
