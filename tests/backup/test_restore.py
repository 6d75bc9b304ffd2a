"""Restores with a scripted worker process; `tests/live/test_backup.py` runs the real one."""

import contextlib
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from parachute_hub.backup import switch
from parachute_hub.backup.restore import Restores
from parachute_hub.store.rows import VaultDeletion
from parachute_hub.store.vaults import VaultDeletionRows
from tests.modules.homes import at_once
from tests.support.acts import HeardActs
from tests.support.databases import new_database


@frozen
class Unpacked:
    """A worker process that has ended."""

    ended: "Deferred[Mapping[str, Any]]"


class UnpackingWorkers:
    """The backup has a vault that was to be deleted long ago."""

    def start(self, job: Mapping[str, Any], on_report: Any, *, keep_stdin: bool) -> Unpacked:
        database = new_database(Path(job["into"]) / "parachute.db")
        with database.unit():
            VaultDeletionRows(database).add(
                VaultDeletion(vault="kim", whose="Kim", asked_by="ada", asked_at=0.0, due_at=30.0, warned_at=25.0)
            )
        database.close()
        link = Path(job["into"]) / "hub/links/0123456789abcdef"
        link.mkdir(parents=True)
        (link / "link.pem").touch()
        return Unpacked(succeed({"vaults": ["kim"]}))


class RestoredHubTests(SynchronousTestCase):
    def restored(self, mode: str) -> Path:
        """The unpacked home."""
        home = Path(self.mktemp())
        home.mkdir()
        workers: Any = UnpackingWorkers()
        data: Any = None
        restores = Restores(
            home=home,
            workers=workers,
            restart=lambda: None,
            in_thread=at_once,
            replaced=dict,
            data=data,
            session_lives=lambda session: True,
            now=lambda: 90.0,
            new_id=lambda: "r1",
            random=lambda size: b"r" * size,
            done=HeardActs().done,
        )
        begun = self.successResultOf(Deferred.fromCoroutine(restores.begin("AGE-SECRET-KEY-1X", {"kind": "x"})))
        self.successResultOf(Deferred.fromCoroutine(restores.apply(begun.id, mode)))
        return switch.staging(home, "r1")

    def test_a_restored_hub_keeps_its_vaults(self) -> None:
        """Their days are long past, and whoever restores a backup wants to have what is in it."""
        for mode in ("move", "copy"):
            with contextlib.closing(sqlite3.connect(self.restored(mode) / "parachute.db")) as restored:
                self.assertEqual(restored.execute("SELECT vault FROM vault_deletions").fetchall(), [], mode)

    def test_a_copy_does_not_steer_the_machines_of_the_hub_that_keeps_running(self) -> None:
        for mode, kept in (("move", True), ("copy", False)):
            self.assertEqual((self.restored(mode) / "hub/links").exists(), kept, mode)
