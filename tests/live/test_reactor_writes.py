"""No write to the disk happens on the reactor's thread, whatever is done with modules."""

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import HubProcess, hub, packed_examples
from tests.live.modules_rig import module

NOISY = """
const line = "a line that is long enough to fill a log ".repeat(100)
const talking = setInterval(() => { for (let count = 0; count < 50; count++) console.log(line) }, 200)
setTimeout(() => clearInterval(talking), 10_000)
Bun.serve({ port: Number(process.env.PORT), hostname: "127.0.0.1", fetch: () => new Response("ok") })
"""
SCHEMA = {"type": "object", "properties": {"GREETING": {"type": "string"}}}


class ReactorWriteTests(SynchronousTestCase):
    timeout = 120

    def setUp(self) -> None:
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        self.notes = folder / "notes"
        self.source = folder / "noisy"
        files = module("noisy", server=NOISY, configSchema=SCHEMA)
        for name, content in files.items():
            path = self.source / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        self.hub: HubProcess = hub(
            self,
            catalog=packed_examples(),
            environment={"WATCHED": str(self.notes)},
            program=(sys.executable, "-m", "tests.live.watched_hub"),
        )
        self.hub.start()
        assert self.hub.process is not None
        self.hub.process.send_signal(signal.SIGUSR2)
        self.hub.wait_for(self.notes.exists, "the watch")

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return self.hub.client.call(method, path, body)

    def finish(self, begun: dict[str, Any]) -> None:
        """Wait for an operation to succeed."""
        job = f"/api/modules/operations/{begun['operation_id']}"
        self.hub.wait_for(lambda: self.call("GET", job)["status"] != "running", "the operation")
        self.assertEqual(self.call("GET", job)["status"], "succeeded", self.call("GET", job))

    def written(self) -> list[Any]:
        return [json.loads(line) for line in self.notes.read_text().splitlines()]

    def test_the_life_of_modules(self) -> None:
        self.hub.wait_for(lambda: self.written()[:1] != [], "the watch to begin")
        turned, found = self.hub.home / "hub" / "logs" / "noisy.log.1", []
        steps: tuple[tuple[str, Callable[[], Any]], ...] = (
            ("install", lambda: self.hub.install("hello")),
            ("install a folder", self.install_folder),
            ("a log that is full", lambda: self.hub.wait_for(turned.exists, "the log to turn")),
            ("install over it", self.install_folder),
            ("upgrade", lambda: self.finish(self.call("POST", "/api/modules/hello/upgrade", {}))),
            ("settings of the hub", lambda: self.call("PUT", "/api/modules/hello/settings", {"autostart": False})),
            ("settings with a restart", lambda: self.call("PUT", "/api/modules/hello/settings", {"smol": False})),
            ("its own settings", lambda: self.call("PUT", "/api/modules/noisy/config", {"GREETING": "hello"})),
            ("restart", lambda: self.call("POST", "/api/modules/hello/restart", {})),
            ("stop", lambda: self.call("POST", "/api/modules/hello/stop", {})),
            ("start", lambda: self.call("POST", "/api/modules/hello/start", {})),
            ("channel", lambda: self.call("PUT", "/api/modules/channel", {"channel": "rc"})),
            ("uninstall", lambda: self.call("POST", "/api/modules/hello/uninstall", {})),
        )
        for what, step in steps:
            before = len(self.written())
            step()
            found += [f"{what}: {change} {path} {stack}" for change, path, stack in self.written()[before:]]
        self.assertEqual(found, [])

    def install_folder(self) -> None:
        self.finish(self.call("POST", "/api/modules/install", {"source": str(self.source)}))
