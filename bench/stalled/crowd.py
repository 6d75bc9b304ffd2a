"""Many clients that stop moving: readers that do not read, uploads that stop, WebSockets that say nothing.

`python -m bench.stalled.crowd PORT PREFIX KIND COUNT RATE` connects COUNT clients, RATE a second, from 200 addresses of
127/8, and then answers each line of its input with how many are connected. It ends with its input.
"""

import contextlib
import select
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
ADDRESSES = 200
KINDS = ("readers", "uploads", "websockets")
# A reader's receive buffer: it takes little, so that the rest waits for it in the server.
_RECEIVES = 4096


def request(kind: str, port: int, prefix: str) -> bytes:
    """What a client of this kind sends before it stops."""
    head = f"Host: 127.0.0.1:{port}\r\n"
    return {
        "readers": f"GET {prefix}/big HTTP/1.1\r\n{head}\r\n".encode(),
        "uploads": f"POST {prefix}/up HTTP/1.1\r\n{head}Content-Length: 1000000\r\n\r\n".encode() + b"x" * 20_000,
        "websockets": (
            f"GET {prefix}/ws HTTP/1.1\r\n{head}Connection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        ).encode(),
    }[kind]


def connect(port: int, words: bytes, number: int) -> socket.socket | None:
    """One client; None if it was turned away."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVES)
    client.settimeout(10)
    try:
        client.bind((f"127.0.{1 + number % ADDRESSES}.1", 0))
        client.connect(("127.0.0.1", port))
        client.sendall(words)
    except OSError:
        client.close()
        return None
    client.setblocking(False)
    return client


def living(clients: list[socket.socket]) -> int:
    """How many the server has not closed."""
    poll = select.poll()
    for client in clients:
        # What waits to be read does not matter.
        poll.register(client, select.POLLRDHUP)
    return len(clients) - len(poll.poll(0))


class Crowd:
    """The clients in a process of their own."""

    def __init__(self, port: int, prefix: str, kind: str, count: int, rate: float) -> None:
        self.kind, self.count = kind, count
        words = [sys.executable, "-m", "bench.stalled.crowd", str(port), prefix, kind, str(count), str(rate)]
        self._process = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def wait(self) -> None:
        """Until all have come."""
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def living(self) -> int:
        """How many are connected."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())

    def leave(self) -> None:
        """All go."""
        self._process.kill()
        self._process.communicate()


def main() -> None:
    """Connect, then answer."""
    port, prefix, kind, count, rate = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])
    words, began, clients = request(kind, port, prefix), time.monotonic(), []
    for number in range(count):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        client = connect(port, words, number)
        if client is not None:
            clients.append(client)
    print("ready", flush=True)
    with contextlib.suppress(BrokenPipeError):
        for _ in sys.stdin:
            print(living(clients), flush=True)


if __name__ == "__main__":
    main()
