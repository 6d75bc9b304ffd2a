"""A vault that is split out to a real module host, with its notes, under writes, and brought back."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.client import CommandError, HubRefused
from parachute_hub.cli.progress import ProgressPrinter, follow
from parachute_hub.modules.state.records import RecordsFile
from tests.live.harness import HubProcess, fetch, hub, packed_examples
from tests.live.host_rig import HostProcess, host


@define
class Writer:
    """Writes one note after the other until it is stopped. A note that was confirmed must not be lost or doubled.

    `paused` is how long no note was confirmed, at most, in seconds.
    """

    hub: HubProcess
    token: str
    name: str = "under way"
    confirmed: list[str] = field(factory=list)
    statuses: dict[int, int] = field(factory=dict)
    paused: float = 0.0
    _over: bool = False
    _thread: threading.Thread = field(init=False)

    def start(self) -> "Writer":
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        self._over = True
        self._thread.join(30)

    def _run(self) -> None:
        number, last = 0, time.monotonic()
        while not self._over:
            path = f"{self.name} {number}"
            try:
                status = write(self.hub, self.token, path)
            except OSError:
                status = 503  # The hub was killed: nothing was confirmed.
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if status in (200, 201):
                self.confirmed.append(path)
                number, now = number + 1, time.monotonic()
                self.paused, last = max(self.paused, now - last), now
            time.sleep(0.01)


def write(running: HubProcess, token: str, path: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    body = {"path": path, "content": f"text of {path}"}
    return fetch(f"{running.url}/vault/default/api/notes", method="POST", body=body, headers=headers).status


def paths(running: HubProcess, token: str) -> list[str]:
    """The paths of all notes, sorted."""
    found: list[str] = []
    while True:
        url = f"{running.url}/vault/default/api/notes?limit=500&offset={len(found)}"
        page = fetch(url, headers={"Authorization": f"Bearer {token}"}).json()
        notes = page["notes"] if isinstance(page, dict) else page
        found += [note["path"] for note in notes]
        if len(notes) < 500:
            return sorted(found)


class PairedCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.there: HostProcess = host(self, packed_examples()).start()
        self.hub = hub(self, catalog=packed_examples()).start()
        self.hub.install("vault")
        minted = self.hub.client.call("POST", "/api/auth/mint-token", {"scope": "vault:default:admin"})
        self.token = str(minted["token"])

    def pair(self, code: str | None = None) -> dict[str, Any]:
        body = {"address": f"127.0.0.1:{self.there.port}", "code": code or self.there.code(), "private": True}
        answer: dict[str, Any] = self.hub.client.call("POST", "/api/links/vault/pair", body)
        return answer

    def move(self, to: str, **more: Any) -> dict[str, Any]:
        begun = self.hub.client.call("POST", "/api/links/vault/move", {"to": to, **more})
        return follow(self.hub.client, begun["operation_id"], ProgressPrinter(quiet=True))

    def ready(self) -> None:
        self.hub.wait_for(lambda: self.hub.module("vault")["state"] == "ready", "the vault")


class PairedTests(PairedCase):
    def test_a_vault_moves_there_and_back_under_writes(self) -> None:
        for code in ("000-000-000-000-000-000-000-000", "short"):
            with self.assertRaises(HubRefused) as caught:
                self.pair(code)
            self.assertIn(caught.exception.body["error"], ("wrong_code", "invalid_code"))
        self.assertEqual(self.pair()["link"]["active"], False)
        self.assertEqual(self.hub.module("vault")["elsewhere"], None)
        writer = Writer(self.hub, self.token).start()
        try:
            for to in ("there", "here"):
                self.move(to)
                module = self.hub.module("vault")
                self.assertEqual((module["state"], module["elsewhere"] is not None), ("ready", to == "there"))
                count = len(writer.confirmed)
                self.hub.wait_for(lambda count=count: len(writer.confirmed) > count + 3, "writes to go on")
                if to == "there":
                    self.assertEqual(module["pid"], None)
                    self.renewed()
        finally:
            writer.stop()
        self.assertEqual(set(writer.statuses) - {200, 201, 503}, set(), writer.statuses)
        found = paths(self.hub, self.token)
        written = [path for path in found if path.startswith("under way ")]
        self.assertEqual(sorted(set(written)), written, "nothing is double")
        self.assertEqual(set(writer.confirmed) - set(written), set(), "nothing is lost")
        acts = [act["action"] for act in self.hub.client.call("GET", "/api/audit")["acts"]]
        for act in ("link-set", "link-renewed", "module-move"):
            self.assertIn(act, acts)
        self.hub.client.call("DELETE", "/api/links/vault")
        acts = [act["action"] for act in self.hub.client.call("GET", "/api/audit")["acts"]]
        self.assertIn("link-ended", acts)
        self.there.wait_for(lambda: self.pair_again(), "the host to be free again")

    def renewed(self) -> None:
        before = self.hub.client.call("GET", "/api/links/vault")["link"]
        self.assertEqual(self.command("renew", "vault"), 0)
        after = self.hub.client.call("GET", "/api/links/vault")["link"]
        self.assertGreaterEqual(after["renewed_at"], before["renewed_at"])
        self.ready()

    def pair_again(self) -> bool:
        """With the command, and the code in its environment."""
        where = f"127.0.0.1:{self.there.port}"
        return self.command("pair", "vault", where, "--private", PARACHUTE_PAIRING_CODE=self.there.code()) == 0

    def command(self, *words: str, **environment: str) -> int:
        """The exit code of `parachute link`."""
        program = str(Path(sys.executable).with_name("parachute"))
        command = [program, "--home", str(self.hub.home), "link", *words]
        return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=False).returncode

    def test_it_is_steered_and_its_data_is_not_forgotten(self) -> None:
        self.pair()
        self.assertEqual(write(self.hub, self.token, "kept"), 201)
        self.move("there")
        self.limited()
        self.hub.client.call("POST", "/api/modules/vault/stop", {})
        self.assertEqual(self.hub.module("vault")["state"], "stopped")
        self.assertEqual(write(self.hub, self.token, "lost"), 503)
        self.hub.client.call("POST", "/api/modules/vault/start", {})
        self.assertEqual(paths(self.hub, self.token).count("kept"), 1)
        self.hub.client.call("PUT", "/api/modules/vault/settings", {"sleep_after": 15, "memory_limit": 256 << 20})
        kept = self.there.home / "hub" / "modules.json"
        self.there.wait_for(lambda: RecordsFile(kept).get("vault").memory_limit == 256 << 20, "its limit there")
        # Neither the hub's end nor the host's loses the link.
        self.hub.kill()
        self.hub.start()
        self.ready()
        self.there.kill()
        self.hub.wait_for(lambda: self.hub.module("vault")["elsewhere"]["reach"] == "not answering", "the cut")
        self.assertEqual(write(self.hub, self.token, "away"), 503)
        seen = len(self.there.log())
        self.there.start()
        self.ready()
        # It sleeps there, too: the first request wakes it.
        self.assertNotIn("vault started", self.there.log()[seen:])
        self.assertEqual(paths(self.hub, self.token).count("kept"), 1)
        self.assertIn("vault started", self.there.log()[seen:])
        for method, path, body in (
            ("POST", "/vaults", {"name": "family"}),
            ("GET", "/api/modules/vault/config", None),
            ("DELETE", "/api/links/vault", None),
        ):
            with self.assertRaises(HubRefused) as caught:
                self.hub.client.call(method, path, body)
            self.assertEqual(caught.exception.status, 409, path)
        # One that is switched off moves too, and stays off.
        self.hub.client.call("POST", "/api/modules/vault/stop", {})
        self.move("here")
        module = self.hub.module("vault")
        self.assertEqual((module["state"], module["elsewhere"]), ("stopped", None))
        self.hub.client.call("POST", "/api/modules/vault/start", {})
        self.assertEqual(paths(self.hub, self.token).count("kept"), 1)

    def limited(self) -> None:
        """The host tells how large the vault is, which its limit is held against."""
        call = self.hub.client.call
        told = call("GET", "/api/space")
        (vault,) = told["vaults"]
        self.assertEqual((told["vaults_counted"], vault["name"]), (True, "default"))
        self.assertGreater(vault["bytes"], 10_000)
        self.assertEqual([one["bytes"] for one in call("GET", "/vaults")["vaults"]], [vault["bytes"]])
        call("PUT", "/vaults/default/quota", {"bytes": vault["bytes"]})
        self.hub.wait_for(lambda: write(self.hub, self.token, "too much") == 507, "the limit")
        call("PUT", "/vaults/default/quota", {"bytes": 0})
        self.hub.wait_for(lambda: write(self.hub, self.token, "enough") == 201, "its end")

    def test_data_of_an_earlier_link_is_not_replaced_unasked(self) -> None:
        """Nobody else may have it."""
        self.pair()
        self.assertEqual(write(self.hub, self.token, "kept"), 201)
        self.move("there")
        self.hub.client.call("DELETE", "/api/links/vault?leave_data=1")
        self.there.wait_for(lambda: self.pair_again(), "the host to be free again")
        with self.assertRaises(CommandError) as caught:
            self.move("there")
        self.assertIn("data from an earlier link", str(caught.exception))
        self.assertEqual(paths(self.hub, self.token), [])
        self.move("there", keep_data=True)
        self.assertEqual(paths(self.hub, self.token), ["kept"])
        for to in ("here", "there"):
            self.move(to)
            self.assertEqual(paths(self.hub, self.token), ["kept"], to)

    def test_without_its_key_the_hub_still_starts(self) -> None:
        self.pair()
        self.move("there")
        self.hub.stop()
        shutil.rmtree(self.hub.home / "hub" / "links")
        self.hub.start()
        self.hub.wait_for(lambda: self.hub.module("vault")["elsewhere"]["reach"] == "refused", "the refusal")
        self.assertEqual(write(self.hub, self.token, "nowhere"), 503)

    def test_a_kill_at_any_time_leaves_it_at_one_place(self) -> None:
        self.pair()
        self.assertEqual(write(self.hub, self.token, "kept"), 201)
        for to, wait in (("there", 0.3), ("there", 0.9), ("there", None), ("here", 0.4), ("here", 1.2)):
            link = self.hub.client.call("GET", "/api/links/vault")["link"]
            if link["active"] == (to == "there"):
                continue
            if wait is None:
                self.move(to)
                continue
            self.hub.client.call("POST", "/api/links/vault/move", {"to": to})
            time.sleep(wait)
            self.hub.kill()
            self.hub.start()
            self.ready()
            self.assertEqual(paths(self.hub, self.token).count("kept"), 1, (to, wait))
            self.assertEqual(write(self.hub, self.token, f"after {to} {wait}"), 201)
        found = paths(self.hub, self.token)
        self.assertEqual(len(found), len(set(found)))

    def test_what_goes_wrong_there_changes_nothing_here(self) -> None:
        self.pair()
        self.there.stop()
        with self.assertRaises(CommandError):
            self.move("there")
        self.ready()
        self.assertEqual(write(self.hub, self.token, "here"), 201)
        record = json.loads((self.hub.home / "hub" / "modules.json").read_text())["modules"]["vault"]
        self.assertEqual(record["link"]["active"], False)
