"""Data of a backup takes the place of a module's. Whatever happens, it has one or the other, and runs as before."""

import errno
import gc
import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.jobs.model import Job
from parachute_hub.jobs.runner import Jobs
from parachute_hub.modules.operations.compensation import UndoHandlers
from parachute_hub.modules.operations.health_gate import HealthGate
from parachute_hub.modules.operations.restore_part import ArrivedData, DataRestorer
from parachute_hub.modules.state.data_swap import DataSwap
from parachute_hub.modules.state.snapshots import Snapshots
from parachute_hub.supervise.model import ModuleState, Status
from tests.live.fulldisk import FullDisk
from tests.modules.homes import Home, at_once, write
from tests.support.supervising import FakeSupervisor

BEFORE = {"toy/note": "now", "toy/data/a/vault.db": "a now", "toy/data/b/vault.db": "b now"}
WHOLE = {"toy/note": "then", "toy/data/a/vault.db": "a then"}
CASES = {
    "a module": ("toy", {"note": "then", "data/a/vault.db": "a then"}, True, WHOLE),
    "a vault": ("toy/data/a", {"vault.db": "a then"}, True, {**BEFORE, "toy/data/a/vault.db": "a then"}),
    "a vault beside": ("toy/data/c", {"vault.db": "a then"}, False, {**BEFORE, "toy/data/c/vault.db": "a then"}),
}


class Killed(BaseException):
    """The hub dies here."""


class DyingDisk(FullDisk):
    """The process is killed at a write, so nothing after it happens either."""

    def refuse(self, name: str, path: object) -> None:
        try:
            super().refuse(name, path)
        except OSError:
            raise Killed from None


class Hub:
    """A home with a module, as one start of a hub sees it."""

    def __init__(self, home: Home) -> None:
        self.home, self.path = home, home.path.absolute()
        folder = self.path / "hub" / "snapshots"
        self.supervisor = FakeSupervisor(want=home.records.want)
        self.snapshots = Snapshots(home=self.path, folder=folder, free_bytes=lambda: 1 << 40)
        swap = DataSwap(home=self.path, folder=folder)
        undoing = UndoHandlers(
            directory=home.directory, snapshots=self.snapshots, swap=swap, supervisor=self.supervisor, in_thread=at_once
        )
        ids = iter("xyz")
        self.jobs = Jobs(
            folder=self.path / "hub" / "jobs",
            handlers=undoing.handlers(),
            emit=lambda event: None,
            mask=str,
            now=lambda: 1.0,
            new_id=lambda: next(ids),
        )
        self.restorer = DataRestorer(
            jobs=self.jobs,
            directory=home.directory,
            supervisor=self.supervisor,
            prover=HealthGate(supervisor=self.supervisor, clock=Clock()),
            swap=swap,
            in_thread=at_once,
            settle=0.0,
        )

    def data(self) -> dict[str, str]:
        found = (path for path in (self.path / "toy").rglob("*") if path.is_file())
        return {str(path.relative_to(self.path)): path.read_text() for path in found}

    def aside(self) -> list[str]:
        folder = self.path / "hub" / "snapshots" / "toy"
        return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


class RestorePartTests(SynchronousTestCase):
    def setUp(self) -> None:
        # A kill of the process loses nothing that was written, and syncing takes long.
        self.patch(os, "sync", lambda: None)
        self.patch(os, "fsync", lambda descriptor: None)

    def fresh(self, case: str = "a module") -> Hub:
        place, arrived, self.replace, self.after = CASES[case]
        home = Home(self.mktemp())
        home.register()
        home.records.want("toy", True)
        write(home.path, BEFORE)
        self.place = place
        self.arrived = write(home.path.absolute() / "hub" / "restore" / "r" / "home" / "toy", arrived)
        return Hub(home)

    def wait(self, coroutine: Any) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def wanted(self) -> ArrivedData:
        return ArrivedData(
            short="toy", place=self.place, folder=self.arrived, replace=self.replace, title="The data of toy"
        )

    def restore(self, hub: Hub) -> Job:
        job = hub.restorer.restore(self.wanted())
        self.wait(hub.restorer.ended(job))
        return hub.jobs.get(job.id)

    def test_it_takes_the_place_while_the_module_is_stopped(self) -> None:
        for case in CASES:
            hub = self.fresh(case)
            job = self.restore(hub)
            self.assertEqual((job.outcome, hub.data()), ("succeeded", self.after), case)
            self.assertEqual(hub.supervisor.calls, [("stop", "toy"), ("restart", "toy")], case)
            self.assertEqual((hub.aside(), hub.home.records.wanted("toy")), ([], True), case)
            self.assertIn("The data of toy was restored from the backup.", job.log)

    def test_a_stopped_module_stays_stopped(self) -> None:
        hub = self.fresh()
        hub.home.records.want("toy", False)
        self.assertEqual((self.restore(hub).outcome, hub.data()), ("succeeded", self.after))
        self.assertEqual((hub.supervisor.calls, hub.home.records.wanted("toy")), ([], False))

    def test_a_module_without_data_gets_it(self) -> None:
        hub = self.fresh()
        (hub.path / "toy").rename(hub.path / "elsewhere")
        self.assertEqual((self.restore(hub).outcome, hub.data()), ("succeeded", self.after))

    def test_data_with_which_it_does_not_start_is_taken_back(self) -> None:
        for case in CASES:
            hub = self.fresh(case)
            hub.supervisor.outcome["toy"] = Status(
                short="toy", state=ModuleState.BACKOFF, reason="It broke.", since=0.0
            )
            job = self.restore(hub)
            self.assertEqual((job.outcome, hub.data()), ("failed", BEFORE), case)
            self.assertIn("The data is as it was before.", str(job.error))
            self.assertEqual(hub.supervisor.calls[-1], ("start", "toy"), case)
            self.assertEqual((hub.aside(), hub.home.records.wanted("toy")), ([], True), case)

    def test_a_name_that_was_taken_meanwhile(self) -> None:
        hub = self.fresh("a vault beside")
        write(hub.path, {"toy/data/c/vault.db": "mine"})
        job = self.restore(hub)
        self.assertIn("the name is taken", str(job.error))
        self.assertEqual(hub.data(), {**BEFORE, "toy/data/c/vault.db": "mine"})

    def test_what_is_not_installed_is_refused(self) -> None:
        hub = self.fresh()
        hub.home.services.update(lambda registry: registry.without("toys-toy"))
        self.assertIn("Install it first", str(self.restore(hub).error))
        self.assertEqual(hub.data(), BEFORE)

    def test_killed_at_each_write_the_next_start_has_one_or_the_other(self) -> None:
        for case in CASES:
            calm = self.writes(case)
            self.assertGreater(len(calm), 15, calm)
            for number, call in enumerate(calm, 1):
                hub = self.fresh(case)
                with DyingDisk(hub.path, at=number, lasting=True).at_work():
                    self.attempt(hub)
                again = self.booted(hub)
                told = (case, number, call)
                self.assertIn(again.data(), (BEFORE, self.after), told)
                self.assertEqual((again.aside(), again.jobs.unsettled()), ([], False), told)
                self.assertTrue(again.home.records.wanted("toy"), told)

    def test_a_kill_while_it_is_undone_at_the_next_start(self) -> None:
        for case in CASES:
            for number in range(1, 40):
                hub = self.fresh(case)
                with DyingDisk(hub.path, at=self.last_rename(case), lasting=True).at_work():
                    self.attempt(hub)
                with DyingDisk(hub.path, at=number, lasting=True).at_work():
                    self.boot(Hub(hub.home))
                again = self.booted(hub)
                self.assertEqual((again.data(), again.aside()), (BEFORE, []), (case, number))

    def test_the_disk_is_full_at_each_write(self) -> None:
        for case in CASES:
            for lasting in (False, True):
                for number, call in enumerate(self.writes(case), 1):
                    hub = self.fresh(case)
                    with FullDisk(hub.path, at=number, lasting=lasting, error=errno.ENOSPC).at_work():
                        self.attempt(hub)
                    again = self.booted(hub)
                    told = (case, lasting, number, call)
                    self.assertIn(again.data(), (BEFORE, self.after), told)
                    self.assertEqual((again.aside(), again.jobs.unsettled()), ([], False), told)

    def tearDown(self) -> None:
        """Jobs that were killed never end; what they died of is not an error of a later test."""
        gc.collect()
        self.flushLoggedErrors(Killed)

    def writes(self, case: str) -> list[str]:
        hub = self.fresh(case)
        calm = FullDisk(hub.path)
        with calm.at_work():
            self.assertEqual(self.restore(hub).outcome, "succeeded")
        return calm.calls

    def last_rename(self, case: str) -> int:
        """The write after the data has been exchanged."""
        calls = self.writes(case)
        return next(number for number, call in enumerate(calls, 1) if call == f"rename {self.place}") + 1

    def attempt(self, hub: Hub) -> None:
        """A restore that may fail at its start, fail, or never end."""
        try:
            hub.restorer.restore(self.wanted())
        except (Exception, Killed):
            return

    def booted(self, hub: Hub) -> Hub:
        again = Hub(Home(str(hub.path)))
        self.boot(again)
        return again

    def boot(self, hub: Hub) -> None:
        """The part of a hub's start that undoes and sweeps."""

        async def recover() -> None:
            await hub.jobs.recover()
            if not hub.jobs.unsettled():
                hub.snapshots.sweep()

        recovered = Deferred.fromCoroutine(recover())
        recovered.addErrback(lambda failure: failure.trap(Killed))
        self.successResultOf(recovered)
        self.flushLoggedErrors()
