"""A module host as a process, steered by a stand-in for the hub: pairing, requests, data, restarts."""

import hashlib
import http.client
import json
import ssl
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub import __version__
from tests.live.harness import PATIENCE, packed_examples
from tests.live.host_rig import ORIGIN, HostProcess, LinkClient, client, host


class ModuleHostTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.host = host(self, packed_examples()).start()
        self.hub = client(self, self.host)

    def paired(self) -> LinkClient:
        self.assertEqual(self.hub.pair(self.host.code()).status, 200)
        return self.hub

    def write(self, hub: LinkClient, path: str, text: str) -> int:
        key = (self.host.home / "vault/data/default/initial-key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        body = json.dumps({"path": path, "content": text}).encode()
        return hub.send("POST", "/vault/default/api/notes", body, headers).status

    def test_a_vault_is_installed_used_moved_and_survives_kills(self) -> None:
        hub = self.paired()
        self.assertEqual(hub.state()["state"], "not_installed")
        self.assertEqual(hub.send("GET", "/vault/default").status, 503)
        configured = hub.ask("POST", "configure", {"origin": ORIGIN, "environment": {"HUB_WORD": "hello"}})
        self.assertEqual(configured.status, 200)
        hub.install()
        told = hub.state()
        self.assertEqual((told["package"], told["manifest"]["name"]), ("@openparachute/vault", "vault"))
        self.assertIn("/vault/default", told["mounts"])
        environment = self.environment_of_module()
        self.assertEqual((environment["PARACHUTE_HUB_ORIGIN"], environment["HUB_WORD"]), (ORIGIN, "hello"))
        for number in range(5):
            self.assertIn(self.write(hub, f"note {number}", "text"), (200, 201))
        self.assertGreater(len(hub.ask("GET", "logs?after=0").json()["lines"]), 0)

        # Its data leaves, and comes back with one more file.
        self.assertEqual(hub.ask("POST", "data/begin", {"files": []}).status, 200)
        hub.stop()
        listed = hub.ask("GET", "data/files").json()["files"]
        one = max(listed, key=lambda entry: int(entry["size"]))
        blob = hub.ask("GET", f"data/blobs/{one['sha256']}")
        self.assertEqual(hashlib.sha256(blob.body).hexdigest(), one["sha256"])
        extra = b"more" * 100_000
        told_extra = {
            "path": "data/extra",
            "size": len(extra),
            "sha256": hashlib.sha256(extra).hexdigest(),
            "mode": 0o600,
            "mtime": 1,
        }
        files = [*listed, told_extra]
        begun = hub.ask("POST", "data/begin", {"files": files}).json()
        self.assertEqual(begun["missing"], [told_extra["sha256"]])
        into = f"data/{begun['move']}/blobs/{told_extra['sha256']}"
        self.assertEqual(hub.ask("PUT", into, b"x" * len(extra)).status, 422)
        self.assertEqual(hub.ask("PUT", into, extra[1:]).status, 400)
        self.assertEqual(hub.ask("PUT", into, extra).status, 204)
        done = hub.ask("POST", f"data/{begun['move']}/commit", {"files": files})
        self.assertEqual((done.status, done.json()["files"]), (200, len(files)), done)
        self.assertEqual((self.host.home / "vault/data/extra").read_bytes(), extra)

        # What is on disk is what counts after a kill.
        hub.ask("POST", "start")
        hub.until("running")
        pid = self.pid_of_module()
        self.host.kill()
        self.host.start()
        hub.until("running")
        self.assertNotEqual(self.pid_of_module(), pid)
        self.assertIn(self.write(hub, "after", "text"), (200, 201))
        self.assertEqual(hub.ask("POST", f"data/{begun['move']}/commit", {"files": files}).status, 409)

    def pid_of_module(self) -> int:
        for found in Path("/proc").iterdir():
            if found.name.isdigit() and str(self.host.home).encode() in _read(found / "environ"):
                if b"PARACHUTE_HUB_ORIGIN" in _read(found / "environ"):
                    return int(found.name)
        raise AssertionError("no process of the module")

    def environment_of_module(self) -> dict[str, str]:
        words = _read(Path(f"/proc/{self.pid_of_module()}/environ")).split(b"\0")
        return dict(word.decode().split("=", 1) for word in words if b"=" in word)

    def test_only_the_hub_with_the_code_and_then_its_key_is_let_in(self) -> None:
        hub, shown = self.hub, self.host.code()
        self.assertEqual(hub.ask("GET", "state").status, 403)
        self.assertEqual(hub.send("GET", "/vault/default").status, 403)
        wrong = shown[:-1] + ("0" if shown[-1] != "0" else "1")
        self.assertEqual(hub.pair(wrong).status, 403)
        self.assertEqual(hub.pair(shown).status, 200)
        self.assertEqual(hub.pair(shown).status, 403)
        self.assertEqual(hub.state()["short"], "vault")
        # Without the mark that no visitor can send, nothing is steered.
        self.assertEqual(hub.send("GET", "/.parachute/host/state").status, 404)
        stranger = client(self, self.host)
        with self.assertRaises((OSError, http.client.HTTPException)):
            stranger.ask("GET", "state")
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.without_certificate()
        self.assertNotIn(shown, self.host.log().replace(f"Code:    {shown}", ""))
        self.assertIn(f"Module host {__version__} listens on https://", self.host.log())

        # The next certificate counts beside the old one until it was used.
        next_hub = client(self, self.host)
        self.assertEqual(hub.ask("POST", "certificate", {"certificate": next_hub.pem.decode()}).status, 204)
        self.assertEqual(hub.ask("GET", "state").status, 200)
        self.assertEqual(next_hub.ask("GET", "state").status, 200)
        end = time.monotonic() + PATIENCE
        with self.assertRaises((OSError, http.client.HTTPException)):
            while time.monotonic() < end:
                hub.ask("GET", "state")
        # It survives a restart, and ends at once when it is unpaired.
        self.host.kill()
        self.host.start()
        kept = next_hub.connect()
        self.assertEqual(self.asked(kept), 200)
        self.assertEqual(next_hub.ask("POST", "unpair").status, 204)
        self.assertIn(self.asked(kept), (403, None))

    def asked(self, connection: http.client.HTTPSConnection) -> int | None:
        try:
            connection.request("GET", "/.parachute/host/state", headers={"X-Parachute-Link": "control"})
            answer = connection.getresponse()
            answer.read()
            return answer.status
        except (OSError, http.client.HTTPException):
            return None

    def without_certificate(self) -> Any:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", self.host.port, timeout=10, context=context)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().read()
        finally:
            connection.close()

    def test_a_hub_does_not_start_in_its_home(self) -> None:
        self.host.stop()
        other = HostProcess(home=self.host.home, port=self.host.port)
        self.addCleanup(other.end)
        other.environment = {"PARACHUTE_ROLE": "hub"}
        self.assertEqual(other.spawn().wait(PATIENCE), 1)
        self.assertIn("home of a module host", other.log())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
