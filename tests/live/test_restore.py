"""A backup of one hub, restored by another: through the page's API, as a person would, with real processes."""

import contextlib
import sqlite3
import time
from pathlib import Path
from typing import Any

import pyrage
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.backup.archive.layout import Header
from parachute_hub.backup.archive.sources import list_home
from parachute_hub.backup.archive.writing import ArchiveWriter
from parachute_hub.cli.progress import ProgressPrinter, follow
from parachute_hub.store.database import Database, shipped_migrations
from parachute_hub.system.timestamps import to_the_second
from tests.live.harness import HubProcess, Reply, fetch, hub, packed_examples, session_of_owner
from tests.support.at_once import at_once
from tests.support.older_hub import hash_of

BASE = "/admin/setup/restore"


class RestoreTests(SynchronousTestCase):
    """Hub A makes a backup; hub B is empty."""

    def setUp(self) -> None:
        self.first = hub(self, catalog=packed_examples()).start()
        self.disk = self.first.home.with_name("disk")
        self.disk.mkdir()

    def backup(self) -> tuple[str, Path]:
        """The recovery key, and the archive of the first hub."""
        client = self.first.client
        identity = client.call("POST", "/api/backups/key")["identity"]
        client.call("POST", "/api/backups/key/confirm", {"characters": identity[-4:]})
        place = client.call("POST", "/api/backups/places", {"kind": "folder", "path": str(self.disk)})["id"]
        begun = client.call("POST", f"/api/backups/places/{place}/run")
        job = follow(client, begun["operation_id"], ProgressPrinter(quiet=True))
        self.assertEqual(job["outcome"], "succeeded", job)
        return identity, next(self.disk.iterdir())

    def empty(self) -> tuple[HubProcess, str]:
        """A fresh hub, and its setup token."""
        home = Path(self.mktemp()).absolute()
        home.parent.mkdir(parents=True, exist_ok=True)
        one = HubProcess(home=home, catalog=packed_examples()).start()
        self.addCleanup(one.end)
        one.wait_for(lambda: "parachute-bootstrap-" in one.log(), "the setup token")
        return one, "parachute-bootstrap-" + one.log().partition("parachute-bootstrap-")[2].split()[0]

    def ask(self, one: HubProcess, method: str, path: str, body: Any = None, ticket: str = "") -> Reply:
        headers = {"Authorization": f"Bearer {ticket}"} if ticket else {}
        return fetch(one.url + BASE + path, method=method, body=body, headers=headers)

    def send(self, one: HubProcess, archive: bytes, told: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
        """Upload an archive: its id, ticket, and the state at the end."""
        begun = self.ask(one, "POST", "", told)
        self.assertEqual(begun.status, 201, begun.body)
        restore_id, ticket, size = (begun.json()[name] for name in ("id", "ticket", "chunk"))
        for start in range(0, len(archive), size):
            answer = self.ask(one, "PUT", f"/{restore_id}/parts/{start}", archive[start : start + size], ticket)
            if answer.status != 200:
                return restore_id, ticket, {"phase": "failed", **answer.json()}
        self.ask(one, "POST", f"/{restore_id}/end", ticket=ticket)

        def over() -> bool:
            return self.ask(one, "GET", f"/{restore_id}", ticket=ticket).json()["phase"] in ("ready", "failed")

        one.wait_for(over, "the archive to be read")
        return restore_id, ticket, self.ask(one, "GET", f"/{restore_id}", ticket=ticket).json()

    def apply(self, one: HubProcess, restore_id: str, ticket: str, mode: str) -> None:
        before = one.client.health()["instance"]
        answer = self.ask(one, "POST", f"/{restore_id}/apply", {"mode": mode}, ticket)
        self.assertEqual(answer.status, 202, answer.body)
        one.wait_for_restart(before)

    def restored(self, one: HubProcess) -> list[dict[str, Any]]:
        """What Activity says of restores of the whole hub."""
        return [act for act in one.client.call("GET", "/api/audit")["acts"] if act["action"] == "restored"]

    def acts(self, one: HubProcess) -> list[str]:
        """What has happened on a hub that nobody can sign in to, the newest first."""
        with contextlib.closing(sqlite3.connect(one.home / "parachute.db")) as opened:
            return [
                row[0] for row in opened.execute("SELECT action FROM audit WHERE outcome = 'ok' ORDER BY number DESC")
            ]

    def test_a_move_brings_accounts_keys_notes_and_modules(self) -> None:
        self.first.install("hello")
        (self.first.home / "hello").mkdir(exist_ok=True)
        (self.first.home / "hello" / "note.md").write_text("words")
        keys = fetch(f"{self.first.url}/.well-known/jwks.json").json()
        identity, archive = self.backup()
        second, token = self.empty()
        restore_id, ticket, state = self.send(
            second, archive.read_bytes(), {"setup_token": token, "identity": identity}
        )
        self.assertEqual((state["phase"], state["backup"]["origin"]), ("ready", self.first.url), state)
        self.assertEqual([one["short"] for one in state["backup"]["modules"]], ["hello"])
        self.first.stop()
        self.apply(second, restore_id, ticket, "move")
        self.assertEqual((second.home / "hello" / "note.md").read_text(), "words")
        (act,) = self.restored(second)
        told = (act["means"], act["address"], act["outcome"], act["subject"])
        self.assertEqual(told, ("page", "127.0.0.1", "ok", to_the_second(state["backup"]["created_at"])))
        self.assertEqual(fetch(f"{second.url}/.well-known/jwks.json").json(), keys)
        session_of_owner(second)
        second.wait_for(lambda: fetch(f"{second.url}/hello").status == 200, "the module's program to be fetched again")
        self.assertNotIn(identity, second.log())

    def test_a_hub_that_is_told_to_end_while_it_restarts_ends(self) -> None:
        """A service manager would wait and then kill it."""
        (self.first.home / "hello").mkdir()
        (self.first.home / "hello" / "note.md").write_text("words")
        identity, archive = self.backup()
        self.first.stop()
        for pause in (0.0, 0.15):
            second, token = self.empty()
            told = {"setup_token": token, "identity": identity}
            restore_id, ticket, _ = self.send(second, archive.read_bytes(), told)
            self.assertEqual(
                self.ask(second, "POST", f"/{restore_id}/apply", {"mode": "move"}, ticket).status, 202, pause
            )
            time.sleep(pause)
            second.stop()
            self.assertTrue((second.home / "hub" / "restore" / "ready.json").exists(), "it ended before it began anew")
            second.start()
            self.assertEqual((second.home / "hello" / "note.md").read_text(), "words", pause)

    def test_a_backup_of_hub_0_6(self) -> None:
        """Made with the schema of that release, which the restored hub migrates at its start."""
        home = self.first.home.with_name("hub-0.6")
        key = pyrage.x25519.Identity.generate()
        archive = archive_of_0_6(home, str(key.to_public()))
        second, token = self.empty()
        restore_id, ticket, state = self.send(second, archive, {"setup_token": token, "identity": str(key)})
        self.assertEqual((state["phase"], state["backup"]["hub_version"]), ("ready", "0.6.0"), state)
        self.apply(second, restore_id, ticket, "move")
        session_of_owner(second)
        self.assertEqual((second.home / "hello" / "note.md").read_text(), "words of 0.6")
        with contextlib.closing(sqlite3.connect(second.home / "parachute.db")) as opened:
            version = opened.execute("PRAGMA user_version").fetchone()[0]
        self.assertEqual(version, len(shipped_migrations()))
        self.assertTrue((second.home / "parachute.db.v2").is_file())
        self.assertEqual(len(self.restored(second)), 1)

    def test_a_copy_has_keys_of_its_own_and_no_sessions(self) -> None:
        keys = fetch(f"{self.first.url}/.well-known/jwks.json").json()
        operator = (self.first.home / "operator.token").read_text()
        identity, archive = self.backup()
        second, token = self.empty()
        restore_id, ticket, _ = self.send(second, archive.read_bytes(), {"setup_token": token, "identity": identity})
        self.apply(second, restore_id, ticket, "copy")
        self.assertNotEqual(fetch(f"{second.url}/.well-known/jwks.json").json(), keys)
        self.assertNotEqual((second.home / "operator.token").read_text(), operator)
        self.assertEqual(second.client.call("GET", "/api/backups")["places"], [])
        session_of_owner(second)

    def test_what_goes_wrong_is_said_and_leaves_an_empty_hub(self) -> None:
        identity, archive = self.backup()
        content = archive.read_bytes()
        second, token = self.empty()
        told = {"setup_token": token, "identity": identity}
        for what, sent, values, kind in (
            ("half of it", content[: len(content) // 2], {}, "damaged"),
            ("another key", content, {"identity": "AGE-SECRET-KEY-1" + "Q" * 58}, "wrong_recovery_key"),
            ("a photo", b"\xff\xd8" * 1000, {}, "damaged"),
        ):
            *_, state = self.send(second, sent, {**told, **values})
            self.assertEqual(state.get("errorKind") or state.get("error"), kind, (what, state))
        self.assertEqual(self.ask(second, "POST", "", {**told, "setup_token": "guess"}).status, 401)
        begun = self.ask(second, "POST", "", told).json()
        for path in (f"/{begun['id']}", "/other"):
            self.assertIn(self.ask(second, "GET", path, ticket="wrong").status, (403,), path)
        self.assertEqual(self.ask(second, "DELETE", f"/{begun['id']}", ticket=begun["ticket"]).status, 200)
        self.assertFalse((second.home / "hub" / "restore" / begun["id"]).exists())
        self.assertEqual(self.acts(second)[:2], ["restore-cancelled", "restore-begun"])

    def test_an_empty_hub_takes_whole_backups_only(self) -> None:
        identity, archive = self.backup()
        second, token = self.empty()
        restore_id, ticket, _ = self.send(second, archive.read_bytes(), {"setup_token": token, "identity": identity})
        answer = self.ask(second, "POST", f"/{restore_id}/apply", {"part": {"vault": "default"}}, ticket)
        self.assertEqual((answer.status, answer.json()["error"]), (409, "no_hub_yet"))
        for part in (
            {},
            {"vault": "../x"},
            {"module": "vault", "vault": "a"},
            {"vault": "a", "as": "admin"},
            ["vault"],
        ):
            answer = self.ask(second, "POST", f"/{restore_id}/apply", {"part": part}, ticket)
            self.assertEqual(answer.status, 400, (part, answer.body))

    def test_from_a_folder_that_is_listed_first(self) -> None:
        identity, archive = self.backup()
        second, token = self.empty()
        told = {"setup_token": token, "identity": identity, "from": {"kind": "folder", "path": str(self.disk)}}
        listed = self.ask(second, "POST", "/archives", told).json()["archives"]
        self.assertEqual([one["name"] for one in listed], [archive.name])
        self.assertEqual(self.acts(second)[0], "restore-looked")
        begun = self.ask(second, "POST", "", {**told, "name": archive.name}).json()
        path, ticket = f"/{begun['id']}", begun["ticket"]
        second.wait_for(lambda: self.ask(second, "GET", path, ticket=ticket).json()["phase"] == "ready", "the plan")
        self.apply(second, begun["id"], ticket, "move")
        session_of_owner(second)

    def test_a_hub_in_use_wants_its_owner(self) -> None:
        identity, _ = self.backup()
        self.assertEqual(self.ask(self.first, "POST", "", {"identity": identity}).status, 401)
        page = fetch(self.first.url + BASE)
        self.assertEqual((page.status, page.headers["location"]), (303, "/admin/backups/restore"))

    def test_a_ticket_ends_when_the_hub_has_an_owner(self) -> None:
        """Whoever had the setup token before could otherwise replace the hub later."""
        identity, archive = self.backup()
        second, token = self.empty()
        restore_id, ticket, _ = self.send(second, archive.read_bytes(), {"setup_token": token, "identity": identity})
        page = fetch(f"{second.url}/admin/setup")
        told = {"__csrf": page.json()["csrfToken"], "bootstrap_token": token, "username": "ada"}
        told |= {"password": "four plain words here", "password_confirm": "four plain words here"}
        cookie = page.headers["set-cookie"].partition(";")[0]
        claimed = fetch(f"{second.url}/admin/setup/account", method="POST", body=told, headers={"Cookie": cookie})
        self.assertEqual(claimed.status, 200, claimed.body)
        answer = self.ask(second, "POST", f"/{restore_id}/apply", {"mode": "move"}, ticket)
        self.assertEqual((answer.status, answer.json()["error"]), (403, "wrong_ticket"))


def archive_of_0_6(home: Path, recipient: str) -> bytes:
    """A home as hub 0.6 left it: its schema had two steps."""
    (home / "hello").mkdir(parents=True)
    (home / "hello" / "note.md").write_text("words of 0.6")
    database = Database.open(home / "parachute.db", shipped_migrations()[:2])

    def add_owner() -> None:
        with database.transaction() as connection:
            # The columns that 0.6 had.
            connection.execute(
                "INSERT INTO users (id, username, password_hash, role, created_at, password_changed_at)"
                " VALUES ('1', 'owner', ?, 'admin', 1.0, 1.0)",
                (hash_of("correct-horse-battery"),),
            )

    at_once(database.write(add_owner))
    database.close()
    listing = list_home(home)
    header = Header(
        id="1",
        created_at=1.0,
        hub_version="0.6.0",
        hub_id="0123abcd",
        schema=2,
        origin="http://127.0.0.1:1939",
        modules=(),
        size=listing.size,
    )
    scratch = home.with_name("scratch")
    scratch.mkdir()
    return b"".join(ArchiveWriter(home, scratch, header, listing, recipient, lambda path, size: None).chunks())
