"""Honest clients during an attack: slow ones that must not be cut off, and neighbours that must not wait."""

import contextlib
import socket
import statistics
import threading
import time

BIG = 8 << 20
_PATIENCE = 120.0


class SlowClient(threading.Thread):
    """Comes from an address of its own. `outcome` says what became of it."""

    kind = ""

    def __init__(self, port: int, prefix: str, seconds: float, address: str) -> None:
        super().__init__(daemon=True)
        self.port, self.prefix, self.seconds = port, prefix, seconds
        self._address = address
        self.outcome = "not over"

    def run(self) -> None:
        """Say in `outcome` what became of it."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), source_address=(self._address, 0)) as client:
                client.settimeout(_PATIENCE)
                self.outcome = self.converse(client)
        except OSError as error:
            self.outcome = f"cut: {error}"

    def converse(self, client: socket.socket) -> str:
        """What it sends and receives; the outcome."""
        raise NotImplementedError

    def ask(self, client: socket.socket, line: str, *more: str) -> None:
        """Send a request's head."""
        client.sendall("\r\n".join([f"{line} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *more, "", ""]).encode())


class PausedPhone(SlowClient):
    """Reads a little of a download, pauses, then wants the rest."""

    kind = "a phone that pauses"
    rate = 0

    def converse(self, client: socket.socket) -> str:
        """Read, pause, read."""
        self.ask(client, f"GET {self.prefix}/big")
        got, end = len(client.recv(4096)), time.monotonic() + self.seconds
        while time.monotonic() < end:
            time.sleep(1)
            if self.rate:
                got += len(client.recv(self.rate))
        while got < BIG:
            data = client.recv(65536)
            if not data:
                return f"cut after {got}"
            got += len(data)
        return "whole"


class SlowReader(PausedPhone):
    """Reads 4 KB a second."""

    kind = "a reader at 4 KB/s"
    rate = 4096


class SlowUpload(SlowClient):
    """Sends 4 KB a second."""

    kind = "an upload at 4 KB/s"

    def converse(self, client: socket.socket) -> str:
        """Send slowly, then look whether it was taken."""
        seconds = int(self.seconds)
        self.ask(client, f"POST {self.prefix}/up", f"Content-Length: {seconds * 4096}")
        for _ in range(seconds):
            time.sleep(1)
            client.sendall(b"x" * 4096)
        answer = client.recv(4096)
        return "whole" if b" 200 " in answer else f"cut: {answer[:40]!r}"


class QuietSocket(SlowClient):
    """A WebSocket that says nothing until the end."""

    kind = "a quiet WebSocket"

    def converse(self, client: socket.socket) -> str:
        """Open it, wait, and send a ping."""
        key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
        words = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", key)
        self.ask(client, f"GET {self.prefix}/ws", *words)
        first = client.recv(4096)
        if b" 101 " not in first:
            return "not let in: " + repr(first[:60])
        time.sleep(self.seconds)
        client.sendall(b"\x89\x80\0\0\0\0")
        return "whole" if client.recv(4096)[:1] == b"\x8a" else "cut"


def slow_clients(port: int, prefix: str, seconds: float) -> list[SlowClient]:
    """One of each, at work."""
    kinds = (PausedPhone, SlowReader, SlowUpload, QuietSocket)
    clients = [kind(port, prefix, seconds, f"127.0.250.{number}") for number, kind in enumerate(kinds, 1)]
    for client in clients:
        client.start()
    return clients


class Neighbour(threading.Thread):
    """Asks for pages again and again, each time over a new connection as strangers come, and keeps the milliseconds."""

    def __init__(self, port: int, paths: tuple[str, ...]) -> None:
        super().__init__(daemon=True)
        self._port = port
        self.times: dict[str, list[float]] = {path: [] for path in paths}
        self.failed = 0
        self.over = False

    def run(self) -> None:
        """Until `over`."""
        while not self.over:
            for path, times in self.times.items():
                began = time.perf_counter()
                self.failed += not self._ask(path)
                times.append((time.perf_counter() - began) * 1000)
            time.sleep(0.02)

    def _ask(self, path: str) -> bool:
        words = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nConnection: close\r\n\r\n".encode()
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=10) as client:
            client.sendall(words)
            return b" 200 " in client.recv(4096)
        return False

    def take(self) -> tuple[dict[str, float], int]:
        """(99th percentiles in milliseconds, failures) since the last call."""
        found = {path: statistics.quantiles(times, n=100)[98] for path, times in self.times.items()}
        failed, self.failed = self.failed, 0
        for times in self.times.values():
            times.clear()
        return found, failed
