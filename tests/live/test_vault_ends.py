"""A vault that is deleted on its day, by the vault module's own command, while the module runs; and full ones."""

import os
import sqlite3
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import HubProcess, Reply, fetch, hub, packed_examples
from tests.live.test_command import run

DAY = 86400.0


class VaultEndTests(SynchronousTestCase):
    hub: HubProcess

    def setUp(self) -> None:
        self.hub = hub(self, catalog=packed_examples()).start()
        self.hub.install("vault")
        self.key = str(self.hub.client.call("POST", "/vaults", {"name": "old"})["token"])

    def ask(self, method: str, path: str, body: Any = None) -> Reply:
        headers = {"Authorization": f"Bearer {self.key}"}
        return fetch(f"{self.hub.url}/vault/old{path}", method=method, headers=headers, body=body)

    def command(self, *words: str) -> str:
        """What `parachute space` prints."""
        done = run(self.hub.home, "space", *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        return str(done.stdout)

    def call(self, name: str, **arguments: Any) -> Reply:
        message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}}
        headers = {"Authorization": f"Bearer {self.key}", "Accept": "application/json, text/event-stream"}
        return fetch(f"{self.hub.url}/vault/old/mcp", method="POST", headers=headers, body=message)

    def test_it_goes_on_its_day_after_a_restart(self) -> None:
        call = self.hub.client.call
        self.assertEqual(self.ask("POST", "/api/notes", {"content": "soon gone"}).status, 201)
        due = call("PUT", "/vaults/old/deletion")["deletion"]["due_at"]
        self.assertRegex(due, r"^\d{4}-\d\d-\d\dT")
        self.hub.stop()
        database = sqlite3.connect(self.hub.home / "parachute.db")
        past = time.time() - 3 * DAY
        with database:
            database.execute("UPDATE vault_deletions SET due_at = ?, warned_at = ?", (past, past))
        database.close()
        self.hub.start()
        folder = self.hub.home / "vault" / "data" / "old"
        self.assertTrue(folder.exists())
        self.hub.wait_for(lambda: self.hub.module("vault")["state"] == "ready", "the vault to run")
        self.assertEqual(self.ask("GET", "/api/notes").status, 200)
        self.hub.wait_for(lambda: not folder.exists(), "the vault to be deleted")
        self.hub.wait_for(
            lambda: [v["name"] for v in call("GET", "/vaults")["vaults"]] == ["default"], "its mount to go"
        )
        self.assertEqual(self.ask("GET", "/api/notes").status, 404)
        self.assertEqual(self.hub.module("vault")["state"], "ready")
        self.hub.wait_for(
            lambda: "vault-deleted" in [act["action"] for act in call("GET", "/api/audit")["acts"]], "the record"
        )

    def test_a_full_vault_can_be_read_and_emptied(self) -> None:
        """By REST and by assistants, until there is room again."""
        # More than SQLite keeps in its log.
        big = [self.ask("POST", "/api/notes", {"content": os.urandom(400_000).hex()}).json()["id"] for _ in range(6)]
        self.assertIn("old may take 684 KB.", self.command("limit-vault", "old", "684K"))
        note = {"content": "one more"}
        self.hub.wait_for(lambda: self.ask("POST", "/api/notes", note).status == 507, "the vault to be full")
        self.assertIn("empty the trash", self.ask("POST", "/api/notes", note).json()["message"])
        self.assertEqual(self.ask("GET", "/api/notes").status, 200)
        self.assertIn("structuredContent", self.call("query-notes").json()["result"])
        refused = self.call("create-note", content="by an assistant").json()["result"]
        self.assertTrue(refused["isError"])
        self.assertIn("has no room for this", refused["content"][0]["text"])
        for note_id in big:
            self.assertEqual(self.ask("DELETE", f"/api/notes/{note_id}").status, 200)
        self.assertIn("of 684 KB", self.command())
        self.assertIn("The trash of old is empty.", self.command("empty-trash", "old", "--yes"))
        self.assertIn("freed.", self.command("clear", "logs", "--yes"))
        self.assertIn("owner may take 2.0 GB.", self.command("limit-person", "owner", "2 GB"))
        self.hub.wait_for(lambda: self.ask("POST", "/api/notes", note).status == 201, "room again")
        self.assertFalse(self.call("create-note", content="by an assistant").json()["result"].get("isError"))
