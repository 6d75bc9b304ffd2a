"""Faults in a whole hub: its API and proxy while a module misbehaves; an installation that eats memory."""

import http.client
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Event, Thread
from urllib.parse import urlsplit

from attrs import define, field, frozen
from twisted.internet.threads import deferToThread

from parachute_hub.cli.client import CommandError
from tests.live.faults.boxes import Box
from tests.live.faults.outcome import Outcome
from tests.live.faults.rig import BUN, MODULES, Rig, quantile, without_processor
from tests.live.harness import OWNER, HubProcess, packed_examples
from tests.live.modules_rig import module
from tests.live.ports import free_port
from tests.modules.homes import write

API_MS = 50.0
INSTALL_BOX = 400 << 20
# `bun` for everybody, but an install of it takes more memory than there is.
HUNGRY_BUN = """#!/bin/sh
case "$1" in
add) exec {bun} -e 'const kept = Buffer.alloc(600 << 20, 1); setTimeout(() => kept, 30000)' ;;
info) exit 1 ;;
*) exec {bun} "$@" ;;
esac
"""


@define
class Asker:
    """Requests one address every few milliseconds over a persistent connection; `took` in seconds."""

    url: str
    token: str = ""
    took: list[float] = field(factory=list)
    errors: int = 0
    _ended: Event = field(factory=Event)
    _thread: Thread = field(init=False)

    def __enter__(self) -> "Asker":
        self._thread = Thread(target=self._go)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def p99(self) -> float:
        """In milliseconds."""
        return quantile(self.took, 0.99) * 1000

    def _go(self) -> None:
        where = urlsplit(self.url)
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        connection = http.client.HTTPConnection("127.0.0.1", where.port or 80, timeout=5)
        while not self._ended.wait(0.01):
            began = time.monotonic()
            try:
                connection.request("GET", where.path, headers=headers)
                answer = connection.getresponse()
                answer.read()
                self.errors += answer.status != 200
            except (OSError, http.client.HTTPException):
                self.errors += 1
                connection.close()
            self.took.append(time.monotonic() - began)
        connection.close()


@frozen
class Found:
    """Response times of the API, the sibling through the proxy, and the unrelated server; and the share of time, in
    percent, in which the hub waited for a core.
    """

    api: Asker
    sibling: Asker
    aside: Asker
    waited: float

    def __str__(self) -> str:
        return (
            f"API {self.api.p99:.0f}, sibling {self.sibling.p99:.0f}, beside the hub {self.aside.p99:.0f} ms, "
            f"hub {self.waited:.0f} % without a processor"
        )


@define
class Whole:
    """A hub with two modules, `faulty` and `sibling`, and an unrelated server."""

    hub: HubProcess
    aside: str

    def measured(self, fault: Callable[[], None]) -> "Found":
        """All response times during the fault."""
        api = Asker(f"{self.hub.url}/api/modules", (self.hub.home / "operator.token").read_text().strip())
        with api, Asker(f"{self.hub.url}/sibling/x") as sibling, Asker(self.aside) as aside:
            waited, began = without_processor(self.pid), time.monotonic()
            fault()
            waited = (without_processor(self.pid) - waited) / (time.monotonic() - began) * 100
        return Found(api, sibling, aside, waited)

    @property
    def pid(self) -> int:
        """The hub's."""
        assert self.hub.process is not None
        return self.hub.process.pid

    def ask_faulty(self, word: str) -> None:
        """Tell the faulty module what to do; it may never answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.hub.port, timeout=0.3)
        with suppress(OSError, http.client.HTTPException):
            connection.request("GET", f"/faulty/{word}")
            connection.getresponse()
        connection.close()

    def kill(self) -> None:
        """kill -9, if it has a process."""
        pid = self.hub.module("faulty")["pid"]
        if pid:
            os.kill(pid, signal.SIGKILL)

    def start(self) -> None:
        """Start by hand; its crashes are forgotten."""
        self.hub.client.call("POST", "/api/modules/faulty/restart")


@contextmanager
def whole(home: Path, environment: dict[str, str] | None = None, box: Box | None = None) -> Iterator[Whole]:
    """A running hub with its modules; everything ends with the block."""
    hub = HubProcess(home=home / "hub", catalog=packed_examples(), environment={**OWNER, **(environment or {})})
    port = free_port()
    aside = subprocess.Popen([BUN, "run", MODULES / "calm.ts"], env={"PORT": str(port)}, stdout=subprocess.DEVNULL)
    try:
        process = hub.spawn()
        if box is not None:
            box.take(process.pid)
        hub.wait_for(lambda: hub.client.running and hub.client.health().get("phase") == "up", "the hub to be up")
        for short in ("faulty", "sibling"):
            server = (MODULES / "faulty.ts").read_text()
            folder = write(home / short, module(short, server=server, port=free_port()))
            hub.install(short, source=str(folder))
        yield Whole(hub, f"http://127.0.0.1:{port}/")
    finally:
        aside.kill()
        aside.wait()
        hub.end()


def f01(world: Whole, seconds: float) -> None:
    by = time.monotonic() + seconds
    while time.monotonic() < by:
        world.kill()
        time.sleep(0.1)
        world.start()


def f03(world: Whole, seconds: float) -> None:
    (world.hub.home / "exits").touch()
    world.kill()
    time.sleep(seconds)
    (world.hub.home / "exits").unlink()


def f08(world: Whole, seconds: float) -> None:
    world.ask_faulty("hang")
    time.sleep(seconds)


def f27(world: Whole, seconds: float) -> None:
    world.ask_faulty("flood")
    time.sleep(seconds)


def peace(world: Whole, seconds: float) -> None:
    time.sleep(seconds)


FAULTS = {"peace": peace, "F01": f01, "F03": f03, "F08": f08, "F27": f27}


async def api(rig: Rig, n: int) -> Outcome:
    """The API answers within 50 ms while a module is killed, crashes at once, hangs, floods; each for `n` seconds."""
    outcome: Outcome = await deferToThread(_api, rig.home, n)
    return outcome


def _api(home: Path, n: int) -> Outcome:
    parts, wrong, slow = [], [], []
    with whole(home) as world:
        for name, fault in FAULTS.items():
            found = world.measured(partial(fault, world, n))
            world.start()
            parts.append(f"{name}: {found}")
            if found.api.errors or found.sibling.errors:
                wrong.append(f"{name}: {found.api.errors} errors of the API, {found.sibling.errors} of the sibling")
            if found.api.p99 > API_MS:
                slow.append(f"{name}: {found}; more than {API_MS:.0f} ms")
        if world.hub.process is None or world.hub.process.poll() is not None:
            wrong.append("the hub ended")
    return Outcome("API", "p99 through a whole hub", n, "; ".join(parts), tuple(wrong), tuple(slow))


async def f07_install(rig: Rig, n: int) -> Outcome:
    """An installation that takes 600 MB with a limit of 400, the hub and its modules inside."""
    outcome: Outcome = await deferToThread(_install, rig.home, n)
    return outcome


def _install(home: Path, n: int) -> Outcome:
    box = Box("memory", "install", ("memory.limit_in_bytes", "memory.max", INSTALL_BOX))
    tools = home / "tools" / "bin"
    tools.mkdir(parents=True)
    # Modules are separated from where the real one is.
    real = shutil.copy(BUN, tools / "real-bun")
    bun = tools / "bun"
    bun.write_text(HUNGRY_BUN.format(bun=real))
    bun.chmod(0o755)
    wrong, words = [], ""
    try:
        with whole(home, {"PARACHUTE_BUN": str(bun)}, box) as world:
            before = [world.hub.module(short)["pid"] for short in ("faulty", "sibling")]
            for _ in range(n):
                words = _told(world)
                if "memory" not in words:
                    wrong.append(f"the install ended with: {words}")
            after = [world.hub.module(short)["pid"] for short in ("faulty", "sibling")]
            if before != after:
                wrong.append(f"modules were ended as well: {before}, then {after}")
    finally:
        box.kill()
        box.close()
    return Outcome("F07", "an install that eats all memory", n, f"it failed with: {words}", tuple(wrong))


def _told(world: Whole) -> str:
    try:
        world.hub.install("hello")
    except CommandError as error:
        return str(error)
    return "success"
