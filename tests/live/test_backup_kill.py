"""The hub or its worker is killed during backup, prune, verify, the weekly restore for practice, and restores: of a
whole hub, one module or one vault.

Afterwards every backup that is listed as verified restores, and a home has the state before a restore or the one after.
The suite kills a few times; `python -m tests.live.test_backup_kill --full` is the storm.
"""

import contextlib
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from tests.backup.archive.test_worker import work
from tests.live.harness import OWNER, HubProcess, fetch, gone, packed_examples
from tests.live.test_backup_s3 import RESTORE, workers_of

FULL = 300
PARTS = ({"module": "vault"}, {"vault": "default"})
VAULT = "vault/data/default"
NOTES = {
    **{f"hello/{number}.md": os.urandom(256 * 1024) for number in range(12)},
    **{f"{VAULT}/{number}.md": os.urandom(64 * 1024) for number in range(4)},
}
_PLENTY = 1 << 40


class Half(Exception):
    """A state that must not be; the text says which."""


@define
class Storm:
    """A hub that makes backups in a folder, and a second, empty one that restores them."""

    root: Path
    random: Random
    hub: HubProcess
    empty: HubProcess
    identity: str = ""
    place: str = ""
    kills: Counter[str] = field(factory=Counter)
    checked: int = 0
    restored: int = 0

    @classmethod
    def begin(cls, root: Path) -> "Storm":
        """A hub with notes and one good backup."""
        (root / "disk").mkdir(parents=True)
        hub = HubProcess(root / "hub", environment=OWNER, catalog=packed_examples())
        one = cls(root, Random(20261129), hub, HubProcess(root / "empty", catalog=packed_examples()))
        hub.start()
        hub.install("vault")
        one.write(NOTES)
        one.identity = one.call("POST", "/api/backups/key")["identity"]
        one.call("POST", "/api/backups/key/confirm", {"characters": one.identity[-4:]})
        place = {"kind": "folder", "path": str(root / "disk")}
        one.place = one.call("POST", "/api/backups/places", place)["id"]
        one.run("run")
        one.settle()
        return one

    def end(self) -> None:
        self.hub.end()
        self.empty.end()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        return self.hub.client.call(method, path, body)

    def run(self, what: str, body: Any = None) -> None:
        self.call("POST", f"/api/backups/places/{self.place}/{what}", body)

    def listed(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.call("GET", "/api/backups")["places"][0]["backups"]
        return found

    def settle(self) -> None:
        """Wait until no worker is left and no job is under way."""

        def over() -> bool:
            jobs = self.call("GET", "/api/modules/operations")["operations"]
            return not workers_of(self.hub) and all(job["outcome"] is not None for job in jobs)

        self.hub.wait_for(over, "the jobs to end")

    def strike(self, victim: str) -> list[int]:
        """Kill the hub or the workers, and wait until what follows is over. Returns the workers there were."""
        workers = workers_of(self.hub)
        if victim == "hub":
            self.hub.kill()
            self._all_gone(workers)
            self.hub.start()
        else:
            for pid in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self.settle()
        return workers

    def during_a_job(self, what: str, victim: str) -> None:
        """Kill the hub or the worker at a random moment of a backup (which prunes) or of a verification."""
        verified = [one["name"] for one in self.listed() if one["verifiedAt"] is not None]
        self.run(what, {"name": verified[0]} if what == "verify" else None)
        time.sleep(self.random.uniform(0.0, 1.6 if what == "run" else 0.8))
        workers = self.strike(victim)
        if victim == "hub" or workers:
            self.kills[f"{victim} in {what}"] += 1
        self.check()

    def _all_gone(self, pids: list[int]) -> None:
        end = time.monotonic() + 30
        while not all(gone(pid) for pid in pids):
            if time.monotonic() > end:
                raise Half(f"workers {pids} outlived the hub")
            time.sleep(0.05)

    def check(self) -> None:
        """Everything listed as verified restores, byte for byte."""
        good = [one["name"] for one in self.listed() if one["verifiedAt"] is not None]
        if not good:
            raise Half("no backup is left")
        for name in good:
            out = self.root / "out"
            job = {"do": "unpack", "home": str(self.root), "from": self._folder(), "name": name, "into": str(out)}
            reports, _ = work({**job, "identity": self.identity, "most": _PLENTY})
            if reports[-1]["event"] != "done" or self.notes(out) != NOTES:
                raise Half(f"{name} is listed as verified and does not restore: {reports[-1]}")
            shutil.rmtree(out)
            self.checked += 1

    def _folder(self) -> dict[str, str]:
        return {"kind": "folder", "path": str(self.root / "disk")}

    def notes(self, home: Path) -> dict[str, bytes]:
        """The notes of a home."""
        found = (path for folder in ("hello", VAULT) for path in (home / folder).glob("*.md"))
        return {str(path.relative_to(home)): path.read_bytes() for path in found}

    def write(self, notes: dict[str, bytes]) -> None:
        """Nothing but these notes on the hub in use."""
        for name in self.notes(self.hub.home):
            (self.hub.home / name).unlink()
        for name, content in notes.items():
            (self.hub.home / name).parent.mkdir(parents=True, exist_ok=True)
            (self.hub.home / name).write_bytes(content)

    def during_a_restore(self, victim: str) -> None:
        """Kill an empty hub at a random moment between the first byte of a restore and its restart's end, or its worker
        while it unpacks.
        """
        shutil.rmtree(self.empty.home, ignore_errors=True)
        self.empty.log_path.unlink(missing_ok=True)
        self.empty.start()
        self.empty.wait_for(lambda: "parachute-bootstrap-" in self.empty.log(), "the setup token")
        token = "parachute-bootstrap-" + self.empty.log().partition("parachute-bootstrap-")[2].split()[0]
        name = next(one["name"] for one in self.listed() if one["verifiedAt"] is not None)
        told = {"setup_token": token, "identity": self.identity, "from": self._folder(), "name": name}
        begun = fetch(self.empty.url + RESTORE, method="POST", body=told).json()
        path, headers = f"{self.empty.url}{RESTORE}/{begun['id']}", {"Authorization": f"Bearer {begun['ticket']}"}
        if victim == "worker":
            self._kill_the_unpacking(path, headers)
            return
        if self.random.random() < 0.3:
            time.sleep(self.random.uniform(0.0, 0.8))
        else:
            self.empty.wait_for(lambda: fetch(path, headers=headers).json()["phase"] == "ready", "the plan")
            fetch(path + "/apply", method="POST", body={"mode": "move"}, headers=headers)
            time.sleep(self.random.uniform(0.0, 1.5))
        workers = workers_of(self.empty)
        self.empty.kill()
        self._all_gone(workers)
        self.empty.start()
        found = self.notes(self.empty.home)
        if found not in ({}, NOTES):
            raise Half(f"half a restore: {sorted(found)}")
        self.empty.end()
        # The accounts come with the notes, or neither does.
        with contextlib.closing(sqlite3.connect(self.empty.home / "parachute.db")) as database:
            signed_up = bool(database.execute("SELECT 1 FROM users").fetchall())
        if signed_up != bool(found):
            raise Half(f"{len(found)} notes, and {'an' if signed_up else 'no'} owner")
        self.restored += bool(found)
        self.kills["hub in restore"] += 1

    def _kill_the_unpacking(self, path: str, headers: dict[str, str]) -> None:
        """Without its worker the restore fails with words, and the hub is as empty as before."""
        time.sleep(self.random.uniform(0.0, 0.5))
        workers = workers_of(self.empty)
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

        def over() -> bool:
            return fetch(path, headers=headers).json()["phase"] in ("failed", "ready")

        self.empty.wait_for(over, "the restore to end")
        state = fetch(path, headers=headers).json()
        left = sorted((self.empty.home / "hub" / "restore").glob("*/home/*"))
        if state["phase"] == "failed" and (not state["error"] or left):
            raise Half(f"a killed worker left {left} and said {state['error']!r}")
        if self.notes(self.empty.home):
            raise Half("notes without a restore")
        self.kills["worker in restore"] += state["phase"] == "failed"
        self.empty.end()

    def during_a_part(self, victim: str) -> None:
        """One module or vault comes back on the hub in use, which is killed before, in and after the exchange."""
        part = self.random.choice(PARTS)
        others = {name: content for name, content in NOTES.items() if not name.startswith(VAULT)}
        since = {**others, f"{VAULT}/since.md": b"written since", f"{VAULT}/0.md": b"changed since"}
        self.write(since)
        name = next(one["name"] for one in self.listed() if one["verifiedAt"] is not None)
        told = {"identity": self.identity, "from": {"id": self.place}, "name": name, "part": part}
        begun = self.call("POST", RESTORE, told)
        path, ticket = f"{RESTORE}/{begun['id']}", str(begun["ticket"])

        def phase() -> str:
            return str(self.hub.client.call("GET", path, bearer=ticket)["phase"])

        if victim == "worker":
            time.sleep(self.random.uniform(0.0, 0.4))
            for pid in workers_of(self.hub):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.hub.wait_for(lambda: phase() in ("failed", "ready"), "the unpacking to end")
            failed = phase() == "failed"
            self.hub.client.call("DELETE", path, bearer=ticket)
        elif self.random.random() < 0.2:
            time.sleep(self.random.uniform(0.0, 0.6))
        else:
            self.hub.wait_for(lambda: phase() == "ready", "the plan")
            self.hub.client.call("POST", f"{path}/apply", {"part": part}, bearer=ticket)
            time.sleep(self.random.uniform(0.0, 4.0))
        if victim == "hub":
            workers = workers_of(self.hub)
            self.hub.kill()
            self._all_gone(workers)
            self.hub.start()
            self.settle()
        found = self.notes(self.hub.home)
        if found not in ((since,) if victim == "worker" else (since, NOTES)):
            raise Half(f"half of {part}: {sorted(found)}")
        self.hub.wait_for(lambda: self.hub.module("vault")["state"] == "ready", "the vault")
        left = [str(path) for path in self.hub.home.glob("hub/restore/*/home")]
        left += [str(path) for path in self.hub.home.glob("hub/snapshots/*/*")]
        if left:
            raise Half(f"left behind: {left}")
        self.restored += found == NOTES
        self.kills[f"{victim} in a part"] += victim == "hub" or failed
        self.write(NOTES)

    def during_practice(self, victim: str) -> None:
        """The restore into scratch space that is made each week."""
        name = next(one["name"] for one in self.listed() if one["verifiedAt"] is not None)
        self.run("verify", {"name": name, "whole": True})
        time.sleep(self.random.uniform(0.0, 0.8))
        workers = self.strike(victim)
        self.hub.wait_for(lambda: not os.listdir(self.hub.home / "tmp"), "the scratch space to be empty")
        self.kills[f"{victim} in practice"] += victim == "hub" or bool(workers)
        self.check()

    def rage(self, kills: int, seconds: float = float("inf")) -> str:
        """Kill this often, or for so long; a line of figures. Raises Half."""
        began = time.monotonic()
        ways = (
            *(("run", "hub"), ("part", "hub"), ("restore", "hub"), ("practice", "hub"), ("verify", "worker")),
            *(("part", "hub"), ("run", "worker"), ("verify", "hub"), ("restore", "worker"), ("part", "worker")),
            *(("practice", "worker"), ("restore", "hub")),
        )
        number = 0
        while self.kills.total() < kills and time.monotonic() - began < seconds:
            what, victim = ways[number % len(ways)]
            number += 1
            if what == "restore":
                self.during_a_restore(victim)
            elif what == "part":
                self.during_a_part(victim)
            elif what == "practice":
                self.during_practice(victim)
            else:
                self.during_a_job(what, victim)
        return self.figures()

    def figures(self) -> str:
        """What was done so far."""
        counts = ", ".join(f"{count} {name}" for name, count in sorted(self.kills.items()))
        return (
            f"{self.kills.total()} kills ({counts}): {self.checked} listed backups unpacked, all whole; "
            f"{self.restored} restores complete, the others left the state before; 0 half"
        )


class KillTests(SynchronousTestCase):
    """The small form."""

    def test_four_kills(self) -> None:
        storm = Storm.begin(Path(self.mktemp()).absolute())
        self.addCleanup(storm.end)
        storm.rage(4)
        self.assertEqual(storm.kills.total(), 4)
        self.assertGreater(storm.checked, 0)


def main(kills: int, seconds: float) -> None:
    """The full run; a traceback tells which state was wrong."""
    with tempfile.TemporaryDirectory(prefix="parachute-kills-") as folder:
        storm = Storm.begin(Path(folder) / "storm")
        try:
            storm.rage(kills, seconds)
        finally:
            print(storm.figures(), flush=True)
            storm.end()


if __name__ == "__main__":
    main(FULL if "--full" in sys.argv[1:] else 5, float(os.environ.get("PARACHUTE_KILL_SECONDS", "inf")))
