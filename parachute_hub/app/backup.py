"""Composes the backups: records, worker process, schedule, restores and their APIs."""

import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from parachute_hub import __version__
from parachute_hub.accounts.assemble import Accounts
from parachute_hub.accounts.encryption import Sealer
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.runtime import ModuleRuntime
from parachute_hub.backup import switch
from parachute_hub.backup.ledger import Ledger
from parachute_hub.backup.places import Places
from parachute_hub.backup.records import BackupsFile
from parachute_hub.backup.service import Backups, HubFacts
from parachute_hub.backup.worker_process import Workers, passed_on
from parachute_hub.jobs.model import Job
from parachute_hub.modules.operations.install import InstallRequest
from parachute_hub.modules.operations.restore_part import ArrivedData, DataRestorer
from parachute_hub.modules.packages import lockfile
from parachute_hub.modules.packages.bun import wrapped
from parachute_hub.modules.packages.lockfile import BadLock
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.errors import Refused
from parachute_hub.site.root import MountedArea, later
from parachute_hub.store.database import shipped_migrations
from parachute_hub.system.atomic_files import read_bounded
from parachute_hub.system.loading import is_loaded, lazily, load
from parachute_hub.system.records import frozen
from parachute_hub.system.timers import every

with lazily():
    from parachute_hub.admin import backups_api, restore_api
    from parachute_hub.backup import restore
    from parachute_hub.backup.archive import layout

if TYPE_CHECKING:
    from parachute_hub.backup.archive.parts import Part

TICK_SECONDS = 60.0
_VAULT = "/vault/"
_log = Logger()


@frozen
class BackupRoom:
    """What the rest of the hub uses of the backups. `timer` starts the schedule."""

    backups: Backups
    _restores: "Callable[[], restore.Restores]"
    _core: ProcessContext
    _engine: ModuleRuntime

    def timer(self) -> LoopingCall:
        """Look every minute what is due; after a restore, programs are fetched at once."""
        self._fetch_missing_programs()
        return every(self._core.reactor, TICK_SECONDS, self._tick, "Starting backups that are due")

    def _tick(self) -> "Deferred[None]":
        if is_loaded(restore):
            self._restores().drop_idle()
        self._fetch_missing_programs()
        return Deferred.fromCoroutine(self.backups.tick())

    def _fetch_missing_programs(self) -> None:
        """After a restore: the archive holds what modules wrote, and their programs come from the registry."""
        home = self._core.settings.home
        if switch.restored(home) is None:
            return
        files = self._engine.modules.files
        missing = [short for short in files.directory.shorts() if files.directory.folder(short) is None]
        for short in missing:
            wanted = self._request(short)
            if wanted is None or self._engine.modules.jobs.active(short) is not None:
                continue
            try:
                self._engine.modules.installer.install(wanted)
            except Refused as error:
                _log.warn("{short} could not be fetched again: {why}", short=short, why=error.description)
        if not missing:
            switch.settle(home)

    def _request(self, short: str) -> InstallRequest | None:
        """How to get the version that the backup names; None for a module whose package is not known."""
        directory = self._engine.modules.files.directory
        row, package = directory.row(short), directory.package_of(short)
        if package is None:
            return None
        entry = directory.vouched(short)
        if entry is not None and entry.source is not None:
            return InstallRequest(short=short, package=package, source=entry.source)
        told = (switch.restored(self._core.settings.home) or {}).get("backup", {}).get("modules", ())
        known = {(one.get("short"), one.get("version")): one.get("integrity") for one in told}
        version = row.version if row else None
        return InstallRequest(short=short, package=package, version=version, integrity=known.get((short, version)))

    def parts(self, who: Authenticator, accounts: Accounts) -> list[MountedArea]:
        """The APIs."""
        return [
            later(
                ("/api/backups",),
                (backups_api, layout),
                lambda: (
                    backups_api.BackupsApi(
                        who=who,
                        step_up=accounts.step_up,
                        backups=self.backups,
                        clock=time.time,
                        random=secrets.token_bytes,
                        new_id=lambda: str(uuid4()),
                    ).app
                ),
            ),
            later(
                ("/admin/setup/restore",),
                (restore_api, layout),
                lambda: (
                    restore_api.RestoreApi(
                        restores=self._restores(),
                        backups=self.backups,
                        setup=accounts.setup,
                        who=who,
                        step_up=accounts.step_up,
                    ).app
                ),
            ),
        ]


def build_backups(
    core: ProcessContext,
    engine: ModuleRuntime,
    sealer: Sealer,
    issuer: Callable[[], str],
    resolve: Callable[[str], Awaitable[Sequence[str]]],
    accounts: Accounts,
) -> BackupRoom:
    """Create the backups. `issuer` is the hub's address, `resolve` gives the addresses of a host."""
    done = accounts.trail.done
    files = engine.modules.files
    workers = Workers(
        core.reactor,
        passed_on(core.settings.passed_on),
        wrapped,
        scratch=core.settings.home / "tmp",
        in_thread=files.outside.in_thread,
    )
    schema = len(shipped_migrations())

    def facts() -> HubFacts:
        modules = tuple(_module(engine, short) for short in files.directory.shorts())
        return HubFacts(hub_version=__version__, schema=schema, origin=issuer(), modules=modules)

    def replaced() -> Mapping[str, Any]:
        rows = {short: files.directory.row(short) for short in files.directory.shorts()}
        vault = rows.get("vault")
        return {
            "modules": list(rows),
            "versions": {short: row.version for short, row in rows.items() if row is not None},
            "vaults": [path.removeprefix(_VAULT) for path in (vault.paths if vault else ()) if path.startswith(_VAULT)],
            "origin": issuer(),
        }

    ledger = Ledger(BackupsFile(core.settings.home / "hub" / "backups.json"), files.outside.in_thread)
    backups = Backups(
        home=str(core.settings.home),
        ledger=ledger,
        places=Places(
            home=str(core.settings.home),
            ledger=ledger,
            workers=workers,
            seals=sealer,
            resolve=resolve,
            now=time.time,
            done=done,
        ),
        workers=workers,
        jobs=engine.modules.jobs,
        seals=sealer,
        facts=facts,
        now=time.time,
        new_id=lambda: str(uuid4()),
        done=done,
    )

    @cache
    def restores() -> "restore.Restores":
        return restore.Restores(
            home=core.settings.home,
            workers=workers,
            restart=core.restart,
            in_thread=files.outside.in_thread,
            replaced=replaced,
            data=_PartRestorer(engine.modules.data_restorer),
            session_lives=accounts.sign_in.lives,
            now=time.time,
            new_id=lambda: str(uuid4()),
            random=secrets.token_bytes,
            done=done,
        )

    if ledger.state.places:  # Backups are made after an update on the disk, too.
        load(layout)
    return BackupRoom(backups, restores, core, engine)


@frozen
class _PartRestorer:
    """Hands parts of backups to the operations on modules."""

    _restorer: DataRestorer

    async def restore(self, part: "Part", folder: Path) -> Job:
        """A vault under another name never takes the place of one that is there."""
        arrived = ArrivedData(
            short=part.short, place=part.target, folder=folder, replace=part.alias is None, title=part.title
        )
        return await self._restorer.jobs.recorded(self._restorer.restore(arrived))

    async def ended(self, job: Job) -> None:
        """As the operation's own."""
        await self._restorer.ended(job)


def _module(engine: ModuleRuntime, short: str) -> "layout.ModuleInfo":
    directory = engine.modules.files.directory
    row, package = directory.row(short), directory.package_of(short)
    integrity = _integrity(directory.store.lock(package), package) if package else None
    return layout.ModuleInfo(short=short, package=package, version=row.version if row else None, integrity=integrity)


@lru_cache(maxsize=64)
def _integrity(lock: Path, package: str) -> str | None:
    """The lock of a version in the store never changes."""
    try:
        return lockfile.integrity(read_bounded(lock, lockfile.LIMIT), package)
    except (OSError, BadLock):
        return None
