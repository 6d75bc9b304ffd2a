"""A newer hub takes over in the process of the one that runs, under requests: `make proof NAME=update-in-place`."""

import http.client
import json
import os
import socket
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.cli.client import HubRefused
from parachute_hub.cli.restart import PATH
from tests.live.harness import PATIENCE, HubProcess, fetch, gone, hub, packed_examples


@define
class Load:
    """Clients that ask for a module and the hub, half of them over kept connections, until `total` are answered."""

    running: HubProcess
    total: int
    pause: float = 0.001
    clients: int = 6
    answered: int = 0
    failed: list[str] = field(factory=list)
    longest: float = 0.0
    _lock: threading.Lock = field(factory=threading.Lock, init=False)
    _threads: list[threading.Thread] = field(factory=list, init=False)

    def start(self) -> None:
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(self.clients)]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        for thread in self._threads:
            thread.join(600)

    def _ask(self, number: int) -> None:
        kept = None
        while self.answered < self.total:
            began = time.monotonic()
            connection = kept or http.client.HTTPConnection("127.0.0.1", self.running.port, timeout=PATIENCE)
            problem = ""
            try:
                connection.request("GET", "/health" if self.answered % 10 == 0 else "/hello")
                answer = connection.getresponse()
                answer.read()
                problem = "" if answer.status == 200 else f"status {answer.status}"
                kept = None if answer.will_close else connection
            except (OSError, http.client.HTTPException) as error:
                problem, kept = repr(error), None
            if number % 2 and kept is not None:
                kept.close()
                kept = None
            with self._lock:
                self.answered += 1
                self.longest = max(self.longest, time.monotonic() - began)
                if problem:
                    self.failed.append(problem)
            time.sleep(self.pause)
        if kept is not None:
            kept.close()


def state(pid: int) -> dict[str, Any]:
    """What must not grow: descriptors, threads, resident KiB."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return {
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
        "threads": int(status["Threads"]),
        "resident": int(status["VmRSS"].split()[0]),
    }


def pids(running: HubProcess) -> dict[str, int]:
    listing = running.client.call("GET", "/api/modules")["modules"]
    return {one["short"]: one["pid"] for one in listing if one.get("pid")}


def restart(running: HubProcess) -> float:
    """Seconds until the new hub is up."""
    before, began = running.client.health()["instance"], time.monotonic()
    running.client.call("POST", PATH, {})
    running.wait_for_restart(before)
    return time.monotonic() - began


class InPlaceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.hub = hub(self, catalog=packed_examples()).start()
        self.hub.install("hello")
        assert self.hub.process is not None
        self.pid = self.hub.process.pid

    def refused(self) -> None:
        """The check reads what an ordinary start would read: here a database that is too new."""
        before, kept = pids(self.hub), self.hub.client.health()["instance"]
        database = self.hub.home / "parachute.db"
        content = database.read_bytes()
        with database.open("r+b") as file:
            file.seek(60)
            file.write((9999).to_bytes(4, "big"))
        try:
            with self.assertRaises(HubRefused) as caught:
                self.hub.client.call("POST", PATH, {})
        finally:
            with database.open("r+b") as file:
                file.seek(60)
                file.write(content[60:64])
        self.assertIn("would not start, so this one stays", str(caught.exception))
        self.assertIn("was written by a newer Parachute Hub", self.hub.client.call("GET", PATH)["problem"])
        self.assertEqual((pids(self.hub), self.hub.client.health()["instance"]), (before, kept))
        self.assertEqual(fetch(f"{self.hub.url}/hello").status, 200)

    def test_no_request_fails_while_versions_change(self) -> None:
        """2,000 requests and two changes: modules stay, and nothing grows. A kill still ends the modules."""
        before = pids(self.hub)
        load = Load(self.hub, 2_000)
        load.start()
        restart(self.hub)
        after_first = state(self.pid)
        restart(self.hub)
        load.wait()
        self.assertEqual((load.failed, load.answered >= 2_000), ([], True))
        self.assertEqual(pids(self.hub), before)
        self.assertEqual(self.hub.module("hello")["state"], "ready")
        self.assertLess(state(self.pid)["descriptors"], after_first["descriptors"] + 10)
        self.hub.kill()
        deadline = time.monotonic() + PATIENCE
        while not all(gone(pid) for pid in before.values()):
            self.assertLess(time.monotonic(), deadline, "modules outlived the hub")
            time.sleep(0.05)

    def test_what_was_known_of_a_module_and_of_clients_stays(self) -> None:
        """A version that would not start changes nothing. Of one that does: a request that arrived in part is answered
        by it, streams end, the home stays locked, and it stops as ever.
        """
        self.refused()
        client = socket.create_connection(("127.0.0.1", self.hub.port))
        self.addCleanup(client.close)
        client.settimeout(PATIENCE)
        request = b"GET /hello HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
        status = self.hub.module("hello")
        since, instance = status["since"], self.hub.client.health()["instance"]
        token = (self.hub.home / "operator.token").read_text().strip()
        events = http.client.HTTPConnection("127.0.0.1", self.hub.port, timeout=PATIENCE)
        self.addCleanup(events.close)
        events.request("GET", "/api/events", headers={"Authorization": f"Bearer {token}"})
        stream = events.getresponse()
        self.hub.client.call("POST", PATH, {})
        # A head has ten seconds to arrive, and the check before may take longer where others work.
        client.sendall(request[:20])
        self.hub.wait_for_restart(instance)
        stream.read()
        client.sendall(request[20:])
        self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 200 OK"))
        self.assertEqual(self.hub.module("hello")["since"], since)
        self.assertNotEqual(self.hub.client.health()["instance"], instance)
        second = HubProcess(home=self.hub.home, environment=self.hub.environment)
        self.assertEqual(second.spawn().wait(PATIENCE), 1)
        restarted = self.hub.client.call("POST", "/api/modules/hello/restart", {})["state"]
        self.assertEqual(restarted["state"], "ready")
        self.stopped_while_it_changes()
        self.assertTrue(gone(restarted["pid"]))
        self.assertIn("= stop It was stopped.", (self.hub.home / "hub" / "logs" / "hello.log").read_text())

    def stopped_while_it_changes(self) -> None:
        """The version that comes stops its modules in good order."""
        log = self.hub.home / "hub" / "logs" / "hub.log"
        before = log.read_text().count("makes way")
        self.hub.client.call("POST", PATH, {})
        self.hub.wait_for(lambda: log.read_text().count("makes way") > before, "the change")
        self.hub.stop(PATIENCE)


def proof(total: int = 10_000, changes: int = 10) -> int:
    """Prints a line of figures. 0 if nothing failed and nothing grew."""

    class Case(SynchronousTestCase):
        def runTest(self) -> None: ...

    catalog = packed_examples()
    folder = tempfile.TemporaryDirectory()
    os.chdir(folder.name)
    case = Case()
    case.addCleanup(folder.cleanup)
    running = hub(case, catalog=catalog)
    try:
        running.start()
        for short in ("hello", "vault"):
            running.install(short)
        assert running.process is not None
        pid, before = running.process.pid, pids(running)
        restart(running)
        quiet = [state(pid)]
        load = Load(running, sys.maxsize, pause=0.005)
        load.start()
        took = [restart(running) for _ in range(changes)]
        while load.answered < total:
            time.sleep(0.1)
        load.total = 0
        load.wait()
        time.sleep(8)
        quiet.append(state(pid))
        same = pids(running) == before
        running.kill()
        time.sleep(2)
        told = {
            "requests": load.answered,
            "failed": len(load.failed),
            "changes": changes,
            "seconds of a change": f"{min(took):.1f} to {max(took):.1f}",
            "longest request": round(load.longest, 1),
            "same processes": same,
            "after the first change": quiet[0],
            "after the last": quiet[1],
            "ended with the hub": all(gone(one) for one in before.values()),
        }
        print(json.dumps(told, indent=2))
        if load.failed:
            print(load.failed[:10])
        return int(bool(load.failed) or not same or not told["ended with the hub"])
    finally:
        case.doCleanups()


if __name__ == "__main__":
    sys.exit(proof(*map(int, sys.argv[1:])))
