"""Creates the module services: first what the supervisor needs, then what needs the supervisor."""

import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

from attrs import Factory
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from parachute_hub.confinement.gateway import Gateway
from parachute_hub.confinement.rules import Confines
from parachute_hub.events import Event, Notice, RegistryChanged
from parachute_hub.jobs.model import Job
from parachute_hub.jobs.runner import Jobs
from parachute_hub.modules.definition.catalog import Catalog
from parachute_hub.modules.launch import environment
from parachute_hub.modules.launch.environment import BaseEnvironment
from parachute_hub.modules.launch.fence import ModuleFence
from parachute_hub.modules.launch.launcher import ModuleLauncher
from parachute_hub.modules.launch.vault_scribe import Wiring
from parachute_hub.modules.launch.views import Views
from parachute_hub.modules.operations.clear_space import clear_space
from parachute_hub.modules.operations.compensation import UndoHandlers
from parachute_hub.modules.operations.first_start import first_start
from parachute_hub.modules.operations.health_gate import HealthGate, SupervisorApi
from parachute_hub.modules.operations.install import Installer
from parachute_hub.modules.operations.restore_part import DataRestorer
from parachute_hub.modules.operations.uninstall import Remover
from parachute_hub.modules.operations.upgrade import GATE_SECONDS, SETTLE_SECONDS, Upgrader
from parachute_hub.modules.packages.bun import LIMIT_SECONDS, STALL_SECONDS, Bun
from parachute_hub.modules.packages.fetcher import Fetcher
from parachute_hub.modules.packages.installer_fence import InstallerFence
from parachute_hub.modules.packages.reach import Reach
from parachute_hub.modules.packages.registry import PackageRegistry
from parachute_hub.modules.packages.room import DiskRoom
from parachute_hub.modules.packages.updates import Availability
from parachute_hub.modules.reconcile.adoption import Adoption
from parachute_hub.modules.reconcile.backup_copy import ServicesBackup
from parachute_hub.modules.reconcile.linked_folders import LinkedFolders
from parachute_hub.modules.reconcile.port_repair import PortHealer
from parachute_hub.modules.reconcile.row_guard import RowKeeper
from parachute_hub.modules.reconcile.start_errors import StartErrors
from parachute_hub.modules.state.data_swap import DataSwap
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.modules.state.disk_space import Disk, Reserve
from parachute_hub.modules.state.local_ports import LocalPorts
from parachute_hub.modules.state.records import RecordsFile
from parachute_hub.modules.state.services_file import ServicesFile
from parachute_hub.modules.state.snapshots import Snapshots
from parachute_hub.modules.state.store import Store
from parachute_hub.system.atomic_files import sweep_temporaries
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.records import frozen
from parachute_hub.system.timers import Rest, in_turn

WATCH_SECONDS = 1.0
RESERVE_SECONDS = 10.0
RESTING_SECONDS = 30.0  # While nobody uses the hub.
_log = Logger()

FETCHING = frozenset({"install", "upgrade"})
"""Kinds of jobs that fetch packages."""


@frozen(kw_only=True)
class ModuleDependencies:
    """What modules/ needs from the rest of the hub.

    `find_bun` raises NoBun. `now` is in epoch seconds; `new_id` creates job ids. `in_thread` runs blocking calls,
    `files` those that write state, in order. `know_secret` adds a value to the log mask. `hub_port` is never assigned
    to a module; only `module_ports` are, unless it is None. `env_channel` is the release channel of the environment,
    `landlock` the ABI version of Landlock, 0 if there is none; `isolation` says whether modules are confined, with
    `confiner`. `gateway` lets modules reach named hosts. The other fields are limits in seconds.
    """

    reactor: Any
    around: BaseEnvironment
    catalog: Catalog
    find_bun: Callable[[], Path]
    emit: Callable[[Event], None]
    mask: Callable[[str], str]
    know_secret: Callable[[str], None]
    now: Callable[[], float]
    new_id: Callable[[], str]
    in_thread: Callable[..., Awaitable[Any]]
    files: FileWriter
    hub_port: int
    module_ports: range | None = None
    env_channel: str | None = None
    isolation: Literal["auto", "required", "off"] = "off"
    landlock: int = 0
    confiner: Confines | None = None
    gateway: Gateway | None = None
    stall_seconds: int = STALL_SECONDS
    limit_seconds: float = LIMIT_SECONDS
    gate_seconds: float = GATE_SECONDS
    settle_seconds: float = SETTLE_SECONDS
    rest: Rest = Factory(lambda self: Rest(self.reactor), takes_self=True)


@frozen(kw_only=True)
class ModuleFiles:
    """On-disk state and launching. `records` serves as the supervisor's Desired, `launcher` as its Launcher."""

    outside: ModuleDependencies
    reserve: Reserve
    directory: ModuleDirectory
    wiring: Wiring
    launcher: ModuleLauncher
    fence: ModuleFence

    def channel(self) -> str:
        """The release channel: from the environment, else the owner's choice, else stable."""
        return self.outside.env_channel or self.directory.records.channel or "latest"

    def to_start(self) -> tuple[str, ...]:
        """The modules to start with the hub."""
        return tuple(short for short in self.directory.shorts() if self.directory.records.get(short).autostart)


@frozen(kw_only=True)
class ModuleServices:
    """All module services, for the rest of the hub."""

    files: ModuleFiles
    jobs: Jobs
    bun: Bun
    installer: Installer
    upgrader: Upgrader
    data_restorer: DataRestorer
    remover: Remover
    availability: Availability
    registry: PackageRegistry
    snapshots: Snapshots
    disk: Disk
    reserve: Reserve
    linked: LinkedFolders
    rowkeeper: RowKeeper
    last_good: ServicesBackup
    adoption: Adoption
    start_errors: StartErrors
    ports: PortHealer

    async def recover(self) -> list[Job]:
        """At boot, before modules start: undo interrupted jobs, clean up, repair the wiring. Never raises.

        The steps are independent, so that one module's leftovers cannot keep the hub from starting.
        """
        home, store = self.files.outside.around.home, self.files.directory.store
        await self._order("services.json", self.last_good.mend)
        interrupted: list[Job] = []
        try:
            interrupted = await self.jobs.recover(self._distrust)
        except Exception as error:
            self._disorder("interrupted operations", error)
        await self._order("the modules of an older hub", self.adoption.count)
        write = self.files.outside.files
        await self._order("temporary files", partial(write, self._sweep_temporaries, home))
        if not self.jobs.unsettled():
            for what, sweep in (
                ("packages", store.sweep),
                ("data snapshots", self.snapshots.sweep),
                ("the folder for temporary files", self.disk.clear_scratch),
            ):
                await self._order(what, partial(write.surely, sweep))
        await self._order("the connection between vault and scribe", self.files.wiring.heal)
        return interrupted

    def _sweep_temporaries(self, home: Path) -> None:
        shorts = self.files.directory.shorts()
        for folder in (home, home / "hub", home / "hub" / "jobs", *map(home.joinpath, shorts)):
            sweep_temporaries(folder)

    async def _order(self, what: str, step: Callable[[], Awaitable[object]]) -> None:
        try:
            await step()
        except Exception as error:
            self._disorder(what, error)

    def _disorder(self, what: str, error: Exception) -> None:
        if not isinstance(error, OSError | ValueError):
            _log.failure("Recovery step failed: {what}", what=what)
        _notice(self.files.outside.emit, f"Part of the recovery at startup failed ({what}): {error}")

    async def _distrust(self, interrupted: Sequence[Job]) -> None:
        """Before jobs are undone: sync, and drop bun's cache, whose last entry a power loss may have truncated."""
        if interrupted:
            await self.files.outside.in_thread(os.sync)
        if any(job.kind in FETCHING for job in interrupted):
            await self.files.outside.in_thread(self.disk.clear_cache)

    def clear(self) -> int:
        """Free disk space. Returns the bytes freed. Blocks."""
        return clear_space(self.files.directory, self.jobs, self.disk)

    def watch(self) -> tuple[LoopingCall, ...]:
        """Start the periodic checks of services.json, linked folders and the disk reserve."""
        rest = self.files.outside.rest
        watch = in_turn(
            ("Reading what modules say of themselves", self.files.fence.views.collect_all),
            ("Keeping rows of running modules", self.rowkeeper.look),
            ("Copying services.json", self.last_good.look),
            ("Recording start errors", self.start_errors.look),
            ("Watching linked folders", self.linked.look),
        )
        keep = in_turn(
            ("Keeping the disk reserve", partial(self.files.outside.in_thread, self.reserve.check)),
            ("Retrying failed undos", self.jobs.undo_left),
        )
        return (
            rest.every(WATCH_SECONDS, RESTING_SECONDS, watch, "Watching files of modules"),
            rest.every(RESERVE_SECONDS, 3 * RESERVE_SECONDS, keep, "Keeping room on the disk"),
        )


def files(outside: ModuleDependencies) -> ModuleFiles:
    """Create the first half. Reads `<home>/hub/modules.json`; starts nothing."""
    home = outside.around.home
    problem = partial(_notice, outside.emit)
    # It may be released by any thread that writes.
    reserve = Reserve(Disk(home), lambda text: outside.files.answer(partial(problem, text)))
    changed = partial(outside.emit, RegistryChanged())
    writing: dict[str, Any] = {"files": outside.files, "write": reserve.write}
    services = ServicesFile(home / "services.json", on_problem=problem, on_change=changed, **writing)
    records = RecordsFile(home / "hub" / "modules.json", on_problem=problem, on_change=changed, **writing)
    older = outside.around.user_home / ".bun" / "install" / "global" / "node_modules"
    store = Store(outside.around.modules, (older,))
    directory = ModuleDirectory(services=services, records=records, catalog=outside.catalog, store=store)
    wiring = Wiring(home=home, directory=directory, files=outside.files, know_secret=outside.know_secret)
    views = Views(home=home, directory=directory, files=outside.files)
    fence = ModuleFence(
        mode=outside.isolation,
        abi=outside.landlock,
        hub_port=outside.hub_port,
        directory=directory,
        views=views,
        notice=problem,
        user_home=outside.around.user_home,
        gateway=outside.gateway,
    )
    launcher = ModuleLauncher(
        directory=directory,
        files=outside.files,
        around=outside.around,
        find_bun=outside.find_bun,
        guard=wiring,
        fence=fence,
    )
    return ModuleFiles(
        outside=outside,
        reserve=reserve,
        directory=directory,
        wiring=wiring,
        launcher=launcher,
        fence=fence,
    )


def assemble(
    on_disk: ModuleFiles, supervisor: SupervisorApi, *, free_memory: Callable[[], int | None]
) -> ModuleServices:
    """Create the second half, which needs the supervisor. `free_memory` is in bytes, None if unlimited."""
    outside, home = on_disk.outside, on_disk.outside.around.home
    disk = Disk(home)
    snapshots = Snapshots(home=home, folder=home / "hub" / "snapshots", free_bytes=disk.free_bytes)
    swap = DataSwap(home=home, folder=snapshots.folder)
    undoing = UndoHandlers(
        directory=on_disk.directory,
        snapshots=snapshots,
        swap=swap,
        supervisor=supervisor,
        files=outside.files,
        in_thread=outside.in_thread,
    )
    jobs = Jobs(
        folder=home / "hub" / "jobs",
        files=outside.files,
        write=on_disk.reserve.write,
        handlers=undoing.handlers(),
        emit=outside.emit,
        mask=outside.mask,
        now=outside.now,
        new_id=outside.new_id,
    )
    bun = Bun(
        outside.reactor,
        outside.find_bun,
        lambda folder: environment.for_installer(outside.around, folder, outside.stall_seconds),
        outside.mask,
        outside.limit_seconds,
        InstallerFence.of(outside.confiner, outside.around) if on_disk.fence.confines else None,
    )
    installer = outside.around.installer
    changed = partial(outside.emit, RegistryChanged())
    catalog, in_thread = outside.catalog, outside.in_thread
    availability = Availability(
        bun=bun, folder=installer, now=outside.now, in_thread=in_thread, catalog=catalog, changed=changed
    )
    registry = PackageRegistry(bun=bun, variables=outside.around.registry, folder=installer, now=outside.now)
    fetcher = Fetcher(
        bun=bun,
        store=on_disk.directory.store,
        catalog=outside.catalog,
        clock=outside.reactor,
        in_thread=outside.in_thread,
        free_bytes=disk.free_bytes,
        taken_by=lambda short: on_disk.directory.records.get(short).package,
        registry=registry,
        reach=Reach(reactor=outside.reactor, address=registry.address, variables=outside.around.passed_on).check,
        room=DiskRoom(
            bun=bun,
            free_bytes=disk.free_bytes,
            make_room=lambda: clear_space(on_disk.directory, jobs, disk),
            in_thread=outside.in_thread,
        ),
    )
    local_ports = LocalPorts(outside.module_ports)
    prover = HealthGate(supervisor=supervisor, clock=outside.reactor)
    directory, notice = on_disk.directory, partial(_notice, outside.emit)
    return ModuleServices(
        files=on_disk,
        jobs=jobs,
        bun=bun,
        installer=Installer(
            jobs=jobs,
            directory=on_disk.directory,
            files=outside.files,
            supervisor=supervisor,
            fetcher=fetcher,
            prover=prover,
            availability=availability,
            wiring=on_disk.wiring,
            port_busy=local_ports.busy,
            hub_ports=(outside.hub_port,),
            free_memory=free_memory,
            first_start=first_start(
                on_disk.launcher, outside.reactor, outside.confiner if on_disk.fence.confines else None
            ),
            separates=lambda: on_disk.fence.confines,
        ),
        upgrader=Upgrader(
            jobs=jobs,
            directory=on_disk.directory,
            files=outside.files,
            supervisor=supervisor,
            fetcher=fetcher,
            prover=prover,
            availability=availability,
            snapshots=snapshots,
            channel=on_disk.channel,
            gate=outside.gate_seconds,
            settle=outside.settle_seconds,
        ),
        data_restorer=DataRestorer(
            jobs=jobs,
            directory=on_disk.directory,
            supervisor=supervisor,
            prover=prover,
            swap=swap,
            in_thread=outside.in_thread,
            gate=outside.gate_seconds,
            settle=outside.settle_seconds,
        ),
        remover=Remover(
            jobs=jobs,
            directory=directory,
            files=outside.files,
            supervisor=supervisor,
            home=home,
            wiring=on_disk.wiring,
            in_thread=in_thread,
        ),
        availability=availability,
        registry=registry,
        snapshots=snapshots,
        disk=disk,
        reserve=on_disk.reserve,
        linked=LinkedFolders(directory=on_disk.directory, supervisor=supervisor, attend=outside.rest.attend),
        start_errors=StartErrors(directory=on_disk.directory, supervisor=supervisor, jobs=jobs),
        rowkeeper=RowKeeper(directory=directory, supervisor=supervisor, jobs=jobs, notice=notice),
        last_good=ServicesBackup(
            services=directory.services, files=outside.files, path=home / "hub" / "services.last.json", notice=notice
        ),
        adoption=Adoption(
            directory=on_disk.directory,
            files=outside.files,
            hub_ports=(outside.hub_port,),
            busy=local_ports.busy,
        ),
        ports=PortHealer(
            directory=on_disk.directory, supervisor=supervisor, hub_ports=(outside.hub_port,), busy=local_ports.busy
        ),
    )


def _notice(emit: Callable[[Event], None], text: str) -> None:
    emit(Notice("modules", text))
