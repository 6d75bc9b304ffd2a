"""The load on each target, and what is measured."""

import re
import selectors
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from attrs import frozen

from bench.proxy.targets import Target, on_load_core

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_HELLO = b"\x81\x85\0\0\0\0hello"
_ECHO = b"\x81\x05hello"


@frozen
class Rate:
    """Requests per second, latencies in milliseconds, CPU time per request in microseconds."""

    per_second: float
    p50: float
    p99: float
    cpu: float
    errors: int


def requests(target: Target, path: str, connections: int, seconds: int) -> Rate:
    """wrk with one thread."""
    before = target.cpu_seconds
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--latency", target.url(path)]
    out = subprocess.run(on_load_core(command), capture_output=True, text=True, check=True).stdout
    used = target.cpu_seconds - before
    done = _number(r"(\d+) requests in", out)
    broken = sum(int(count) for count in re.findall(r"(?:read|write|timeout) (\d+)", out))
    return Rate(
        _number(r"Requests/sec:\s+([\d.]+)", out),
        _latency("50%", out),
        _latency("99%", out),
        used / done * 1e6,
        int(_number(r"Non-2xx or 3xx responses: (\d+)", out)) + broken,
    )


def _number(pattern: str, text: str) -> float:
    found = re.search(pattern, text)
    return float(found[1]) if found else 0.0


def _latency(share: str, text: str) -> float:
    found = re.search(rf"{share}\s+([\d.]+)(us|ms|s)", text)
    return float(found[1]) * _UNITS[found[2]] if found else 0.0


# Megabytes a second, and microseconds of the target's CPU time for each.
Pace: TypeAlias = tuple[float, float]


def stream_down(target: Target, megabytes: int, *, waits: bool = False) -> Pace:
    """One download. A module that `waits` sends no more before the last piece was taken, as one with files does."""
    url = target.url(f"/echo/down?mb={megabytes}" + "&waits=1" * waits)
    return _curl(target, megabytes, [url], "%{speed_download}")


def stream_up(target: Target, file: Path, megabytes: int) -> Pace:
    """One upload of a file of that size."""
    arguments = ["-H", "Expect:", "-X", "POST", "-T", str(file), target.url("/echo/up")]
    return _curl(target, megabytes, arguments, "%{speed_upload}")


def _curl(target: Target, megabytes: int, arguments: list[str], figure: str) -> Pace:
    command = ["curl", "-sf", "-o", "/dev/null", "-w", figure, *arguments]
    before = target.cpu_seconds
    run = subprocess.run(on_load_core(command), capture_output=True, text=True, check=False)
    used = (target.cpu_seconds - before) / megabytes * 1e6
    return (float(run.stdout) / 1e6, used) if run.returncode == 0 else (0.0, 0.0)


def websocket_echoes(target: Target, connections: int, seconds: float) -> float:
    """Small messages echoed per second; 0 without WebSocket support."""
    if _websocket(target) is None:
        return 0.0
    clients = [_websocket(target) for _ in range(connections)]
    echoes = 0
    with selectors.DefaultSelector() as waiting:
        for client in clients:
            if client is not None:
                waiting.register(client, selectors.EVENT_READ)
                client.send(_HELLO)
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for key, _ in waiting.select(1):
                sock = key.fileobj
                if isinstance(sock, socket.socket) and sock.recv(64) == _ECHO:
                    echoes += 1
                    sock.send(_HELLO)
    for client in clients:
        if client is not None:
            client.close()
    return echoes / seconds


def _websocket(target: Target) -> socket.socket | None:
    client = socket.create_connection(("127.0.0.1", target.port), timeout=2)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(
        f"GET /echo/ws HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    with suppress(TimeoutError):
        if b" 101 " in client.recv(4096):
            return client
    client.close()
    return None


def growth(target: Target, megabytes: int, file: Path) -> float:
    """Growth of the target in megabytes with four stalled readers and an upload."""
    _, before = target.memory
    readers = []
    for _ in range(4):
        reader = socket.create_connection(("127.0.0.1", target.port), timeout=5)
        reader.send(f"GET /echo/down?mb={megabytes} HTTP/1.1\r\nHost: 127.0.0.1:{target.port}\r\n\r\n".encode())
        readers.append(reader)
    time.sleep(1)
    stream_up(target, file, file.stat().st_size >> 20)
    _, after = target.memory
    for reader in readers:
        reader.close()
    return after - before
