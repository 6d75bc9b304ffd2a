"""What reaches the module, what steers it, and who may: a front with in-memory sockets."""

import hashlib
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.host import answers
from parachute_hub.host.control import Control
from parachute_hub.host.front import HostFront
from parachute_hub.host.gate import Gate
from parachute_hub.host.moves import Moves
from parachute_hub.host.records import HostRecords, paired
from parachute_hub.proxy.connection import Connection
from parachute_hub.proxy.front import Backend
from parachute_hub.proxy.model import ModuleView
from parachute_hub.proxy.routes import Table
from parachute_hub.site.errors import Refused
from parachute_hub.system.file_writer import FileWriter
from tests.support.later import Later
from tests.support.sockets import FakeModules, FakeSocket, ok

HUB, STRANGER = b"h" * 32, b"s" * 32
PORT = 2001


class FakeHosted:
    """A module that notes what it is told."""

    short = "vault"

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.running = False

    async def state(self) -> dict[str, Any]:
        return {"state": "running" if self.running else "stopped"}

    def port(self) -> int | None:
        return PORT

    async def sizes(self) -> dict[str, Any]:
        return {"folders": {"default": {"bytes": 7, "files_bytes": 3}}}

    def about(self) -> dict[str, Any]:
        return {"module": "@openparachute/vault", "version": "1.0.0"}

    async def switch(self, verb: str) -> dict[str, Any]:
        self.calls.append(verb)
        return {"state": "starting"}

    async def install(self, body: dict[str, Any]) -> dict[str, Any]:
        if "package" not in body:
            raise Refused(400, "invalid_package", "Which?")
        return {"job": "j1"}

    def job(self, job_id: str) -> dict[str, Any]:
        return {"state": "done", "step": None, "error": None, "id": job_id}

    def logs(self, after: int, limit: int) -> dict[str, Any]:
        return {"next": after, "lines": [], "limit": limit}

    async def configure(self, body: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("secret detail")

    async def at_rest(self, work: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        if self.running:
            raise Refused(409, "module_running", "Stop it first.")
        return await work()


class FrontCase(SynchronousTestCase):
    def setUp(self) -> None:
        home = Path(self.mktemp())
        (home / "hub").mkdir(parents=True)
        self.data = home / "vault"
        self.data.mkdir()
        (self.data / "note").write_bytes(b"content")
        self.records = HostRecords(home / "hub", "vault")
        self.records.write(paired(self.records.current(), "https://hub.test", HUB))
        self.clock, self.module, self.later = Clock(), FakeHosted(), Later()
        self.modules = FakeModules({"vault": PORT}, self.clock)
        self.keys: dict[object, bytes | None] = {}
        files = FileWriter()
        gate = Gate(records=self.records, files=files, now=lambda: 1000.0)
        table = Table.unknown("")
        self.front = HostFront(
            gate=gate,
            short="vault",
            key_of=lambda transport: self.keys.get(transport),
            backend=Backend(table=lambda: table, modules=self.modules),
            clock=self.clock,
            connector=self.modules,  # type: ignore[arg-type]
        )
        self.moves = Moves(
            data=self.data, folder=home / "hub/moves", free_bytes=lambda: 1 << 40, now=lambda: 1000.0, spare=0
        )
        self.control = Control(gate=gate, module=self.module, moves=self.moves, files=files)
        self.front.control = self.control
        self.front.doStart()
        self.addCleanup(self.front.doStop)

    def client(self, key: bytes | None = HUB) -> FakeSocket:
        connection = self.front.buildProtocol(IPv4Address("TCP", "10.0.0.2", 5))
        assert connection is not None
        socket = FakeSocket(connection, "10.0.0.2", self.clock)
        self.keys[socket] = key
        return socket

    def ask(
        self, method: str, path: str, body: bytes = b"", *lines: str, key: bytes | None = HUB, marked: bool = True
    ) -> tuple[int, Any]:
        """A control request; status and JSON."""
        client = self.client(key)
        client.deliver(self.request(method, f"/.parachute/host/{path}", body, *lines, marked=marked))
        return self.answer(client)

    def request(self, method: str, target: str, body: bytes = b"", *lines: str, marked: bool = False) -> bytes:
        head = [f"{method} {target} HTTP/1.1", "Host: host.test"]
        head += ["X-Parachute-Link: control"] if marked else []
        head += [f"Content-Length: {len(body)}"] if body else []
        return "\r\n".join([*head, *lines, "", ""]).encode() + body

    def answer(self, client: FakeSocket) -> tuple[int, Any]:
        head, _, rest = client.take().partition(b"\r\n\r\n")
        status = int(head.split(b" ")[1]) if head else 0
        return status, json.loads(rest) if rest else None


class RestTests(FrontCase):
    def test_it_looks_at_nobody_once_nobody_is_there(self) -> None:
        self.client().hang_up()
        self.clock.pump([1.0] * 60)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class RelayTests(FrontCase):
    def test_everything_that_the_hub_says_reaches_the_module(self) -> None:
        client = self.client()
        client.deliver(
            self.request(
                "POST",
                "/vault/default/api?x=1",
                b"body",
                "X-Forwarded-For: 203.0.113.9",
                "X-Parachute-Layer: public",
                "Authorization: Bearer t",
                "Cookie: a=1",
                "Connection: X-Hop",
                "X-Hop: 1",
                "Expect: 100-continue",
            )
        )
        sent = self.modules.newest.take()
        head = sent.partition(b"\r\n\r\n")[0].split(b"\r\n")
        self.assertEqual(head[:2], [b"POST /vault/default/api?x=1 HTTP/1.1", b"Host: 127.0.0.1:2001"])
        self.assertEqual(
            head[2:],
            [
                b"X-Forwarded-For: 203.0.113.9",
                b"X-Parachute-Layer: public",
                b"Authorization: Bearer t",
                b"Cookie: a=1",
                b"Content-Length: 4",
            ],
        )
        self.assertTrue(sent.endswith(b"body"))

    def test_the_answer_passes_as_it_is_except_for_its_own_address(self) -> None:
        client = self.client()
        client.deliver(self.request("GET", "/vault/x"))
        lines = ("Set-Cookie: a=1", "X-Parachute-Any: 1", "Keep-Alive: x", "Location: http://127.0.0.1:2001/y")
        self.modules.newest.deliver(ok(b"hello", *lines))
        answer = client.take()
        for line in (b"Set-Cookie: a=1", b"X-Parachute-Any: 1", b"Location: /y", b"Content-Length: 5"):
            self.assertIn(line + b"\r\n", answer)
        self.assertNotIn(b"Keep-Alive", answer)

    def test_redirects_elsewhere_are_the_hubs_to_judge(self) -> None:
        client = self.client()
        client.deliver(self.request("GET", "/vault/x"))
        self.modules.newest.deliver(ok(b"", "Location: http://169.254.169.254/"))
        self.assertIn(b"Location: http://169.254.169.254/\r\n", client.take())

    def test_a_websocket_passes(self) -> None:
        client = self.client()
        client.deliver(
            self.request("GET", "/vault/ws", b"", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: k")
        )
        self.assertIn(b"Connection: Upgrade\r\nUpgrade: websocket\r\n", self.modules.newest.take())
        self.modules.newest.deliver(b"HTTP/1.1 101 Switching\r\nSec-WebSocket-Accept: a\r\n\r\n\x81\x01x")
        self.assertTrue(client.take().endswith(b"\x81\x01x"))
        client.deliver(b"\x81\x01y")
        self.assertEqual(self.modules.newest.take(), b"\x81\x01y")

    def test_a_module_that_does_not_run_is_503(self) -> None:
        for view in (None, ModuleView("stopped"), ModuleView("starting", port=PORT), ModuleView("ready")):
            self.modules.views["vault"] = view  # type: ignore[assignment]
            client = self.client()
            client.deliver(self.request("GET", "/vault/x"))
            status, told = self.answer(client)
            self.assertEqual((status, told["error"], told["service"]), (503, "module_not_running", "vault"))

    def test_a_request_waits_for_a_module_that_sleeps(self) -> None:
        for view, sent in ((ModuleView("ready", port=PORT), 1), (ModuleView("parked", "It crashed."), 0)):
            self.modules.views["vault"] = ModuleView("asleep", wakes=True)
            client = self.client()
            client.deliver(self.request("POST", "/vault/x", b"body"))
            self.assertEqual((client.take(), self.modules.sockets), (b"", []))
            self.modules.views["vault"] = view
            self.modules.waking.pop().callback(True)
            self.assertEqual(len(self.modules.sockets), sent)
            if sent:
                self.assertTrue(self.modules.newest.take().endswith(b"body"))
                self.modules.newest.deliver(ok(b"hello"))
                self.assertIn(b" 200 OK", client.take())
                self.modules.sockets.clear()
            else:
                self.assertIn(b" 502 ", client.take())

    def test_only_paths_are_taken(self) -> None:
        for target in ("http://elsewhere.test/", "*", "/" + "x" * 9000):
            client = self.client()
            client.deliver(self.request("GET", target))
            self.assertEqual(self.answer(client)[0], 400)
            self.assertEqual(self.modules.sockets, [])


class AdmissionTests(FrontCase):
    def test_a_stranger_reaches_neither_module_nor_control(self) -> None:
        for key in (STRANGER, None):
            for path in ("/vault/x", "/health", "/.parachute/info"):
                client = self.client(key)
                client.deliver(self.request("GET", path))
                self.assertEqual(self.answer(client)[0], 403)
            for method, path in (
                ("GET", "state"),
                ("GET", "sizes"),
                ("POST", "stop"),
                ("POST", "unpair"),
                ("GET", "data/files"),
                ("PUT", f"data/{'a' * 16}/blobs/{'a' * 64}"),
            ):
                self.assertEqual(self.ask(method, path, key=key)[0], 403)
        self.assertEqual((self.modules.sockets, self.module.calls), ([], []))

    def test_a_visitor_of_the_hub_cannot_steer(self) -> None:
        """Its path may be anything, but the hub passes on no header of this family."""
        for method, path in (("POST", "stop"), ("GET", "state"), ("POST", "unpair"), ("GET", "data/files")):
            self.assertEqual(self.ask(method, path, marked=False)[0], 404)
        self.assertEqual((self.modules.sockets, self.module.calls), ([], []))
        self.assertIsNotNone(self.records.current().hub)

    def test_connections_end_with_the_pairing(self) -> None:
        client = self.client()
        client.deliver(self.request("GET", "/vault/events"))
        pairing = self.client(STRANGER)
        self.assertEqual(self.ask("POST", "unpair")[0], 204)
        self.clock.advance(1)
        self.assertEqual((client.connected, pairing.connected), (False, True))
        self.assertEqual(self.ask("GET", "state")[0], 403)
        self.records.write(paired(self.records.current(), "https://new.test", b"n" * 32))
        self.clock.advance(1)
        self.assertFalse(pairing.connected)

    def test_the_hub_hears_that_the_pairing_ended(self) -> None:
        """The record is written in a thread, and the front may look before the answer is sent."""
        self.control = self.front.control = Control(
            gate=self.front._gate, module=self.module, moves=self.moves, files=FileWriter(self.later)
        )
        client = self.client()
        connection = client.protocol
        assert isinstance(connection, Connection)
        client.deliver(self.request("POST", "/.parachute/host/unpair", b"{}", marked=True))
        self.records.write(evolve(self.records.current(), hub=None))
        self.clock.advance(1)
        self.assertTrue(client.connected)
        self.later.go()
        self.clock.advance(1)
        self.assertTrue(client.connected)  # The answer may still be on its way.
        head = client.take()
        self.assertTrue(head.startswith(b"HTTP/1.1 204 "), head)
        self.assertIn(b"Connection: close\r\n", head)
        client.deliver(self.request("GET", "/.parachute/host/state", marked=True))
        self.assertEqual(client.take(), b"")
        client.hang_up()
        self.assertFalse(self.control.unpairs(connection))

    def test_who_ended_the_pairing_does_not_stay(self) -> None:
        client = self.client()
        client.deliver(self.request("POST", "/.parachute/host/unpair", b"{}", marked=True))
        self.clock.pump([1.0] * 4)
        self.assertFalse(client.connected)

    def test_before_it_is_ready_and_when_it_ends(self) -> None:
        self.front.control = None
        self.assertEqual(self.ask("GET", "state")[0], 503)
        self.front.control = self.control
        client = self.client()
        self.front.draining = True
        client.deliver(self.request("GET", "/.parachute/host/state", marked=True))
        self.assertEqual(self.answer(client)[0], 503)


class ControlTests(FrontCase):
    def test_the_paths(self) -> None:
        for method, path, body, status in (
            ("GET", "state", b"", 200),
            ("GET", "sizes", b"", 200),
            ("POST", "start", b"", 202),
            ("POST", "stop", b"", 202),
            ("POST", "restart", b"", 202),
            ("POST", "install", b'{"package": "x"}', 202),
            ("POST", "install", b"{}", 400),
            ("POST", "install", b"[]", 400),
            ("POST", "install", b"{", 400),
            ("GET", "jobs/j1", b"", 200),
            ("GET", "logs?after=5&limit=10", b"", 200),
            ("GET", "logs?after=x", b"", 400),
            ("POST", "certificate", b"{}", 400),
            ("GET", "start", b"", 404),
            ("POST", "state", b"", 404),
            ("GET", "jobs/../state", b"", 404),
            ("GET", "", b"", 404),
            ("DELETE", "data/files", b"", 404),
            ("POST", "pair", b"{}", 403),
        ):
            self.assertEqual(self.ask(method, path, body)[0], status, (method, path, body))
        self.assertEqual(self.module.calls, ["start", "stop", "restart"])
        self.assertEqual(self.ask("GET", "logs?after=-5&limit=100000")[1], {"next": 0, "lines": [], "limit": 2000})

    def test_requests_follow_each_other_on_one_connection(self) -> None:
        client = self.client()
        for _ in range(3):
            client.deliver(self.request("POST", "/.parachute/host/restart", b"{}", marked=True))
            self.assertEqual(self.answer(client)[0], 202)
        self.assertTrue(client.connected)

    def test_an_unexpected_error_tells_nothing(self) -> None:
        status, told = self.ask("POST", "configure", b"{}")
        self.assertEqual(status, 500)
        self.assertNotIn("secret", json.dumps(told))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_a_body_has_a_limit(self) -> None:
        status, told = self.ask("POST", "configure", b"x" * (257 * 1024))
        self.assertEqual((status, told["error"]), (413, "too_large"))


class DataTests(FrontCase):
    NEW = b"new content" * 100_000

    def entry(self, path: str, content: bytes) -> dict[str, Any]:
        return {
            "path": path,
            "size": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "mode": 384,
            "mtime": 1,
        }

    def begin(self, *entries: dict[str, Any]) -> str:
        status, told = self.ask("POST", "data/begin", json.dumps({"files": entries}).encode())
        self.assertEqual(status, 200, told)
        return f"data/{told['move']}"

    def test_out_and_in_again(self) -> None:
        listed = self.ask("GET", "data/files")[1]["files"]
        self.assertEqual([one["path"] for one in listed], ["note"])
        client = self.client()
        client.deliver(self.request("GET", f"/.parachute/host/data/blobs/{listed[0]['sha256']}", marked=True))
        self.assertTrue(client.take().endswith(b"Content-Length: 7\r\n\r\ncontent"))
        entry = self.entry("other", self.NEW)
        move = self.begin(entry)
        self.assertEqual(self.ask("PUT", f"{move}/blobs/{entry['sha256']}", self.NEW)[0], 204)
        body = json.dumps({"files": [entry]}).encode()
        self.module.running = True
        self.assertEqual(self.ask("POST", f"{move}/commit", body)[1]["error"], "module_running")
        self.module.running = False
        status, told = self.ask("POST", f"{move}/commit", body)
        self.assertEqual((status, told["files"], told["bytes"]), (200, 1, len(self.NEW)))
        self.assertEqual((self.data / "other").read_bytes(), self.NEW)
        self.assertEqual(self.ask("POST", f"{self.begin()}/abort")[0], 204)

    def test_wrong_uploads(self) -> None:
        entry = self.entry("other", self.NEW)
        move = self.begin(entry)
        into = f"{move}/blobs/{entry['sha256']}"
        self.assertEqual(self.ask("PUT", into, self.NEW[::-1])[0], 422)
        self.assertEqual(self.ask("PUT", into, self.NEW[1:])[0], 400)
        self.assertEqual(self.ask("PUT", f"{move}/blobs/{'f' * 64}", b"x")[0], 404)
        self.assertEqual(self.ask("PUT", into, b"", "Transfer-Encoding: chunked")[0], 400)

    def test_a_broken_upload_leaves_nothing(self) -> None:
        entry = self.entry("other", self.NEW)
        move = self.begin(entry)
        client = self.client()
        request = self.request("PUT", f"/.parachute/host/{move}/blobs/{entry['sha256']}", self.NEW, marked=True)
        client.deliver(request[: len(request) // 2])
        client.reset()
        folder = self.data.parent / "hub/moves"
        self.assertEqual([path for path in folder.rglob("*") if path.is_file()], [])
        self.assertEqual(self.ask("PUT", f"{move}/blobs/{entry['sha256']}", self.NEW)[0], 204)

    def test_a_slow_disk_pauses_the_hub(self) -> None:
        """Whatever is on its way to the disk stays bounded, and nothing is written twice or out of order."""
        entry = self.entry("other", self.NEW)
        move = self.begin(entry)
        self.control = Control(
            gate=self.front._gate, module=self.module, moves=self.moves, files=FileWriter(self.later)
        )
        self.front.control = self.control
        client = self.client()
        request = self.request("PUT", f"/.parachute/host/{move}/blobs/{entry['sha256']}", self.NEW, marked=True)
        for at in range(0, len(request), 50_000):
            client.deliver(request[at : at + 50_000])
        self.assertTrue(client.paused)
        waiting = client.protocol._handler.held(exactly=True)  # type: ignore[attr-defined]
        self.assertLess(waiting, answers._WAITING_BYTES + 100_000)
        for _ in range(200):
            self.later.go()
        self.assertEqual(self.answer(client)[0], 204)

    def test_a_full_disk_while_writing_is_507(self) -> None:
        entry = self.entry("other", self.NEW)
        move = self.begin(entry)

        class Full:
            def write(self, data: bytes) -> None:
                raise OSError(28, "No space left on device")

            def finish(self) -> None: ...

            def abandon(self) -> None: ...

        self.patch(self.moves, "receive", lambda *arguments: Full())
        status, told = self.ask("PUT", f"{move}/blobs/{entry['sha256']}", self.NEW)
        self.assertEqual((status, told["error"]), (507, "disk_full"))
        # The hub's Settings free no space there.
        self.assertNotIn("Settings", told["error_description"])

    def test_a_file_is_sent_at_the_pace_of_the_hub(self) -> None:
        (self.data / "note").write_bytes(self.NEW)
        sha256 = self.ask("GET", "data/files")[1]["files"][0]["sha256"]
        self.control = Control(
            gate=self.front._gate, module=self.module, moves=self.moves, files=FileWriter(self.later)
        )
        self.front.control = self.control
        client = self.client()
        client.deliver(self.request("GET", f"/.parachute/host/data/blobs/{sha256}", marked=True))
        self.later.go()
        client.producer.pauseProducing()
        for _ in range(10):
            self.later.go()
        got = client.take()
        self.assertLess(len(got), len(self.NEW) // 2)
        client.producer.resumeProducing()
        for _ in range(20):
            self.later.go()
        got += client.take()
        self.assertEqual(got.partition(b"\r\n\r\n")[2], self.NEW)
        client.deliver(self.request("GET", "/.parachute/host/state", marked=True))
        self.assertEqual(self.answer(client)[0], 200)

    def test_a_file_that_shrinks_is_not_passed_as_whole(self) -> None:
        (self.data / "note").write_bytes(self.NEW)
        sha256 = self.ask("GET", "data/files")[1]["files"][0]["sha256"]
        self.control = Control(
            gate=self.front._gate, module=self.module, moves=self.moves, files=FileWriter(self.later)
        )
        self.front.control = self.control
        client = self.client()
        client.deliver(self.request("GET", f"/.parachute/host/data/blobs/{sha256}", marked=True))
        self.later.go()
        (self.data / "note").write_bytes(b"")
        for _ in range(20):
            self.later.go()
        client.take()
        self.assertTrue(client.aborted)
