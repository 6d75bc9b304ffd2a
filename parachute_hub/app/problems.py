"""Composes the problems: which checks there are, and what they look at."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from attrs import field
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from parachute_hub import __version__
from parachute_hub.accounts.setup.public_origin import HubOrigin
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.reach import ReachRoom
from parachute_hub.app.runtime import ModuleRuntime
from parachute_hub.app.vault_room import MeasuredRoom, VaultCare
from parachute_hub.backup.service import Backups
from parachute_hub.events import JobChanged, ModuleChanged, Notice, NumberedEvent, RegistryChanged
from parachute_hub.modules.definition.versions import is_newer
from parachute_hub.modules.launch.configuration import Configuration
from parachute_hub.modules.packages.bun import BunFailed, NoBun
from parachute_hub.modules.state.disk_space import largest_owners
from parachute_hub.notices.service import Notices
from parachute_hub.oauth.assemble import OAuth
from parachute_hub.problems.check import Check
from parachute_hub.problems.checks.access import EXPIRES_DAYS, ExpiringToken, ExpiringTokens, WaitingApps
from parachute_hub.problems.checks.address import PlainHttp, PublicAddress, StartWarnings
from parachute_hub.problems.checks.backups import BackupTrouble
from parachute_hub.problems.checks.configuration import Unconfigured
from parachute_hub.problems.checks.elsewhere import OtherMachines
from parachute_hub.problems.checks.hub import (
    DatabaseTrouble,
    FailedOperations,
    OpenFiles,
    OtherHub,
    UnknownModules,
    UnusableRows,
)
from parachute_hub.problems.checks.machine import (
    ClockWrong,
    DiskSpace,
    DiskWrites,
    GrowingMemory,
    MemoryTight,
    NoRoomToWake,
)
from parachute_hub.problems.checks.modules import Crashing, FailedParts, Incomplete, Ports, SelfReports
from parachute_hub.problems.checks.notices import NoticeTrouble
from parachute_hub.problems.checks.packages import (
    BunMissing,
    HubUpdate,
    RegistryUnreachable,
    Updates,
    WithdrawnVersions,
    how_to_update,
)
from parachute_hub.problems.checks.reach import OpenWay
from parachute_hub.problems.checks.reports import Reports
from parachute_hub.problems.checks.separation import Separation
from parachute_hub.problems.checks.vaults import LeavingVaults, QuotaRoom
from parachute_hub.problems.facts import ModuleFacts, Part
from parachute_hub.problems.memory import ProblemsFile
from parachute_hub.problems.service import RESTING_SECONDS, TICK_SECONDS, Problems
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.root import MountedArea, later
from parachute_hub.store.audit import Audit
from parachute_hub.store.clients import Clients
from parachute_hub.store.database import Database
from parachute_hub.system.doer import Done
from parachute_hub.system.loading import lazily
from parachute_hub.system.records import define, frozen

with lazily():
    from parachute_hub.admin import problems_api

_DAY = 86400.0
_MEASURED_FOR = 300.0
_log = Logger()
_FACTS_KEPT = 0.5
# A token for less than this is renewed as a matter of course.
_LONG_LIVED = 14 * _DAY


@frozen
class ProblemRoom:
    """What the rest of the hub uses of the problems. `timer` starts the checks."""

    problems: Problems
    _core: ProcessContext

    def timer(self) -> LoopingCall:
        """Look every second which checks are due."""
        return self._core.rest.every(TICK_SECONDS, RESTING_SECONDS, self.problems.tick, "Looking for problems")

    def parts(self, who: Authenticator, done: Done) -> list[MountedArea]:
        """The API."""
        return [
            later(
                ("/api/problems",),
                problems_api,
                lambda: problems_api.ProblemsApi(who=who, problems=self.problems, done=done).app,
            )
        ]


def build_problems(
    core: ProcessContext,
    engine: ModuleRuntime,
    *,
    backups: Backups,
    notices: Notices,
    database: Database,
    oauth: OAuth,
    origin: HubOrigin,
    configuration: Configuration,
    vaults: VaultCare,
    reach: ReachRoom,
) -> ProblemRoom:
    """Create the checks and the list."""
    modules = _ModuleFacts(engine, core.reactor.seconds)
    reports = Reports(clock=core.reactor.seconds)

    def heard(numbered: NumberedEvent) -> None:
        match numbered.event:
            case Notice(_, text, _):
                reports.report(text)
            case ModuleChanged() | RegistryChanged() | JobChanged():
                modules.forget()

    engine.bus.subscribe(heard, since=0)
    checks: list[Check] = [
        *_of_modules(engine, modules, configuration),
        *_of_machine(core, engine, modules, database, vaults),
        LeavingVaults(leaving=vaults.leaving),
        QuotaRoom(rooms=vaults.room.rooms),
        *_of_address(core, origin, reach),
        OpenWay(facts=reach.facts),
        *_of_access(core, database, oauth),
        BackupTrouble(problems=backups.problems),
        NoticeTrouble(failures=notices.failures),
        DatabaseTrouble(trouble=database.trouble),
        FailedOperations(jobs=engine.modules.jobs.all, failed_since=lambda: time.time() - _DAY, modules=modules.all),
        reports,
    ]
    problems = Problems(
        checks=checks,
        file=ProblemsFile(core.settings.home / "hub" / "problems.json"),
        bus=engine.bus,
        clock=core.reactor,
        now=time.time,
        in_thread=engine.modules.files.outside.in_thread,
    )
    return ProblemRoom(problems, core)


def _of_modules(engine: ModuleRuntime, modules: "_ModuleFacts", configuration: Configuration) -> list[Check]:
    directory, jobs = engine.modules.files.directory, engine.modules.jobs

    def unknown() -> list[str]:
        found = [directory.short_of(row.name) for row in directory.strangers()]
        return [short for short in found if jobs.active(short) is None]

    return [
        Crashing(modules=modules.all),
        OtherMachines(modules=modules.all),
        Ports(modules=modules.all),
        FailedParts(modules=modules.all),
        SelfReports(modules=modules.all),
        Incomplete(modules=modules.all),
        Unconfigured(modules=modules.all, missing=configuration.missing),
        Separation(machine=engine.modules.files.fence.machine, modules=modules.all),
        Updates(modules=modules.all),
        WithdrawnVersions(modules=modules.all),
        UnusableRows(problems=lambda: [str(problem) for problem in directory.services.read().problems]),
        UnknownModules(unknown=unknown),
    ]


def _of_machine(
    core: ProcessContext, engine: ModuleRuntime, modules: "_ModuleFacts", database: Database, vaults: VaultCare
) -> list[Check]:
    disk, registry = engine.modules.disk, _Registry(engine, Audit(database))
    hub, home = engine.modules.files.outside.catalog.hub, core.settings.home

    def minutes(short: str) -> Sequence[int]:
        history = engine.supervisor.memory(short)
        return history.minutes if history is not None else ()

    def memory() -> tuple[int | None, int | None]:
        container = engine.supervisor.container()
        return container.used, container.limit

    return [
        DiskSpace(
            space=lambda: (disk.free_bytes(), disk.total_bytes()),
            largest=_Largest(engine, modules, vaults.room).told,
            vaults=vaults.room.largest,
        ),
        DiskWrites(state=lambda: core.phase.disk()),
        MemoryTight(memory=memory),
        NoRoomToWake(modules=modules.all, refused=lambda: engine.sleeper.refused),
        GrowingMemory(modules=modules.all, minutes=minutes),
        ClockWrong(offsets=registry.offsets),
        BunMissing(lacks=lambda: lacking(engine.modules.files.outside.find_bun)),
        RegistryUnreachable(ask=registry.ask),
        HubUpdate(
            version=__version__,
            newer=lambda: hub if is_newer(hub, __version__) else None,
            how=how_to_update(core.settings.platform, Path("/.dockerenv").exists() or home == Path("/parachute")),
        ),
    ]


def _of_address(core: ProcessContext, origin: HubOrigin, reach: ReachRoom) -> list[Check]:
    def public() -> str | None:
        return None if origin.source() == "none" or origin.issuer() in core.settings.local_origins else origin.issuer()

    return [
        PublicAddress(origin=public, ask=reach.probe),
        PlainHttp(origin=public),
        StartWarnings(warnings=core.settings.warnings),
    ]


def _of_access(core: ProcessContext, database: Database, oauth: OAuth) -> list[Check]:
    home, started = core.settings.home, time.time()

    def expiring() -> list[ExpiringToken]:
        now = time.time()
        found = oauth.tokens.expiring(now, now + EXPIRES_DAYS * _DAY, _LONG_LIVED)
        return [ExpiringToken(token_id=one.jti, days=(one.expires_at - now) / _DAY) for one in found]

    def signs() -> list[str]:
        return other_hub(home, started, time.time(), oauth.operator.is_foreign())

    return [
        WaitingApps(waiting=Clients(database).count_waiting),
        ExpiringTokens(expiring=expiring),
        OpenFiles(loose=partial(open_files, home)),
        OtherHub(signs=signs),
    ]


def lacking(find_bun: Callable[[], Path]) -> str | None:
    """Why there is no bun, and what to do; None if there is."""
    try:
        find_bun()
    except NoBun as error:
        return str(error)
    return None


def open_files(home: Path) -> list[tuple[str, str]]:
    """Which of the hub's files others can read, and the command that closes each."""
    found = []
    for name, path, mode in (("The hub's folder", home, "700"), ("operator.token", home / "operator.token", "600")):
        try:
            loose = bool(path.stat().st_mode & 0o077)
        except OSError:
            continue
        if loose:
            found.append((name, f"chmod {mode} {path}"))
    return found


def other_hub(home: Path, started: float, now: float, foreign_token: bool) -> list[str]:
    """Signs of a hub of another kind on this home: what it wrote since `started`, in the last hour."""
    signs = []
    try:
        written = (home / "hub.db").stat().st_mtime
    except OSError:
        written = 0.0
    if written > max(started, now - 3600):
        signs.append("An older hub writes its database (hub.db) here.")
    if foreign_token:
        signs.append("Another program replaced operator.token, so the parachute command is refused.")
    return signs


@define
class _Largest:
    """What takes the most room on the disk: measured in a thread, at most every five minutes, for the next look."""

    _engine: ModuleRuntime
    _modules: "_ModuleFacts"
    _room: MeasuredRoom
    _found: list[tuple[str, int]] = field(factory=list, init=False)
    _next: float = field(default=0.0, init=False)

    def told(self) -> Sequence[tuple[str, int]]:
        now = self._engine.modules.files.outside.reactor.seconds()
        if now >= self._next:
            self._next = now + _MEASURED_FOR
            Deferred.fromCoroutine(self._measure()).addErrback(lambda failure: _log.failure("Measuring", failure))
        return self._found

    async def _measure(self) -> None:
        files = self._engine.modules.files
        await self._room.measure()
        owners = await files.outside.in_thread(self._engine.modules.disk.owners, files.directory.shorts())
        self._found = largest_owners(owners, {one.short: one.name for one in self._modules.all()})


@define
class _Registry:
    """The package registry, and how far its clock is from ours."""

    _engine: ModuleRuntime
    _audit: Audit
    _offset: float | None = field(default=None, init=False)

    async def ask(self) -> str | None:
        """Why the registry cannot be used, None if it can; renews what is known of newer versions."""
        modules = self._engine.modules
        try:
            self._offset = await modules.registry.offset()
        except BunFailed as error:
            return str(error)
        directory = modules.files.directory
        packages = [directory.package_of(one) for one in directory.shorts() if not directory.records.get(one).linked]
        await modules.availability.renew([package for package in packages if package is not None])
        return None

    def offsets(self) -> Mapping[str, float]:
        """How far our clock is ahead of the registry's, and behind what this hub has already recorded."""
        offsets = {} if self._offset is None else {"the package registry": self._offset}
        newest = max((act.at for _, act in self._audit.latest(limit=1)), default=0.0)
        if newest > time.time():
            offsets["this hub's own records"] = time.time() - newest
        return offsets


@define
class _ModuleFacts:
    """The installed modules. Checks that look in the same moment share one answer."""

    _engine: ModuleRuntime
    _clock: Callable[[], float]
    _at: float = field(default=-1.0, init=False)
    _told: Sequence[ModuleFacts] = field(default=(), init=False)

    def forget(self) -> None:
        """Something changed."""
        self._at = -1.0

    def all(self) -> Sequence[ModuleFacts]:
        """At most half a second old, and from after the latest change."""
        if self._at < 0 or self._clock() - self._at > _FACTS_KEPT:
            self._told = [_facts(self._engine, short) for short in self._engine.modules.files.directory.shorts()]
            self._at = self._clock()
        return self._told


def _facts(engine: ModuleRuntime, short: str) -> ModuleFacts:
    modules = engine.modules
    directory = modules.files.directory
    row, entry, record = directory.row(short), directory.entry(short), directory.records.get(short)
    manifest, package = directory.manifest(short), directory.package_of(short)
    names = (manifest and manifest.display_name, row and row.display_name, entry and entry.display_name)
    version = row.version if row else None
    latest = modules.availability.known(package, modules.files.channel()) if package and not record.linked else None
    previous = record.previous and record.previous.partition("~")[0]
    withdrawn = partial(directory.catalog.withdrawn, package or short)
    return ModuleFacts(
        short=short,
        name=next((name for name in names if name), short),
        status=engine.supervisor.status(short),
        drift=modules.ports.kind(short),
        parts=tuple(Part(unit.slug, unit.display_name or unit.slug, unit.status) for unit in row.uis) if row else (),
        vaults=len(directory.mounts(row)[0]) if row is not None and row.is_vault else None,
        version=version,
        newer=latest if not record.pin and is_newer(latest, version) else None,
        missing=row is not None and directory.folder(short) is None,
        busy=modules.jobs.active(short) is not None,
        withdrawn=withdrawn(version) if version else None,
        previous=previous if previous and not withdrawn(previous) else None,
    )
