"""A module's author: a new module, run and tested behind a hub of its own or one that runs."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import ROOT, fetch, hub
from tests.live.ports import module_ports

COMMAND = str(Path(sys.executable).parent / "parachute")
PATIENCE = 60


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([COMMAND, *words], capture_output=True, text=True, timeout=120, cwd=ROOT, check=False)


def environment() -> dict[str, str]:
    ports = module_ports()
    return {**os.environ, "PARACHUTE_MODULE_PORTS": f"{ports[0]}-{ports[-1]}"}


class Dev:
    """`parachute module dev --json` and what it has told so far."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.events: list[dict[str, Any]] = []
        self.errors = folder.with_name(f"{folder.name}.errors")
        self._more = threading.Condition()
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [COMMAND, "module", "dev", str(folder), "--json", *words],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=environment(),
            )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._more:
                self.events.append(json.loads(line))
                self._more.notify_all()

    def wait_for(self, fits: Callable[[dict[str, Any]], object], after: int = 0) -> dict[str, Any]:
        """The first event that fits, from the one with the number `after`."""

        def found() -> dict[str, Any] | None:
            return next((event for event in self.events[after:] if fits(event)), None)

        with self._more:
            event = self._more.wait_for(found, PATIENCE)
        assert event, f"waited in vain; it told {self.events} and {self.errors.read_text()}"
        return event

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(PATIENCE)


class DevTests(SynchronousTestCase):
    def new(self, name: str, *words: str) -> Path:
        folder = Path(self.mktemp()).absolute() / name
        made = run("module", "new", name, "--folder", str(folder), *words)
        self.assertEqual(made.returncode, 0, made.stderr)
        return folder

    def dev(self, folder: Path, *words: str) -> Dev:
        dev = Dev(folder, *words)
        self.addCleanup(dev.end)
        return dev

    def test_a_folder_runs_behind_a_hub_of_its_own_and_again_after_a_change(self) -> None:
        folder = self.new("clock")
        dev = self.dev(folder)
        ready = dev.wait_for(lambda event: event["event"] == "ready")
        home, page = Path(ready["home"]), f"{ready['origin']}{ready['mount']}"
        self.assertEqual((ready["short"], ready["mount"]), ("clock", "/clock"))
        self.assertIn(b"What it does", fetch(page).body)
        dev.wait_for(lambda event: event["event"] == "log" and "clock: listening" in event["text"])

        seen = len(dev.events)
        server = folder / "server.ts"
        server.write_text(server.read_text().replace("This page is written", "This text is written"))
        dev.wait_for(lambda event: event["event"] == "log" and "clock: listening" in event["text"], seen)
        dev.wait_for(lambda event: event["event"] == "changed", seen)
        while b"upstream_starting" in (shown := fetch(page).body):
            time.sleep(0.05)
        self.assertIn(b"This text is written", shown)

        seen, manifest = len(dev.events), folder / ".parachute/module.json"
        manifest.write_text(manifest.read_text().replace('"port": 4321', '"port": "none"'))
        told = dev.wait_for(lambda event: event["event"] == "findings", seen)
        self.assertEqual(told["findings"], [".parachute/module.json: port: must be a whole number from 1 to 65535"])
        self.assertIn("port: must be", dev.wait_for(lambda event: event["event"] == "failed", seen)["error"])

        self.assertEqual(dev.end(), 0)
        self.assertFalse(home.exists())
        self.assertRaises(OSError, fetch, page)

    def test_a_module_that_does_not_start_is_tried_again(self) -> None:
        folder = self.new("broken")
        server = folder / "server.ts"
        good = server.read_text()
        server.write_text("process.exit(3)")
        dev = self.dev(folder)
        dev.wait_for(lambda event: event["event"] == "failed")
        server.write_text(good)
        self.assertEqual(dev.wait_for(lambda event: event["event"] == "ready")["short"], "broken")

    def test_a_hub_that_runs_gets_the_module_and_loses_it_again(self) -> None:
        running = hub(self).start()
        folder = self.new("guest", "--static")
        dev = self.dev(folder, "--home", str(running.home))
        ready = dev.wait_for(lambda event: event["event"] == "ready")
        self.assertEqual((ready["origin"], ready.get("password")), (running.url, None))
        self.assertEqual(fetch(f"{running.url}/guest/").status, 200)
        other = run("module", "dev", str(folder), "--home", str(running.home))
        self.assertEqual(other.returncode, 1)
        self.assertIn("guest is installed on this hub", other.stderr)
        self.assertEqual(dev.end(), 0)
        self.assertEqual(fetch(f"{running.url}/guest/").status, 404)
        self.assertEqual(running.client.health()["phase"], "up")

    def test_the_tests_of_a_new_module_pass(self) -> None:
        """The helpers start a hub; without standard input the hub ends as well."""
        for words in ((), ("--static",)):
            folder = self.new("tested", *words)
            if not words:
                server = folder / "server.ts"
                guarded = "[`${mount}/secret`]: guarded,\n    [`${mount}/health`]"
                shebang, _, rest = server.read_text().partition("\n")
                server.write_text(f"{shebang}\n{_GUARD}{rest.replace('[`${mount}/health`]', guarded)}")
                manifest = json.loads((folder / ".parachute/module.json").read_text())
                manifest["scopes"] = {"defines": ["tested:read"]}
                (folder / ".parachute/module.json").write_text(json.dumps(manifest))
                (folder / "test/more.test.ts").write_text(_TEST)
            done = subprocess.run(
                [COMMAND, "module", "test", str(folder)],
                capture_output=True,
                text=True,
                timeout=120,
                env=environment(),
                check=False,
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            self.assertIn(f" {1 if words else 3} pass", done.stderr)


_GUARD = """\
import { HubTokens, hubFromEnvironment } from "./kit/hub-token.ts"
const tokens = new HubTokens(hubFromEnvironment(process.env))
async function guarded(request: Request) {
  const bearer = request.headers.get("authorization")?.slice(7) ?? ""
  const claims = await tokens.verify(bearer).catch(() => undefined)
  return Response.json({ scopes: claims?.scopes }, { status: claims?.scopes.includes("tested:read") ? 200 : 401 })
}
"""

_TEST = """\
import { afterAll, expect, test } from "bun:test"
import { startHub } from "../kit/testing.ts"

const hub = await startHub(`${import.meta.dir}/..`)
afterAll(() => hub.stop())

test("a token of the hub opens it", async () => {
  expect((await hub.fetch("/secret")).status).toBe(401)
  const authorization = `Bearer ${await hub.token("tested:read")}`
  const answer = await hub.fetch("/secret", { headers: { authorization } })
  expect([answer.status, await answer.json()]).toEqual([200, { scopes: ["tested:read"] }])
})

test("it comes back after a crash", async () => {
  await hub.restart({ kill: true })
  expect((await hub.fetch("/health")).status).toBe(200)
  expect(hub.log().filter((line) => line.includes("listening")).length).toBeGreaterThan(1)
}, 20_000)
"""
