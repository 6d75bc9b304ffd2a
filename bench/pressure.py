"""What clients that stop moving cost a hub in a container of 512 MB, and what others notice of them.

Stalled readers, stalled uploads and silent WebSockets from 200 addresses of 127/8. `python -m bench pressure [scale]`;
scale 1 is 10,000 readers, 5,000 uploads and 5,000 WebSockets. As root the hub runs in a memory cgroup (v1), which
counts the kernel's buffers too; elsewhere only the process is measured. The descriptor limit is that of this process.
"""

import contextlib
import json
import os
import resource
import select
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.live.harness import OWNER, HubProcess, fetch

ADDRESSES = 200
LIMIT = 512 << 20
CGROUPS = Path("/sys/fs/cgroup/memory")
SERVER = """
const big = (process.env.TMPDIR ?? "/tmp") + "/big"
await Bun.write(big, new Uint8Array(8 << 20))
Bun.serve({
  hostname: "127.0.0.1", port: Number(process.env.PORT), idleTimeout: 0,
  async fetch(request, server) {
    const path = new URL(request.url).pathname
    if (path.endsWith("/ws") && server.upgrade(request)) return
    if (path.endsWith("/big")) return new Response(Bun.file(big))
    if (path.endsWith("/up")) { for await (const _ of request.body ?? []) {} ; return new Response("taken") }
    return new Response("ok")
  },
  websocket: { message() {}, idleTimeout: 0 },
})
"""
MANIFEST = {
    "name": "load",
    "manifestName": "load",
    "displayName": "Load",
    "tagline": "For the measurement of pressure",
    "port": 1947,
    "paths": ["/load"],
    "health": "/load/health",
    "startCmd": ["load"],
    "publicExposure": "allowed",
}


class Group:
    """A memory cgroup for the hub and its modules, or nothing where there is none to make."""

    def __init__(self) -> None:
        self._folder: Path | None = CGROUPS / f"parachute-bench-{os.getpid()}"
        try:
            self._folder.mkdir()
            (self._folder / "memory.limit_in_bytes").write_text(str(LIMIT))
            # The kernel counts TCP buffers only where they have a limit.
            (self._folder / "memory.kmem.tcp.limit_in_bytes").write_text(str(LIMIT))
        except OSError:
            self._folder = None

    def take(self, pid: int) -> None:
        """Put a process and its future children in."""
        if self._folder is not None:
            (self._folder / "cgroup.procs").write_text(str(pid))

    def used(self) -> int:
        """Bytes of processes and of the kernel for them, without the page cache; 0 when unknown."""
        if self._folder is None:
            return 0
        stat = dict(line.split() for line in (self._folder / "memory.stat").read_text().splitlines())
        kernel = 0
        for name in ("memory.kmem.usage_in_bytes", "memory.kmem.tcp.usage_in_bytes"):
            with contextlib.suppress(OSError):
                kernel += int((self._folder / name).read_text())
        return int(stat["total_rss"]) + kernel

    def end(self) -> None:
        """Remove it, once it is empty."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._folder.rmdir()


def tcp_pages() -> int:
    """Bytes of TCP buffers of the whole machine."""
    line = next(line for line in Path("/proc/net/sockstat").read_text().splitlines() if line.startswith("TCP:"))
    return int(line.split()[-1]) * os.sysconf("SC_PAGE_SIZE")


def rss(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def attack(port: int, kind: str, count: int) -> list[socket.socket]:
    """Connect `count` clients that stop moving; those that the hub closed are left out in the end."""
    head = f"Host: 127.0.0.1:{port}\r\n"
    requests = {
        "readers": f"GET /load/big HTTP/1.1\r\n{head}\r\n".encode(),
        "uploads": f"POST /load/up HTTP/1.1\r\n{head}Content-Length: 1000000\r\n\r\n".encode() + b"x" * 20_000,
        "websockets": (
            f"GET /load/ws HTTP/1.1\r\n{head}Connection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        ).encode(),
    }
    sockets = []
    for number in range(count):
        client = socket.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(10)
        try:
            client.bind((f"127.0.{1 + number % ADDRESSES}.1", 0))
            client.connect(("127.0.0.1", port))
            client.sendall(requests[kind])
        except OSError:
            client.close()
            continue
        client.setblocking(False)
        sockets.append(client)
    return sockets


def living(sockets: list[socket.socket]) -> int:
    """How many the hub has not closed."""
    poll = select.poll()
    for client in sockets:
        # What waits to be read does not matter.
        poll.register(client, select.POLLRDHUP)
    return len(sockets) - len(poll.poll(0))


class Neighbour(threading.Thread):
    """Asks for /health and a module's page again and again, and keeps the milliseconds."""

    def __init__(self, hub: HubProcess) -> None:
        super().__init__(daemon=True)
        self._hub = hub
        self.times: dict[str, list[float]] = {"/health": [], "/load/health": []}
        self.failed = 0
        self.over = False

    def run(self) -> None:
        """Until `over`, each time over a new connection, as strangers come."""
        while not self.over:
            for path, times in self.times.items():
                began = time.perf_counter()
                try:
                    good = fetch(self._hub.url + path).status == 200
                except OSError:
                    good = False
                self.failed += not good
                times.append((time.perf_counter() - began) * 1000)
            time.sleep(0.02)

    def told(self) -> str:
        """The 99th percentiles so far, and forget them."""
        words = [f"{path} p99 {statistics.quantiles(times, n=100)[98]:.1f} ms" for path, times in self.times.items()]
        failed, self.failed = self.failed, 0
        for times in self.times.values():
            times.clear()
        return ", ".join(words) + f", {failed} failed"


class PausedPhone(threading.Thread):
    """Reads a little of a download, pauses for a minute, then wants the rest; another one reads 4 KB a second."""

    def __init__(self, port: int, *, pause: float, rate: int) -> None:
        super().__init__(daemon=True)
        self._port, self._pause, self._rate = port, pause, rate
        self.outcome = "not over"

    def run(self) -> None:
        """Say in `outcome` what became of it."""
        client = socket.create_connection(("127.0.0.1", self._port), source_address=("127.0.250.1", 0))
        client.settimeout(120)
        try:
            client.sendall(f"GET /load/big HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n\r\n".encode())
            got = len(client.recv(4096))
            end = time.monotonic() + self._pause
            while time.monotonic() < end:
                time.sleep(1)
                if self._rate:
                    got += len(client.recv(self._rate))
            while got < 8 << 20:
                data = client.recv(65536)
                if not data:
                    break
                got += len(data)
            self.outcome = "whole" if got >= 8 << 20 else f"cut after {got}"
        except OSError as error:
            self.outcome = f"cut: {error}"
        client.close()


def module(folder: Path) -> Path:
    """A module to load."""
    (folder / ".parachute").mkdir(parents=True)
    (folder / ".parachute" / "module.json").write_text(json.dumps(MANIFEST))
    package = {"name": "load", "version": "1.0.0", "type": "module", "bin": {"load": "server.ts"}}
    (folder / "package.json").write_text(json.dumps(package))
    (folder / "server.ts").write_text("#!/usr/bin/env bun\n" + SERVER)
    (folder / "server.ts").chmod(0o755)
    return folder


def measure(hub: HubProcess, group: Group, scale: float) -> None:
    """Attack and print, then let go and print."""
    assert hub.process is not None
    pid = hub.process.pid
    neighbour = Neighbour(hub)
    neighbour.start()
    time.sleep(5)
    before = rss(pid), group.used(), tcp_pages()

    def line(what: str) -> None:
        now = rss(pid), group.used(), tcp_pages()
        figures = ", ".join(
            f"{name} {(new - old) / (1 << 20):+.0f} MB"
            for name, new, old in zip(("hub", "cgroup", "TCP buffers"), now, before, strict=True)
        )
        print(f"{what:34}{figures}; {neighbour.told()}", flush=True)

    print(f"before: hub {before[0] >> 20} MB, cgroup {before[1] >> 20} MB; {neighbour.told()}", flush=True)
    honest = [PausedPhone(hub.port, pause=60, rate=0), PausedPhone(hub.port, pause=60, rate=4096)]
    for client in honest:
        client.start()
    sockets: list[socket.socket] = []
    for kind, count in (("readers", 10_000), ("uploads", 5_000), ("websockets", 5_000)):
        mine = attack(hub.port, kind, int(count * scale))
        time.sleep(3)
        line(f"{kind}: {living(mine)} of {int(count * scale)} live")
        sockets += mine
    time.sleep(25)
    line(f"25 s later: {living(sockets)} live")
    for client in honest:
        client.join(150)
    print(f"a phone that paused for 60 s: {honest[0].outcome}; a reader at 4 KB/s: {honest[1].outcome}", flush=True)
    for sock in sockets:
        sock.close()
    time.sleep(60)
    line("a minute after they left")
    neighbour.over = True


def main() -> None:
    """Start a hub in its group, measure, end it."""
    scale = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    with tempfile.TemporaryDirectory() as folder:
        group = Group()
        hub = HubProcess(home=Path(folder) / "home", environment={**OWNER, "PARACHUTE_ISOLATION": "off"})
        try:
            process = hub.spawn()
            group.take(process.pid)
            hub.wait_for(lambda: hub.client.running and hub.client.health().get("phase") == "up", "the hub to be up")
            begun = hub.client.call("POST", "/api/modules/install", {"source": str(module(Path(folder) / "load"))})
            job = f"/api/modules/operations/{begun['operation_id']}"
            hub.wait_for(lambda: hub.client.call("GET", job)["status"] != "running", "the module to be installed")
            print(f"descriptors: {resource.getrlimit(resource.RLIMIT_NOFILE)[0]}")
            measure(hub, group, scale)
        finally:
            hub.end()
            group.end()
            if os.environ.get("SHOW_LOG"):
                print(hub.log()[-4000:])


if __name__ == "__main__":
    main()
