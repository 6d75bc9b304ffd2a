"""The main use on real processes: install from a registry, write a note, survive kills and restarts, read it again."""

import os
import signal
import socket
from typing import Any

import psutil
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.client import CommandError, HubRefused
from tests.live.harness import PATIENCE, HubProcess, fetch, gone, hub, packed_examples, registry
from tests.live.ports import free_port

CATALOG_OF_NAMES = """{"modules": [
  {"short": "vault", "package": "@openparachute/vault", "displayName": "Vault", "tagline": "Notes", "focus": "core"},
  {"short": "hello", "package": "@openparachute/hello", "displayName": "Hello", "tagline": "Hi", "focus": "core"}
]}"""


class MainJob(SynchronousTestCase):
    """One hub per test, with the packs of `examples/` under their official names in our own registry."""

    def setUp(self) -> None:
        packed_examples()
        self.registry = registry(self)
        self.hub = hub(self, environment={"BUN_CONFIG_REGISTRY": self.registry})
        self.hub.catalog = self.hub.home.with_name("catalog.json")
        self.hub.catalog.write_text(CATALOG_OF_NAMES)

    def notes(self) -> tuple[str, dict[str, str]]:
        key = (self.hub.home / "vault" / "data" / "default" / "initial-key").read_text().strip()
        return f"{self.hub.url}/vault/default/api/notes", {"Authorization": f"Bearer {key}"}

    def write(self, content: str) -> str:
        url, headers = self.notes()
        made = fetch(url, method="POST", body={"content": content, "path": "live/note"}, headers=headers)
        self.assertEqual(made.status, 201, made.body)
        note: str = made.json()["id"]
        return note

    def read(self, note: str) -> Any:
        url, headers = self.notes()
        found = fetch(f"{url}/{note}", headers=headers)
        return found.json()["content"] if found.status == 200 else found.status

    def wait_until_readable(self, note: str) -> None:
        self.hub.wait_for(lambda: isinstance(self.read(note), str), "the vault to answer")

    def test_a_note_outlives_every_kind_of_death(self) -> None:
        """kill -9 of the module, SIGTERM and SIGKILL of the hub: the note is read each time, without an install."""
        self.hub.start()
        job = self.hub.install("vault")
        self.assertEqual((job["status"], job["short"]), ("succeeded", "vault"))
        note = self.write("written through the hub")
        self.assertEqual(self.read(note), "written through the hub")

        first = self.hub.module("vault")["pid"]
        os.kill(first, signal.SIGKILL)
        self.hub.wait_for(lambda: self.hub.module("vault")["pid"] not in (None, first), "a new vault process")
        self.wait_until_readable(note)

        pid = self.hub.module("vault")["pid"]
        self.assertEqual(self.hub.stop(), -signal.SIGTERM)
        self.assertTrue(gone(pid), "the vault outlived its hub")
        self.hub.start()
        self.wait_until_readable(note)

        pid = self.hub.module("vault")["pid"]
        self.hub.kill()
        self.hub.start()
        self.wait_until_readable(note)
        self.assertNotEqual(self.hub.module("vault")["pid"], pid)
        self.assertEqual(self.read(note), "written through the hub")

        # A module that rewrites the file when the power goes leaves it empty.
        self.hub.wait_for(lambda: (self.hub.home / "hub" / "services.last.json").exists(), "a copy of services.json")
        self.hub.stop()
        (self.hub.home / "services.json").write_bytes(b"")
        self.hub.start()
        self.wait_until_readable(note)
        jobs = list((self.hub.home / "hub" / "jobs").glob("*.json"))
        self.assertEqual(len(jobs), 1, "something was installed again")

    def test_what_cannot_be_installed_is_refused_and_leaves_nothing(self) -> None:
        """Unknown names, options in place of names, a package that is no module."""
        self.hub.start()
        for name in ("nothing-of-that-name", "--trust", "--cwd=%2F", "..%2F..", "x%40file%3A..", "%40a%2Fb%2Fc"):
            with self.assertRaises(HubRefused) as caught:
                self.hub.install(name)
            self.assertIn(caught.exception.status, (400, 404), name)
        self.assertEqual(
            [module for module in self.hub.client.call("GET", "/api/modules")["modules"] if module["installed"]], []
        )
        self.assertFalse((self.hub.home / "services.json").exists())
        self.assertEqual(list((self.hub.home / "modules" / "store").glob("*/*")), [])

    def test_a_registry_that_is_down_is_named_and_leaves_nothing(self) -> None:
        """The job fails with a message, nothing is half-installed, and a retry can work."""
        self.hub.environment = {**self.hub.environment, "BUN_CONFIG_REGISTRY": f"http://127.0.0.1:{free_port()}/"}
        self.hub.start()
        with self.assertRaises(CommandError) as caught:
            self.hub.install("hello")
        self.assertRegex(str(caught.exception).lower(), "registry|reach|connect")
        self.assertFalse(self.hub.module("hello")["installed"])
        self.assertEqual(list((self.hub.home / "modules" / "store").glob("*/*")), [])

    def test_a_foreign_program_on_the_port_is_named_and_not_killed(self) -> None:
        """The row's port is taken while the hub is down: held, reported by pid and program, not killed."""
        self.hub.start()
        self.hub.install("hello")
        port = int(self.row("hello")["port"])
        self.hub.stop()
        stranger = socket.create_server(("127.0.0.1", port))
        self.addCleanup(stranger.close)
        self.hub.start()
        self.hub.wait_for(lambda: self.hub.module("hello")["state"] == "held", "hello to be held")
        reason = self.hub.module("hello")["reason"]
        program = os.path.basename(psutil.Process().cmdline()[0])
        self.assertIn(f"process {os.getpid()} ({program}", reason, "the stranger's command is not named")
        with socket.create_connection(("127.0.0.1", port)):
            pass

    def row(self, short: str) -> dict[str, Any]:
        import json

        rows = json.loads((self.hub.home / "services.json").read_text())["services"]
        found: dict[str, Any] = next(row for row in rows if row["name"].endswith(short))
        return found

    def test_services_json_cut_in_half_does_not_stop_the_hub(self) -> None:
        """It boots, keeps what is readable, keeps the original, and reports it."""
        self.hub.start()
        self.hub.install("hello")
        self.hub.install("vault")
        self.hub.stop()
        path = self.hub.home / "services.json"
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        self.hub.start()
        self.assertEqual(fetch(f"{self.hub.url}/health").status, 200)
        self.assertIn("services.json", self.hub.log())


class SecondHub(SynchronousTestCase):
    def test_a_taken_home_is_one_clear_line(self) -> None:
        """The second hub names the first and exits with an error; the first is unaffected."""
        first = hub(self).start()
        second = HubProcess(home=first.home, environment=first.environment)
        before = len(first.log())
        process = second.spawn()
        self.assertEqual(process.wait(PATIENCE), 1)
        said = first.log()[before:]
        self.assertIn(f"pid {first.process.pid}" if first.process else "", said)
        self.assertNotIn("Traceback", said)
        self.assertTrue(first.client.running)

    def test_a_taken_port_is_one_clear_line(self) -> None:
        """The port is named, the exit code is not zero, no module starts."""
        first = hub(self).start()
        second = hub(self, port=first.port)
        process = second.spawn()
        self.assertEqual(process.wait(PATIENCE), 1)
        self.assertIn(str(first.port), second.log())
        self.assertEqual(len(second.log().strip().splitlines()), 1)

    def test_another_hub_may_have_the_home_after_a_stop(self) -> None:
        """Nothing left behind blocks the next start."""
        first = hub(self).start()
        first.kill()
        first.start()
