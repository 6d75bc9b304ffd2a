"""Composes the backups: records, worker process, schedule and API."""

import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import uuid4

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall

from parachute_hub import __version__
from parachute_hub.accounts.encryption import Sealer
from parachute_hub.admin.backups_api import BackupsApi
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.runtime import ModuleRuntime
from parachute_hub.backup.archive.layout import ModuleInfo
from parachute_hub.backup.records import BackupsFile
from parachute_hub.backup.service import ArchivedHub, Backups
from parachute_hub.backup.worker_process import Workers, passed_on
from parachute_hub.modules.packages.bun import wrapped
from parachute_hub.site.auth import Authenticator, StepUp
from parachute_hub.site.root import MountedArea
from parachute_hub.store.database import shipped_migrations
from parachute_hub.system.timers import every

TICK_SECONDS = 60.0


@frozen
class BackupRoom:
    """The backup services that the rest of the hub uses. `timer` starts the schedule."""

    backups: Backups
    workers: Workers
    _clock: Any

    def timer(self) -> LoopingCall:
        """Check every minute what is due."""
        return every(self._clock, TICK_SECONDS, self._tick, "Starting backups that are due")

    def _tick(self) -> "Deferred[None]":
        return Deferred.fromCoroutine(self.backups.tick())

    def part(self, who: Authenticator, step_up: StepUp) -> MountedArea:
        """The API."""
        area = BackupsApi(
            who=who,
            step_up=step_up,
            backups=self.backups,
            clock=time.time,
            random=secrets.token_bytes,
            new_id=lambda: str(uuid4()),
        )
        return MountedArea(("/api/backups",), area.app.resource())


def build_backups(
    core: ProcessContext,
    engine: ModuleRuntime,
    sealer: Sealer,
    issuer: Callable[[], str],
    resolve: Callable[[str], Awaitable[Sequence[str]]],
) -> BackupRoom:
    """Create the backup services. `issuer` returns the hub's address, `resolve` the addresses of a host."""
    files = engine.modules.files
    workers = Workers(core.reactor, passed_on(core.settings.passed_on), lambda command: wrapped(command))
    schema = len(shipped_migrations())

    def facts() -> ArchivedHub:
        return ArchivedHub(
            hub_version=__version__,
            schema=schema,
            origin=issuer(),
            modules=tuple(_module(engine, short) for short in files.directory.shorts()),
        )

    backups = Backups(
        home=str(core.settings.home),
        file=BackupsFile(core.settings.home / "hub" / "backups.json"),
        workers=workers,
        jobs=engine.modules.jobs,
        seals=sealer,
        facts=facts,
        resolve=resolve,
        in_thread=files.outside.in_thread,
        now=time.time,
        new_id=lambda: str(uuid4()),
    )
    return BackupRoom(backups, workers, core.reactor)


def _module(engine: ModuleRuntime, short: str) -> ModuleInfo:
    files = engine.modules.files
    package = files.directory.package_of(short)
    row = files.directory.row(short)
    return ModuleInfo(short=short, package=package, version=row.version if row else None)
