"""The front on real sockets with a bun module: streams, aborts, many clients, WebSockets, memory."""

import contextlib
import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.modules.packages import bun
from tests.live.harness import ROOT
from tests.live.ports import free_port

MB = 1024 * 1024
PATIENCE = 30.0
BLOCK = b"x" * MB
# A small form; the full one has 1,000 slow and 10,000 idle clients and 50,000 cycles.
SLOW = int(os.environ.get("PARACHUTE_SLOW", "200"))
IDLE = int(os.environ.get("PARACHUTE_IDLE", "1000"))
CYCLES = int(os.environ.get("PARACHUTE_CYCLES", "300"))
HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


class Processes:
    """A bun module and our front, each in its own process."""

    def __init__(self, descriptors: int = 20_000) -> None:
        self.module_port, self.port = free_port(), free_port()
        program = str(bun.find(os.environ.get("PARACHUTE_BUN")))
        environment = {**os.environ, "PORT": str(self.module_port)}
        module = [program, "run", str(ROOT / "bench" / "proxy" / "module.ts")]
        front = [sys.executable, "-m", "bench.proxy.ours", str(self.port), str(self.module_port)]
        self.module = subprocess.Popen(module, env=environment, stdout=subprocess.DEVNULL)
        self.front = subprocess.Popen(["prlimit", f"--nofile={descriptors}", *front], cwd=ROOT)

    def wait(self) -> None:
        """Until both listen."""
        for port in (self.module_port, self.port):
            deadline = time.monotonic() + PATIENCE
            while time.monotonic() < deadline:
                with contextlib.suppress(OSError):
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                time.sleep(0.05)

    def until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for something that must come to hold."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"waited in vain for {what}")
            time.sleep(0.02)

    def end(self) -> None:
        """Stop everything."""
        for process in (self.front, self.module):
            process.kill()
            process.wait()

    @property
    def cpu_seconds(self) -> float:
        """CPU time used by the front."""
        fields = Path(f"/proc/{self.front.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    @property
    def peak(self) -> int:
        """Its peak memory."""
        for line in Path(f"/proc/{self.front.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
        raise AssertionError("no VmHWM")

    def connect(self, request: bytes = b"") -> socket.socket:
        """A client's socket, with a request sent."""
        client = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        client.sendall(request)
        return client

    def request(self, path: str, *lines: str, method: str = "GET") -> bytes:
        """A request head."""
        return "\r\n".join([f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *lines, "", ""]).encode()

    def connections_to_module(self) -> int:
        """Connections that the front has open to the module."""
        wanted = f":{self.module_port:04X}"
        rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
        return sum(row.split()[2].endswith(wanted) and row.split()[3] == "01" for row in rows)


def drain(client: socket.socket) -> Iterator[bytes]:
    """Everything received until the end."""
    while data := client.recv(256 * 1024):
        yield data


class LiveTests(SynchronousTestCase):
    """Properties that need real sockets. Counts are small by default; the environment selects the full size."""

    def setUp(self) -> None:
        self.hub = Processes()
        self.addCleanup(self.hub.end)
        self.hub.wait()
        for _ in range(20):
            self.answer("/echo/64k")
        self.memory = self.hub.peak

    def answer(self, path: str) -> bytes:
        """The whole answer to a GET that closes."""
        with self.hub.connect(self.hub.request(path, "Connection: close")) as client:
            return b"".join(drain(client))

    def grown(self) -> int:
        """Maximum growth of memory in bytes."""
        return self.hub.peak - self.memory

    def test_half_a_gigabyte_each_way_is_never_held(self) -> None:
        with self.hub.connect(self.hub.request("/echo/down?mb=512", "Connection: close")) as client:
            received = sum(map(len, drain(client)))
        self.assertGreater(received, 512 * MB)
        head = self.hub.request("/echo/up", f"Content-Length: {512 * MB}", "Connection: close", method="POST")
        with self.hub.connect(head) as client:
            for _ in range(512):
                client.sendall(BLOCK)
            self.assertIn(b'"bytes":%d' % (512 * MB), b"".join(drain(client)))
        self.assertLess(self.grown(), 4 * MB)

    def test_stalled_readers_hold_nothing_and_leave_nothing(self) -> None:
        stalled = [self.hub.connect(self.hub.request("/echo/down?mb=256")) for _ in range(4)]
        for _ in range(50):
            self.assertIn(b"200 OK", self.answer("/echo/1k"))
        self.assertLess(self.grown(), 4 * MB)
        self.assertGreaterEqual(self.hub.connections_to_module(), 4)
        for client in stalled:
            client.close()
        self.hub.until(lambda: self.hub.connections_to_module() <= 1, "the connections to end")

    def test_a_client_that_sends_no_more_gets_its_answers(self) -> None:
        """With the response still to come, and with requests pipelined."""
        slow = self.hub.request("/echo/slow?ms=1500")
        for request in (slow, self.hub.request("/echo/1k") + self.hub.request("/echo/down?mb=4")):
            with self.hub.connect(request) as client:
                client.shutdown(socket.SHUT_WR)
                answers = b"".join(drain(client))
            self.assertEqual(answers.count(b"HTTP/1.1 200 OK"), request.count(b"GET "), request)
        self.assertGreater(len(answers), 4 * MB)

    def test_a_client_that_closes_is_noticed(self) -> None:
        """Before its response began: it looks the same as one that sends no more."""
        with self.hub.connect(self.hub.request("/echo/slow?ms=120000")):
            self.hub.until(lambda: self.hub.connections_to_module() >= 1, "the request to be passed on")
        self.hub.until(lambda: self.hub.connections_to_module() == 0, "the connection to end")

    def test_slow_clients_do_not_slow_an_honest_one(self) -> None:
        slow = [self.hub.connect(b"GET /echo/1k HTTP/1.1\r\nX-Slow: ") for _ in range(SLOW)]
        for _ in range(200):
            self.assertIn(b"200 OK", self.answer("/echo/1k"))
        waiting = set(slow)
        while waiting:
            readable, _, _ = select.select(waiting, [], [], PATIENCE)
            self.assertTrue(readable, "some were never told to go")
            for client in readable:
                self.assertIn(b" 408 ", client.recv(65536))
                waiting.discard(client)

    def test_idle_clients_cost_little(self) -> None:
        idle = [self.hub.connect(self.hub.request("/echo/1k")) for _ in range(IDLE)]
        for client in idle:
            self.assertIn(b"200 OK", client.recv(65536))
        self.assertIn(b"200 OK", self.answer("/echo/1k"))
        self.assertLess(self.grown() / IDLE, 9_000)
        for client in idle:
            client.close()

    def test_websockets_open_and_close_without_remains(self) -> None:
        hello = b"\x81\x85\0\0\0\0hello"
        for turn in range(CYCLES):
            with self.hub.connect(self.hub.request("/echo/ws", *HANDSHAKE)) as client:
                if turn % 3:
                    self.assertIn(b" 101 ", client.recv(4096))
                    client.sendall(hello)
                    self.assertEqual(client.recv(7), b"\x81\x05hello")
        self.hub.until(lambda: self.hub.connections_to_module() <= 1, "the connections to end")

    def test_a_module_that_dies_ends_its_websockets(self) -> None:
        client = self.hub.connect(self.hub.request("/echo/ws", *HANDSHAKE))
        self.assertIn(b" 101 ", client.recv(4096))
        self.hub.module.kill()
        self.assertEqual(b"".join(drain(client)), b"\x88\x02\x03\xf4")
        # Its open connections end before its port does.
        self.hub.module.wait(PATIENCE)
        self.assertIn(b" 503 ", self.answer("/echo/1k"))


class ScarceTests(SynchronousTestCase):
    def test_without_descriptors_clients_wait_and_are_served(self) -> None:
        hub = Processes(descriptors=200)
        self.addCleanup(hub.end)
        hub.wait()
        limiter = [hub.connect() for _ in range(150)]
        honest = hub.connect(hub.request("/echo/1k", "Connection: close"))
        before = hub.cpu_seconds
        time.sleep(1)
        self.assertLess(hub.cpu_seconds - before, 0.3, "it must not spin")
        for client in limiter:
            client.close()
        self.assertIn(b"200 OK", b"".join(drain(honest)))
