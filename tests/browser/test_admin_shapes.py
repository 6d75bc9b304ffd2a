"""API responses match the admin app's types: a running hub answers, TypeScript checks."""

import json
import re
import shutil
import subprocess
import urllib.request
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.client import CommandError
from parachute_hub.cli.progress import ProgressPrinter, follow
from tests.browser.admin_app import WEB, built
from tests.browser.browser import _bun as bun
from tests.live.harness import PATIENCE, fetch, hub, packed_examples, registry, session_of_owner
from tests.live.notice_rig import services
from tests.live.oauth_rig import connect_an_app

# Minutes have not passed yet; packages that come along have no dates.
MAY_BE_EMPTY = ("minutes_kib", "releases")
SHAPES = WEB / "src" / "api" / "shapes.ts"
# Inferred, so that what the app does not use may be there, and what it uses may not be missing.
JUDGE = """import type {{ Answers, Job, Status }} from "{shapes}"
function answers<P extends keyof Answers, A extends Answers[P]>(path: P, answer: A) {{ return [path, answer] }}
function tells<E extends {{ short: string; status: Status }} | {{ job: Job }}>(event: E) {{ return event }}
{lines}
"""


class ShapesTests(SynchronousTestCase):
    def setUp(self) -> None:
        built()
        self.hub = hub(self, catalog=packed_examples(), environment={"BUN_CONFIG_REGISTRY": registry(self)}).start()
        self.cookie = session_of_owner(self.hub).cookie

    def get(self, path: str) -> Any:
        """As the page requests it."""
        reply = fetch(self.hub.url + path, headers={"Cookie": self.cookie})
        self.assertEqual(reply.status, 200, f"{path}: {reply.body!r}")
        return reply.json()

    def told(self) -> list[tuple[str, str]]:
        """Every event since the hub started: name and data."""
        headers = {"Cookie": self.cookie, "Last-Event-ID": "before-0"}
        request = urllib.request.Request(f"{self.hub.url}/api/events", headers=headers)
        text = ""
        with urllib.request.urlopen(request, timeout=PATIENCE) as stream:
            while '"kind": "uninstall"' not in text or '"status": "succeeded"' not in text.splitlines()[-2]:
                text += stream.readline().decode()
        return re.findall(r"event: (\w+)\ndata: (.*)\n", text)

    def live(self) -> None:
        """Create something for every page to show."""
        call = self.hub.client.call
        for origin in ("http://old.test", self.hub.url):
            call("PUT", "/api/settings/hub-origin", {"hub_origin": origin})
        for short in ("vault", "scribe", "notes"):
            self.hub.install(short)
        self.hub.wait_for(lambda: self.hub.module("vault")["state"] == "ready", "the vault")
        # Its memory is looked at every two seconds.
        past = f"{self.hub.url}/api/overview/memory/scribe"
        self.hub.wait_for(lambda: fetch(past, headers={"Cookie": self.cookie}).status == 200, "a first measurement")
        call("POST", "/vaults", {"name": "work"})
        call("POST", "/api/auth/mint-token", {"scope": "vault:work:read", "expires_in": 86_400, "name": "Script"})
        call("POST", "/api/invites", {"vaults": {"work": "read"}})
        kim = call("POST", "/api/users", {"username": "kim", "password": "purple monkey dishwasher"})["user"]["id"]
        call("PUT", f"/api/users/{kim}/quota", {"bytes": 1 << 30})
        call("PUT", "/vaults/work/deletion")
        connect_an_app(self.hub.url, "An app", "vault:work:read")
        self.back_up()
        hook = {"kind": "webhook", "url": services(self).url("/hook"), "private": True}
        call("POST", "/api/notices/destinations", hook)
        call("POST", "/api/modules/notes/stop")
        begun = call("POST", "/api/modules/notes/uninstall")
        self.hub.wait_for(
            lambda: call("GET", f"/api/modules/operations/{begun['operation_id']}")["status"] == "succeeded", "the end"
        )
        with self.assertRaises(CommandError):
            self.hub.install("vault", version="99.0.0")

    def back_up(self) -> None:
        """Once, and once more when the disk is gone."""
        call = self.hub.client.call
        disk = self.hub.home.with_name("disk")
        disk.mkdir()
        identity = call("POST", "/api/backups/key")["identity"]
        call("POST", "/api/backups/key/confirm", {"characters": identity[-4:]})
        place = call("POST", "/api/backups/places", {"kind": "folder", "path": str(disk)})["id"]
        run = f"/api/backups/places/{place}/run"
        follow(self.hub.client, call("POST", run)["operation_id"], ProgressPrinter(quiet=True))
        shutil.rmtree(disk)
        with self.assertRaises(CommandError):
            follow(self.hub.client, call("POST", run)["operation_id"], ProgressPrinter(quiet=True))

    def test_answers_and_events_fit_the_types_of_the_app(self) -> None:
        """Every path that the app reads, on a hub with some history."""
        self.live()
        paths = re.findall(r'^  (?:"|\[\w+: `)(/[^"`]+)["`]', SHAPES.read_text(), re.MULTILINE)
        self.assertGreater(len(paths), 15)
        asked = [path.replace("${string}", "scribe") for path in paths]
        found = {path: self.get(path) for path in asked}
        for path, answer in found.items():
            empty = [name for name, value in answer.items() if value == [] and name not in MAY_BE_EMPTY]
            self.assertEqual(empty, [], f"{path} proves nothing about {empty}")
        lines = [f"answers({json.dumps(path)}, {json.dumps(answer)})" for path, answer in found.items()]
        told = self.told()
        self.assertLess({"module", "job", "log", "registry"}, {name for name, _ in told} | {"tick"})
        lines += [f"tells({data})" for name, data in told if name in ("module", "job")]
        self.judge(lines)

    def judge(self, lines: list[str]) -> None:
        """Fail with TypeScript's errors in these calls."""
        folder = WEB / "node_modules" / ".shapes"
        folder.mkdir(exist_ok=True)
        source = folder / "found.ts"
        source.write_text(JUDGE.format(shapes="../../src/api/shapes", lines="\n".join(lines)))
        (folder / "tsconfig.json").write_text(json.dumps({"extends": "../../tsconfig.json", "include": ["found.ts"]}))
        words = [bun(), "x", "--no-install", "tsc", "--noEmit", "-p", str(folder)]
        ended = subprocess.run(words, cwd=WEB, capture_output=True, text=True, timeout=120)
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
