"""One vault, or one module's data, comes back from a backup on a hub that keeps running: by the command and the API."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.progress import ProgressPrinter, follow
from tests.live.harness import Reply, fetch, hub, packed_examples


class PartCase(SynchronousTestCase):
    """A hub with two vaults, and a backup of both."""

    def setUp(self) -> None:
        self.hub = hub(self, catalog=packed_examples()).start()
        self.hub.install("vault")
        self.call("POST", "/vaults", {"name": "work"})
        self.keys = {name: self.key(name) for name in ("default", "work")}
        for name in self.keys:
            self.write(name, "kept", f"{name} as it was")
        self.disk = self.hub.home.with_name("disk")
        self.disk.mkdir()
        self.identity = self.call("POST", "/api/backups/key")["identity"]
        self.call("POST", "/api/backups/key/confirm", {"characters": self.identity[-4:]})
        self.place = self.call("POST", "/api/backups/places", {"kind": "folder", "path": str(self.disk)})["id"]
        begun = self.call("POST", f"/api/backups/places/{self.place}/run")
        follow(self.hub.client, begun["operation_id"], ProgressPrinter(quiet=True))
        self.archive = next(self.disk.iterdir())
        for name in self.keys:
            self.write(name, "later", f"{name} written since")

    def call(self, method: str, path: str, body: Any = None) -> Any:
        return self.hub.client.call(method, path, body)

    def key(self, vault: str) -> str:
        return (self.hub.home / f"vault/data/{vault}/initial-key").read_text().strip()

    def ask(self, vault: str, method: str, path: str, body: Any = None, *, key: str = "") -> Reply:
        headers = {"Authorization": f"Bearer {self.keys[key or vault]}"}
        return fetch(f"{self.hub.url}/vault/{vault}/api/{path}", method=method, body=body, headers=headers)

    def write(self, vault: str, path: str, content: str) -> None:
        answer = self.ask(vault, "POST", "notes", {"path": path, "content": content})
        self.assertEqual(answer.status, 201, answer.body)

    def notes(self, vault: str, *, key: str = "") -> set[str]:
        answer = self.ask(vault, "GET", "notes", key=key)
        self.assertEqual(answer.status, 200, answer.body)
        return {note["path"] for note in answer.json()}

    def restored(self) -> list[tuple[str, str, str, str, str]]:
        """What Activity says of restores: who, by what, of what, how it ended and why."""
        acts = self.call("GET", "/api/audit?action=module-restored&action=restored")["acts"]
        return [(act["actor"], act["means"], act["subject"], act["outcome"], act["why"]) for act in acts]

    def vaults(self) -> set[str]:
        return {vault["name"] for vault in self.call("GET", "/vaults")["vaults"]}

    def restore(self, *words: str, key: str | None = None) -> "subprocess.CompletedProcess[str]":
        """`parachute backup restore`, without a question."""
        file = Path(self.mktemp())
        file.write_text(key or self.identity)
        command = [sys.executable, "-m", "parachute_hub.cli.main", "backup", "restore", *words]
        command += ["--key-file", str(file), "--yes", "--home", str(self.hub.home)]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


class RestorePartTests(PartCase):
    def test_one_vault_goes_back_and_the_other_stays(self) -> None:
        before = self.hub.client.health()["instance"]
        done = self.restore(str(self.archive), "--vault", "work")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("It takes the place of the vault work.", done.stdout)
        self.assertEqual((self.notes("work"), self.notes("default")), ({"kept"}, {"kept", "later"}))
        self.assertEqual(self.hub.client.health()["instance"], before)
        self.assertEqual(os.listdir(self.hub.home / "hub" / "snapshots" / "vault"), [])

    def test_one_vault_comes_beside_the_others(self) -> None:
        done = self.restore("--from", "1", "--vault", "work", "--as", "work-then")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("It becomes the vault work-then, beside the others.", done.stdout)
        self.assertEqual(self.notes("work-then", key="work"), {"kept"})
        self.assertEqual(self.notes("work"), {"kept", "later"})
        self.assertEqual(self.vaults(), {"default", "work", "work-then"})
        told = json.loads((self.hub.home / "vault/data/work-then/vault.json").read_text())
        self.assertEqual(told["name"], "work-then")
        again = self.restore(str(self.archive), "--vault", "work", "--as", "work-then")
        self.assertEqual(again.returncode, 1)
        self.assertIn("the name is taken", again.stderr)

    def test_all_that_a_module_keeps_goes_back(self) -> None:
        done = self.restore(str(self.archive), "--module", "vault")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([self.notes(name) for name in self.keys], [{"kept"}, {"kept"}])
        self.assertEqual(self.restored(), [("operator", "command", "vault", "ok", "")])

    def test_what_cannot_be_restored_changes_nothing(self) -> None:
        for words, key, text in (
            (("--vault", "play"), None, "This backup has no vault play."),
            (("--module", "scribe"), None, "This backup has no data of scribe."),
            (("--vault", "work"), "AGE-SECRET-KEY-1" + "Q" * 58, "not a recovery key"),
            (("--vault", "work", "--as", "admin"), None, "reserved"),
            (("--as", "other"), None, "--vault"),
        ):
            done = self.restore(str(self.archive), *words, key=key)
            self.assertNotEqual(done.returncode, 0, words)
            self.assertIn(text, done.stderr, words)
        self.assertEqual([self.notes(name) for name in self.keys], [{"kept", "later"}] * 2)
        self.assertEqual(os.listdir(self.hub.home / "hub" / "restore"), [])

    def test_a_vault_with_which_it_does_not_start_is_taken_back(self) -> None:
        """The program of today ends as soon as it finds the data of then."""
        (self.hub.home / "vault" / "data" / "work" / "new").write_text("")
        entry = next((self.hub.home / "modules").glob("store/vault/*/node_modules/@openparachute/vault/src/cli.ts"))
        check = 'if (!require("fs").existsSync(`${home}/vault/data/${"work"}/new`)) throw "cannot read this"\n'
        text = entry.read_text()
        at = text.index("const home")
        end = text.index("\n", at) + 1
        entry.write_text(text[:end] + check + text[end:])
        done = self.restore(str(self.archive), "--vault", "work")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("The data is as it was before.", done.stderr)
        self.hub.wait_for(lambda: self.hub.module("vault")["state"] == "ready", "the vault to run again")
        ((*told, why),) = self.restored()
        self.assertEqual(told, ["operator", "command", "vault", "failed"])
        self.assertIn("The data is as it was before.", why)
        self.assertEqual(self.notes("work"), {"kept", "later"})
