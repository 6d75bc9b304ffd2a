"""`make proof NAME=split-out`: a vault moves from the hub's container to another machine and back under writes, and the
cable between them is slow, cut, and leads to somebody else. Nothing is lost, nothing is double.
"""

import contextlib
import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from typing import Any

from attrs import define, field

from tests.live import engine
from tests.live.container.journey import Registry, install, wait_ready
from tests.live.engine import MEBIBYTE, Cable, Container, Machine
from tests.live.harness import OWNER, PACKS, packed_examples

WRITERS = 4
MOST_503 = 5.0
_NOTES = "/vault/default/api/notes"
_HOST = {"PARACHUTE_ROLE": "host", "PARACHUTE_MODULE": "vault", "PORT": "1940"}
_PAGE = 500


@define
class Writer:
    """Writes one note after the other. `confirmed` are the paths that the vault has promised to keep."""

    hub: Container
    key: str
    name: str
    until: Callable[[int], bool]
    confirmed: list[str] = field(factory=list)
    statuses: Counter[int] = field(factory=Counter)
    refused: list[tuple[float, float]] = field(factory=list)
    pause: float = 0.0
    _thread: threading.Thread = field(init=False)

    def start(self) -> "Writer":
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def join(self) -> None:
        self._thread.join()

    def _run(self) -> None:
        number, last, first_503 = 0, time.monotonic(), 0.0
        while not self.until(number):
            path = f"{self.name} {number}"
            status = ask(self.hub, "POST", _NOTES, self.key, {"path": path, "content": text_of(path)})[0]
            self.statuses[status] += 1
            now = time.monotonic()
            if status == 201:
                self.confirmed.append(path)
                self.pause, last = max(self.pause, now - last), now
                number += 1
                if first_503:
                    self.refused.append((first_503, now))
                    first_503 = 0.0
            else:
                first_503 = first_503 or now
                time.sleep(0.02)
                if status != 503:
                    number += 1  # Nobody knows whether it was written.


def text_of(path: str) -> str:
    """The content of a note."""
    return f"The text of {path}.\n" * 8


def ask(hub: Container, method: str, path: str, key: str, body: Any = None) -> tuple[int, Any]:
    """One request; status 0 if there was no answer."""
    connection = HTTPConnection("127.0.0.1", hub.port, timeout=60)
    try:
        with hub.machine.inside():
            connection.connect()
        data = None if body is None else json.dumps(body)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Accept": "application/json"}
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        content = answer.read()
        return answer.status, json.loads(content) if content else None
    except (OSError, HTTPException):
        return 0, None
    finally:
        connection.close()


class Stage:
    """A hub with a vault, a module host, and the cable between them."""

    def __init__(self, ends: contextlib.ExitStack) -> None:
        packed_examples()
        self.here, self.there = Machine(), Machine()
        for machine in (self.here, self.there):
            ends.callback(machine.close)
        self.cable = Cable(self.here, self.there)
        registries = [Registry(machine, PACKS) for machine in (self.here, self.there)]
        for registry in registries:
            ends.callback(registry.close)
        image = engine.image()
        limits: dict[str, Any] = {"cpus": 1.0}
        # The module on the other machine asks the hub at its public address for the keys that verify tokens.
        origin = {"PARACHUTE_HUB_ORIGIN": f"http://{self.cable.addresses[0]}:1939"}
        self.hub = self.here.container(
            image, self.here.volume(), variables={**OWNER, **origin, **registries[0].variables}, **limits
        )
        self.host_variables = {**_HOST, **registries[1].variables}
        self.host = self.there.container(image, self.there.volume(), variables=self.host_variables, **limits)
        self.image = image
        self.hub.wait_phase("up")
        install(self.hub, "vault")
        wait_ready(self.hub, "vault")
        self.operator = self.hub.run("cat", "/parachute/operator.token").stdout.strip()
        self.key = self.call("POST", "/api/auth/mint-token", {"scope": "vault:default:admin"})["token"]

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """A request of the owner's. Raises AssertionError if it is refused."""
        status, told = ask(self.hub, method, path, self.operator, body)
        assert status in (200, 201, 202), (method, path, status, told)
        return told

    def link(self) -> dict[str, Any]:
        """The vault, as its page shows it."""
        listing = self.call("GET", "/api/modules")["modules"]
        return next(module for module in listing if module["short"] == "vault")

    def pair(self) -> None:
        """With the code that the host shows in its log."""
        self.wait(lambda: "Code:" in self.host.log(), "a code")
        code = re.findall(r"Code: +([0-9A-Z-]+)", self.host.log())[-1]
        body = {"address": f"{self.cable.addresses[1]}:1940", "code": code, "private": True}
        self.call("POST", "/api/links/vault/pair", body)

    def move(self, to: str) -> float:
        """Seconds that it took."""
        begun = time.monotonic()
        job = self.call("POST", "/api/links/vault/move", {"to": to})["operation_id"]
        while (told := self.call("GET", f"/api/modules/operations/{job}"))["status"] == "running":
            time.sleep(0.1)
        assert told["status"] == "succeeded", told
        print(f"  {told['log'][-2:]}", flush=True)
        return time.monotonic() - begun

    def notes(self) -> dict[str, int]:
        """How often each path occurs. The content of each note must be its own."""
        found: Counter[str] = Counter()
        while True:
            query = f"{_NOTES}?limit={_PAGE}&offset={found.total()}&include_content=true"
            status, told = ask(self.hub, "GET", query, self.key)
            assert status == 200, (status, told)
            page = told["notes"] if isinstance(told, dict) else told
            for note in page:
                assert note.get("content", text_of(note["path"])) == text_of(note["path"]), note
            found.update(note["path"] for note in page)
            if len(page) < _PAGE:
                return found

    def wait(self, condition: Callable[[], bool], what: str, seconds: float = 90.0) -> float:
        """Seconds until the condition holds."""
        begun = time.monotonic()
        while not condition():
            assert time.monotonic() - begun < seconds, f"in vain for {what}\n{self.hub.log()[-3000:]}"
            time.sleep(0.1)
        return time.monotonic() - begun

    def status(self) -> int:
        """The answer to one read."""
        return ask(self.hub, "GET", f"{_NOTES}?limit=1", self.key)[0]


def prove(notes: int) -> None:
    """Raises AssertionError if anything was lost, double or away for too long."""
    with contextlib.ExitStack() as ends:
        stage = Stage(ends)
        share = notes // WRITERS
        writers = [Writer(stage.hub, stage.key, f"before {n}", lambda count: count >= share).start() for n in range(4)]
        for writer in writers:
            writer.join()
        size = stage.hub.run("du", "-sm", "/parachute/vault").stdout.split()[0]
        print(f"{notes} notes, {size} MB", flush=True)
        stage.pair()
        over = threading.Event()
        writers += [
            Writer(stage.hub, stage.key, f"under way {n}", lambda count: over.is_set()).start() for n in range(WRITERS)
        ]
        for to in ("there", "here", "there"):
            time.sleep(2)
            print(f"to {to}: {stage.move(to):.1f} s", flush=True)
        time.sleep(2)
        over.set()
        for writer in writers:
            writer.join()
        check(stage, writers)
        memory = stage.host.group.anonymous() / MEBIBYTE
        print(f"host with its vault {memory:.0f} MB", flush=True)
        trouble(stage)


def check(stage: Stage, writers: list[Writer]) -> None:
    """Compare what was confirmed with what is there."""
    confirmed = [path for writer in writers for path in writer.confirmed]
    statuses = sum((writer.statuses for writer in writers), Counter[int]())
    found = stage.notes()
    lost = set(confirmed) - set(found)
    double = [path for path, count in found.items() if count > 1]
    spans = [span for writer in writers for span in writer.refused]
    worst = max((end - begin for begin, end in spans), default=0.0)
    pause = max(writer.pause for writer in writers if writer.name.startswith("under way"))
    print(
        f"{len(confirmed)} notes confirmed, {len(lost)} lost, {len(double)} double; answers {dict(statuses)}; "
        f"longest time of 503 {worst:.2f} s, longest pause of a writer {pause:.2f} s",
        flush=True,
    )
    assert not lost, sorted(lost)[:5]
    assert not double, double[:5]
    assert set(statuses) <= {201, 503}, statuses
    assert worst < MOST_503, spans


def trouble(stage: Stage) -> None:
    """The cable is slow, then cut, then leads to another host."""
    stage.cable.slow(512)
    begun = time.monotonic()
    assert ask(stage.hub, "GET", f"{_NOTES}?limit={_PAGE}&include_content=true", stage.key)[0] == 200
    took = time.monotonic() - begun
    print(f"slow: {_PAGE} notes at 512 kbit/s took {took:.1f} s", flush=True)
    stage.cable.mend()
    stage.cable.cut()
    took = stage.wait(lambda: stage.status() in (502, 503), "an error over a cut cable")
    print(f"cut: told after {took:.1f} s: {stage.link().get('elsewhere')}", flush=True)
    assert ask(stage.hub, "GET", "/health", stage.key)[0] == 200
    stage.cable.mend()
    print(f"mended: answers after {stage.wait(lambda: stage.status() == 200, 'an answer'):.1f} s", flush=True)
    stage.host.stop()
    liar = stage.there.container(stage.image, stage.there.volume(), variables=stage.host_variables)
    stage.wait(lambda: "Ready: " in liar.log(), "another host at the same address")
    stage.wait(lambda: stage.status() in (502, 503), "an error from another host")
    told = stage.wait(lambda: "certificate" in json.dumps(stage.link().get("elsewhere")), "the state")
    print(f"another host: told after {told:.1f} s: {stage.link().get('elsewhere')}", flush=True)
    assert "POST" not in liar.log()


if __name__ == "__main__":
    prove(int(sys.argv[1]) if sys.argv[1:] else 10_000)
