"""Mixed load for minutes or hours, and what grows meanwhile. `python -m bench soak [minutes]`, ten by default.

Requests, event streams, WebSockets, sign-ins, minted and refreshed tokens, restarts and installs run side by side.
Every five seconds the hub's memory, descriptors, threads, journal and logs are noted; a line is fitted through the
least values of the second half. Caches with a bound are filled first, so that the line shows what has none.
"""

import contextlib
import http.client
import itertools
import json
import os
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from bench.oauth import connect, refresh
from bench.stalled.subjects import module, rss
from tests.live.harness import OWNER, HubProcess, fetch, session_of_owner
from tests.live.oauth_rig import Person

SAMPLE = 5.0
ADDRESSES = 20_000
_numbers = itertools.count()


class Load(threading.Thread):
    """One kind of use, again and again with a pause; errors of transport are counted, not raised."""

    def __init__(self, name: str, use: Callable[[], object], pause: float) -> None:
        super().__init__(daemon=True, name=name)
        self._use, self._pause = use, pause
        self.done: Counter[str] = Counter()
        self.over = False

    def run(self) -> None:
        """Until `over`."""
        while not self.over:
            try:
                self._use()
                self.done["ok"] += 1
            except Exception as error:
                self.done[f"{type(error).__name__}: {error}"[:120]] += 1
            time.sleep(self._pause)


def pages(hub: HubProcess) -> Callable[[], None]:
    """Pages of the hub and of a module over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=20)

    def use() -> None:
        for path in ("/health", "/load/health", "/", "/.well-known/parachute.json", "/api/ready", "/login"):
            try:
                connection.request("GET", path)
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                connection.close()
                raise

    return use


def raw(hub: HubProcess, request: str, seconds: float) -> Callable[[], None]:
    """Something that stays open for some seconds: a stream or a WebSocket."""

    def use() -> None:
        with socket.create_connection(("127.0.0.1", hub.port), timeout=20) as client:
            client.sendall(request.replace("HOST", f"127.0.0.1:{hub.port}").encode())
            client.recv(4096)
            time.sleep(seconds)

    return use


def sign_ins(hub: HubProcess) -> Callable[[], None]:
    """The owner signs in from somewhere."""
    page = fetch(f"{hub.url}/account/session")
    said = {
        "__csrf": page.json()["csrf"],
        "username": OWNER["PARACHUTE_INITIAL_ADMIN_USERNAME"],
        "password": OWNER["PARACHUTE_INITIAL_ADMIN_PASSWORD"],
    }
    cookie = page.headers["set-cookie"].partition(";")[0]

    def use() -> None:
        number = next(_numbers)
        address = f"198.18.{number >> 8 & 255}.{number & 255}"
        headers = {"Cookie": cookie, "X-Forwarded-For": address}
        answer = fetch(f"{hub.url}/login", method="POST", body=said, headers=headers)
        if answer.status != 200:
            raise ConnectionError(f"a sign-in was answered with {answer.status}")

    return use


def events(hub: HubProcess) -> Callable[[], None]:
    """The stream that an open admin app reads, for as long as some things happen."""
    signed = session_of_owner(hub)
    request = (
        f"GET /api/events HTTP/1.1\r\nHost: HOST\r\nCookie: {signed.cookie}\r\nX-Parachute-Key: {signed.key}\r\n\r\n"
    )

    def use() -> None:
        with socket.create_connection(("127.0.0.1", hub.port), timeout=20) as client:
            client.sendall(request.replace("HOST", f"127.0.0.1:{hub.port}").encode())
            if not client.recv(4096).startswith(b"HTTP/1.1 200"):
                raise ConnectionError("no stream")
            ends = time.monotonic() + 5
            while time.monotonic() < ends:
                client.recv(4096)

    return use


def refreshed(hub: HubProcess) -> Callable[[], None]:
    """An app renews its tokens."""
    client_id, token = connect(hub, Person(hub.url).sign_in(), 0, "load:use")

    def use() -> None:
        nonlocal token
        connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=20)
        try:
            token = refresh(connection, client_id, token)
        finally:
            connection.close()

    return use


def fill_caches(hub: HubProcess) -> None:
    """Come from more addresses than the hub remembers, and write more lines than it keeps."""
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=20)
    for number in range(ADDRESSES):
        headers = {"X-Forwarded-For": f"198.19.{number >> 8}.{number & 255}", "User-Agent": f"Filler/{number}"}
        connection.request("GET", ("/login", "/load/health", f"/nowhere/{number}")[number % 3], headers=headers)
        connection.getresponse().read()
    connection.close()


def sample(hub: HubProcess, pid: int) -> dict[str, float]:
    """What the hub holds now: MB, and numbers."""
    journal = hub.home / "parachute.db-wal"
    logs = sum(path.stat().st_size for path in (hub.home / "hub" / "logs").glob("*"))
    with contextlib.suppress(FileNotFoundError):
        logs += hub.log_path.stat().st_size
    return {
        "rss": rss(pid) / (1 << 20),
        "fds": float(len(os.listdir(f"/proc/{pid}/fd"))),
        "threads": float(len(os.listdir(f"/proc/{pid}/task"))),
        "wal": (journal.stat().st_size if journal.exists() else 0) / (1 << 20),
        "logs": logs / (1 << 20),
    }


def slope(points: list[tuple[float, float]]) -> float:
    """Least squares: growth per hour."""
    middle = sum(x for x, _ in points) / len(points), sum(y for _, y in points) / len(points)
    above = sum((x - middle[0]) * (y - middle[1]) for x, y in points)
    below = sum((x - middle[0]) ** 2 for x, _ in points)
    return above / below * 3600 if below else 0.0


def floor(points: list[tuple[float, float]], *, each: int) -> list[tuple[float, float]]:
    """The least of so many samples: a password that is being hashed takes 19 MB for a moment."""
    return [min(points[at : at + each], key=lambda point: point[1]) for at in range(0, len(points), each)]


def main() -> None:
    """Start, load, fit, end."""
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 10.0
    with tempfile.TemporaryDirectory() as folder:
        environment = {**OWNER, "PARACHUTE_TRUSTED_HOPS": "1", "PARACHUTE_ISOLATION": "off"}
        hub = HubProcess(home=Path(folder) / "home", environment=environment)
        try:
            hub.start()
            assert hub.process is not None
            pid, source = hub.process.pid, str(module(Path(folder) / "load"))

            def install() -> None:
                begun = hub.client.call("POST", "/api/modules/install", {"source": source})
                job = f"/api/modules/operations/{begun['operation_id']}"
                hub.wait_for(lambda: hub.client.call("GET", job)["status"] != "running", "the module to be installed")

            install()
            fill_caches(hub)
            upgrade = (
                "GET /load/ws HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
            )
            mint = {"scope": "load:use", "expires_in": 60}
            loads = [
                Load("pages", pages(hub), 0.01),
                Load("pages 2", pages(hub), 0.01),
                Load("downloads", raw(hub, "GET /load/big HTTP/1.1\r\nHost: HOST\r\n\r\n", 1.0), 0.2),
                Load("events", events(hub), 0.1),
                Load("websockets", raw(hub, upgrade, 2.0), 0.1),
                Load("sign-ins", sign_ins(hub), 0.5),
                Load("tokens", lambda: hub.client.call("POST", "/api/auth/mint-token", mint), 0.2),
                Load("refreshes", refreshed(hub), 2.0),
                Load("restarts", lambda: hub.client.call("POST", "/api/modules/load/restart", {}), 15.0),
                Load("installs", install, 60.0),
            ]
            for load in loads:
                load.start()
            began, samples = time.monotonic(), []
            while time.monotonic() - began < minutes * 60:
                time.sleep(SAMPLE)
                samples.append((time.monotonic() - began, sample(hub, pid)))
                if len(samples) % 12 == 0:
                    print(json.dumps({name: round(value, 1) for name, value in samples[-1][1].items()}), flush=True)
            for load in loads:
                load.over = True
            half = samples[len(samples) // 2 :]
            each = max(1, len(half) // 10)
            for name in samples[0][1]:
                first, last = samples[0][1][name], samples[-1][1][name]
                grown = slope(floor([(at, values[name]) for at, values in half], each=each))
                print(f"{name:8}{first:9.1f} to {last:9.1f}, second half {grown:+.1f} an hour", flush=True)
            print({load.name: dict(load.done) for load in loads}, flush=True)
        finally:
            hub.end()


if __name__ == "__main__":
    main()
