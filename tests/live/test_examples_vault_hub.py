"""The reference vault behind a real hub: live events, files and assistants through the proxy."""

import http.client
import json
import os
from typing import Any
from urllib.parse import urlsplit

from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import hub, packed_examples, registry

CATALOG = """{"modules": [{"short": "vault", "package": "@openparachute/vault", "displayName": "Vault",
  "tagline": "Notes", "focus": "core"}]}"""


class BehindTheHub(SynchronousTestCase):
    timeout = 120

    def setUp(self) -> None:
        """Install the vault on a hub."""
        packed_examples()
        self.hub = hub(self, environment={"BUN_CONFIG_REGISTRY": registry(self)})
        self.hub.catalog = self.hub.home.with_name("catalog.json")
        self.hub.catalog.write_text(CATALOG)
        self.hub.start()
        self.assertEqual(self.hub.install("vault")["status"], "succeeded")
        self.key = (self.hub.home / "vault/data/default/initial-key").read_text().strip()

    def open(self, method: str, path: str, data: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
        """A response whose body is not read yet."""
        connection = http.client.HTTPConnection(urlsplit(self.hub.url).netloc, timeout=30)
        self.addCleanup(connection.close)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, f"/vault/default/{path}", data, {"Authorization": f"Bearer {self.key}", **named})
        return connection.getresponse()

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """JSON of a response."""
        return json.loads(self.open(method, path, None if body is None else json.dumps(body).encode()).read())

    def test_events_files_and_mcp_pass_through(self) -> None:
        stream = self.open("GET", "api/events?include_content=true", Last_Event_ID="0")
        self.assertEqual((stream.status, stream.getheader("content-type")), (200, "text/event-stream"))
        note = self.ask("POST", "api/notes", {"content": "through the hub"})
        lines: list[str] = []
        while "through the hub" not in (lines or [""])[-1]:
            lines.append(stream.readline().decode().strip())
        self.assertEqual(json.loads(lines[-1].removeprefix("data: "))["note"], note)

        content = os.urandom(5_000_000)
        uploaded = json.loads(self.open("POST", "api/attachments?name=a.png", content, Content_Type="image/png").read())
        self.assertEqual(self.open("GET", uploaded["url"]).read(), content)
        part = self.open("GET", uploaded["url"], Range="bytes=4999990-")
        self.assertEqual((part.status, part.read()), (206, content[-10:]))
        self.assertIn("sandbox", part.getheader("content-security-policy") or "")
        conflict = self.open("PATCH", f"api/notes/{note['id']}", b'{"content": "x"}', If_Match='"1999"')
        self.assertEqual((conflict.status, json.loads(conflict.read())["current"]), (412, note))

        revision = "2026-07-28"
        prefix = "io.modelcontextprotocol"
        meta = {f"{prefix}/protocolVersion": revision, f"{prefix}/clientCapabilities": {}}
        message = {"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": meta}}
        data = json.dumps(message).encode()
        found = self.open("POST", "mcp", data, MCP_Protocol_Version=revision, Mcp_Method="server/discover")
        self.assertEqual(found.status, 200)
        self.assertEqual(json.loads(found.read())["result"]["supportedVersions"][0], revision)
