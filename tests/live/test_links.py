"""A module on another machine that is honest, cut off, slow or lying, behind a real hub."""

import base64
import json
import socket
import threading
import time
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.client import HubRefused
from tests.live.far_rig import FarServer, answer, certificate, public_part
from tests.live.harness import PATIENCE, HubProcess, Reply, fetch, hub, packed_examples


def _say(text: bytes, client: socket.socket, head: bytes) -> None:
    client.sendall(text)


TOKEN = b"X-Parachute-Hub-Token: "


class LinkCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.hub: HubProcess = hub(self, catalog=packed_examples()).start()
        self.hub.install("hello")
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)
        self.far = FarServer(certificate(self.folder, "far", "127.0.0.1")).start(self)

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.far.port}"

    def link(self, **more: Any) -> dict[str, Any]:
        given = {"address": self.address, "private": True, "ca": public_part(self.far.pem), **more}
        self.hub.client.call("PUT", "/api/links/hello", given)
        return self.hub.module("hello")

    def reach(self) -> str:
        return str(self.hub.module("hello")["elsewhere"]["reach"])

    def problems(self) -> list[str]:
        return [str(problem["key"]) for problem in self.hub.client.call("GET", "/api/problems")["problems"]]

    def ask(self, path: str = "/hello", **more: Any) -> Reply:
        return fetch(f"{self.hub.url}{path}", **more)


class HonestTests(LinkCase):
    def test_requests_go_there_with_what_a_module_may_see(self) -> None:
        module = self.link()
        self.assertEqual((module["state"], module["elsewhere"]["reach"], module["pid"]), ("ready", "online", None))
        sent = {"Cookie": "parachute_hub_session=secret; theme=dark", "X-Parachute-Hub-Token": "mine", "X-Other": "1"}
        self.assertEqual(self.ask("/hello/a?b=1", headers=sent).body, b"far away")
        head = self.far.heads[-1]
        self.assertTrue(head.startswith(b"GET /hello/a?b=1 HTTP/1.1\r\n"), head)
        self.assertIn(b"Cookie: theme=dark", head)
        self.assertIn(b"X-Other: 1", head)
        self.assertNotIn(b"secret", head)
        self.assertEqual((head.count(TOKEN), b"mine" in head), (1, False))
        self.assertIn(b"Host: 127.0.0.1:%d" % self.far.port, head)
        claims = self.claims(head)
        self.assertEqual((claims["aud"], claims["iss"], claims["sub"]), (self.address, self.hub.url, "hub"))
        self.assertLessEqual(claims["exp"] - claims["iat"], 300)
        # The token opens nothing here.
        bearer = {"Authorization": f"Bearer {self.token(head)}"}
        self.assertIn(self.ask("/api/modules", headers=bearer).status, (401, 403))
        # Nor does a token for another part of the hub leave it.
        count = len(self.far.heads)
        operator = (self.hub.home / "operator.token").read_text().strip()
        self.assertEqual(self.ask(headers={"Authorization": f"Bearer {operator}"}).status, 401)
        self.assertEqual(len(self.far.heads), count)
        # Back: the module runs here again, and the far one hears no more.
        count = len(self.far.heads)
        self.hub.client.call("DELETE", "/api/links/hello")
        self.assertEqual(self.hub.module("hello")["elsewhere"], None)
        self.assertNotEqual(self.ask().body, b"far away")
        self.assertEqual(len(self.far.heads), count)

    def test_it_outlives_the_hub_and_only_the_owner_sets_it(self) -> None:
        services = self.hub.home / "services.json"
        rows = json.loads(services.read_text())
        for row in rows["services"]:
            row |= {"upstream": self.address, "link": {"address": self.address}, "elsewhere": self.address}
        services.write_text(json.dumps(rows))
        self.hub.client.call("POST", "/api/modules/hello/restart", {})
        self.assertEqual(self.hub.module("hello")["elsewhere"], None)
        self.assertEqual((self.ask().status, self.far.heads), (200, []))
        self.link()
        self.hub.stop()
        self.hub.start()
        # Before the hub has asked there, requests wait.
        self.assertEqual(self.ask().body, b"far away")
        # Switched off, nothing is sent there; and it has no process here.
        self.hub.client.call("POST", "/api/modules/hello/stop", {})
        count = len(self.far.heads)
        self.assertEqual(self.ask().status, 503)
        self.assertEqual((len(self.far.heads), self.hub.module("hello")["pid"]), (count, None))
        self.hub.client.call("POST", "/api/modules/hello/start", {})
        self.assertEqual(self.ask().body, b"far away")
        with self.assertRaises(HubRefused) as caught:
            self.hub.client.call("POST", "/api/modules/hello/uninstall", {})
        self.assertEqual(caught.exception.body["error"], "linked")

    def test_addresses_that_nobody_approved(self) -> None:
        for given, error in (
            ({"address": self.address}, "private_address"),
            ({"address": "https://169.254.169.254", "private": True}, "invalid_address"),
            ({"address": "http://93.184.216.34", "private": True}, "invalid_address"),
            ({"address": "https://user@127.0.0.1", "private": True}, "invalid_address"),
            ({"address": "https://127.0.0.1/path", "private": True}, "invalid_address"),
            ({"address": "file:///etc/passwd", "private": True}, "invalid_address"),
            ({"address": "https://nowhere.invalid"}, "unreachable"),
            ({"address": self.address, "private": True, "ca": "nonsense"}, "invalid_ca"),
            ({"address": self.address, "private": True, "pin": "12"}, "invalid_address"),
        ):
            with self.assertRaises(HubRefused) as caught:
                self.hub.client.call("PUT", "/api/links/hello", given)
            self.assertEqual(caught.exception.body["error"], error)
        self.assertEqual(self.far.heads, [])

    @staticmethod
    def token(head: bytes) -> str:
        return head.partition(TOKEN)[2].partition(b"\r\n")[0].decode()

    def claims(self, head: bytes) -> dict[str, Any]:
        part = self.token(head).split(".")[1]
        claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        return claims


class StreamTests(LinkCase):
    def test_events_and_websockets_pass_as_they_come(self) -> None:
        manifest = Path(self.hub.module("hello")["install_dir"]) / ".parachute" / "module.json"
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "websocket": True}))
        self.hub.stop()
        self.hub.start()
        self.link()
        go_on = threading.Event()

        def events(client: socket.socket, head: bytes) -> None:
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.sendall(b"9\r\ndata: 1\n\n\r\n")
            go_on.wait(PATIENCE)
            client.sendall(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n")

        def echo(client: socket.socket, head: bytes) -> None:
            client.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
            while data := client.recv(65536):
                client.sendall(b"\x81\x05" + data[6:])

        self.far.behave = events
        with self.client(b"GET /hello/events HTTP/1.1") as client:
            self.assertIn(b"data: 1", self.until(client, b"data: 1"))
            go_on.set()
            self.assertIn(b"data: 2", self.until(client, b"data: 2"))
        self.far.behave = echo
        lines = (
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Sec-WebSocket-Version: 13",
            b"Sec-WebSocket-Key: eA==",
        )
        with self.client(b"GET /hello/ws HTTP/1.1", *lines, b"Origin: " + self.hub.url.encode()) as client:
            self.assertIn(b" 101 ", self.until(client, b"\r\n\r\n"))
            client.sendall(b"\x81\x85\0\0\0\0hello")
            self.assertEqual(self.until(client, b"hello"), b"\x81\x05hello")
            # The cut ends it with a frame that invites to come back.
            self.far.stop()
            self.assertEqual(self.until(client, b"\x03\xf4"), b"\x88\x02\x03\xf4")

    def client(self, *lines: bytes) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.hub.port), timeout=PATIENCE)
        client.sendall(b"\r\n".join([*lines, b"Host: 127.0.0.1:%d" % self.hub.port, b"", b""]))
        return client

    def until(self, client: socket.socket, end: bytes) -> bytes:
        got = b""
        while end not in got:
            data = client.recv(65536)
            self.assertTrue(data, got)
            got += data
        return got


class LyingTests(LinkCase):
    def test_what_it_answers_is_filtered_as_at_home(self) -> None:
        self.link()
        lines = (
            "Set-Cookie: parachute_hub_session=stolen; Path=/",
            "Set-Cookie: mine=1; Path=/; Domain=hub.test",
            "Strict-Transport-Security: max-age=1",
            "Clear-Site-Data: *",
            "Content-Type: text/html",
        )
        self.far.behave = lambda client, head: client.sendall(answer(b"<p>hi", *lines))
        got = self.ask()
        self.assertEqual((got.status, got.headers["set-cookie"]), (200, "mine=1; Path=/hello"))
        self.assertNotIn("strict-transport-security", got.headers)
        self.assertNotIn("clear-site-data", got.headers)
        # A redirect is the browser's business; the hub follows none. One to its own machine becomes a path.
        for target, told in (
            ("http://169.254.169.254/latest", "http://169.254.169.254/latest"),
            (f"{self.address}/hello/next", "/hello/next"),
        ):
            moved = answer(b"", f"Location: {target}", status="302 Found")
            self.far.behave = partial(_say, moved)
            got = self.ask()
            self.assertEqual((got.status, got.headers["location"]), (302, told))

    def test_what_is_not_an_answer(self) -> None:
        self.link()
        count = len(self.far.heads)
        for path in ("/hello/../vault", "/hello/%2e%2e/vault", "/hello/..%2fvault"):
            self.assertIn(self.ask(path).status, (400, 404))
        self.assertEqual(len(self.far.heads), count)

        def endless(client: socket.socket, head: bytes) -> None:
            client.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                client.sendall(b"X-More: " + b"x" * 4096 + b"\r\n")

        def cut(client: socket.socket, head: bytes) -> None:
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")
            raise OSError

        self.far.behave = endless
        self.assertEqual(self.ask().status, 502)
        self.far.behave = cut
        with self.assertRaises((HTTPException, OSError)):
            self.ask()
        self.far.behave = lambda client, head: client.sendall(b"SMTP ready\r\n\r\n")
        self.assertEqual(self.ask().status, 502)

    def test_a_visitor_steers_no_host(self) -> None:
        """Not even where the mount is taken off the path."""
        self.hub.install("scribe")
        given = {"address": self.address, "private": True, "ca": public_part(self.far.pem)}
        self.hub.client.call("PUT", "/api/links/scribe", given)
        self.assertEqual(self.ask("/scribe/health").body, b"ok")
        for path in (
            "/scribe/.parachute/host/unpair",
            "/scribe/.PARACHUTE/host/state",
            "/scribe//.parachute/host/stop",
        ):
            self.assertIn(
                self.ask(path, method="POST", headers={"X-Parachute-Link": "control"}).status, (400, 401, 404)
            )
        self.assertFalse([head for head in self.far.heads if b"parachute/host" in head.lower()])

    def test_a_large_answer_is_not_kept(self) -> None:
        """Whoever does not read it costs the hub little, and one who leaves ends it."""
        self.link()
        sent = 0

        def flood(client: socket.socket, head: bytes) -> None:
            nonlocal sent
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
            while True:
                client.sendall(b"x" * 65536)
                sent += 65536

        self.far.behave = flood
        client = HTTPConnection("127.0.0.1", self.hub.port)
        client.request("GET", "/hello/large")
        response = client.getresponse()
        self.assertEqual(len(response.read(300_000)), 300_000)
        time.sleep(0.5)
        self.assertLess(sent, 16 << 20)
        client.close()
        self.far.behave = lambda client, head: client.sendall(answer(b"still here"))
        self.assertEqual(self.ask().body, b"still here")

    def test_slow_and_cut_off(self) -> None:
        self.link()

        def slow(client: socket.socket, head: bytes) -> None:
            for byte in answer(b"slow"):
                client.sendall(bytes((byte,)))
                time.sleep(0.005)

        self.far.behave = slow
        self.assertEqual(self.ask().body, b"slow")
        self.far.stop()
        got = self.ask(headers={"Accept": "text/html"})
        self.assertIn(got.status, (502, 503))
        self.hub.wait_for(lambda: self.reach() == "not answering", "the hub to notice")
        got = self.ask(headers={"Accept": "text/html"})
        self.assertEqual((got.status, got.headers["retry-after"]), (503, "10"))
        self.assertIn(b"another machine", got.body)
        # Another machine takes its place: nothing is sent to it.
        other = FarServer(certificate(self.folder, "other", "127.0.0.1"), port=self.far.port).start(self)
        self.hub.client.call("POST", "/api/modules/hello/restart", {})
        self.assertEqual(self.reach(), "wrong certificate")
        self.assertEqual((self.ask().status, other.heads), (503, []))
        self.hub.wait_for(lambda: "module-elsewhere:hello" in self.problems(), "the problem")
        other.stop()
        FarServer(self.far.pem, port=self.far.port).start(self)
        self.hub.client.call("POST", "/api/modules/hello/restart", {})
        self.assertEqual((self.reach(), self.ask().body), ("online", b"far away"))

    def test_another_certificate_for_the_same_name(self) -> None:
        other = certificate(self.folder, "wrong", "notes.example.com")
        self.far.stop()
        self.far = FarServer(other).start(self)
        module = self.link()
        self.assertEqual(module["elsewhere"]["reach"], "wrong certificate")
        self.assertIn("is not for 127.0.0.1", module["reason"])
        self.assertEqual((self.ask().status, self.far.heads), (503, []))
