"""Installs a module: fetch, verify, activate, register, start, and wait until healthy. On failure everything is
undone.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from attrs import Factory, evolve, field
from twisted.internet.defer import Deferred

from parachute_hub.jobs.model import Job, Undo
from parachute_hub.jobs.runner import JobFailed, Jobs, Work
from parachute_hub.modules.definition import manifests, mounts, ports
from parachute_hub.modules.definition.manifests import Package
from parachute_hub.modules.definition.model import UNPROVEN, Manifest, ServiceRow
from parachute_hub.modules.definition.permissions import Permissions
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.modules.operations.agreement import agree, agree_to_init
from parachute_hub.modules.operations.first_start import FirstStart
from parachute_hub.modules.operations.health_gate import HealthGate, SupervisorApi
from parachute_hub.modules.packages.fetcher import FetchedModule, Fetcher, FetchRequest
from parachute_hub.modules.packages.updates import Availability
from parachute_hub.modules.state.directory import ModuleDirectory, effective
from parachute_hub.modules.state.records import RecordsRefused
from parachute_hub.modules.state.services_file import Registry, RegistryRefused, ServicesFile
from parachute_hub.modules.state.store import BadPackage, Store
from parachute_hub.supervise.model import ModuleState
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.records import frozen

READY_SECONDS = 120.0
# Modules that start at the same moment may overwrite a new row.
_TRIES = 4


class Wires(Protocol):
    """Connects modules that use each other."""

    async def connect(self, supervisor: SupervisorApi, work: Work | None = None) -> None:
        """Update the files of installed modules and restart those that must read them again."""


@frozen(kw_only=True)
class InstallRequest:
    """What to install.

    `version` is a version or tag; without one, the newest of `channel` is installed. `source` is a local tarball,
    `folder` a local module folder. `env` is stored for the module; `vault` names the first vault. `granted` are the
    permissions that the owner has agreed to, if they were asked for more than usual. `init` is whether the package may
    run its `init.command`; None means that the owner was not asked. `integrity` is the hash that the package must have.
    `only` means that the package must be the module `short`, and not one of another name.
    """

    short: str
    package: str | None = None
    version: str | None = None
    channel: str = "latest"
    source: Path | None = None
    folder: Path | None = None
    env: Mapping[str, str] = field(factory=dict)
    vault: str | None = None
    allow_new: bool = False
    without_optional: bool = False
    granted: Permissions | None = None
    init: bool | None = None
    integrity: str | None = None
    only: bool = False

    def params(self) -> dict[str, Any]:
        """What identifies the request. Environment values are left out because they may be secret."""
        return {
            "package": self.package,
            "version": self.version or self.channel,
            "source": str(self.source) if self.source else None,
            "folder": str(self.folder) if self.folder else None,
            "vault": self.vault,
            "granted": self.granted.to_json() if self.granted else None,
            "init": self.init,
            "allow_new": self.allow_new,
            "without_optional": self.without_optional,
        }

    def repeated(self) -> dict[str, Any]:
        """The package, and the body that would ask for the same again: what a page adds the owner's next choice to."""
        chosen = {
            "version": self.version,
            "first_vault": self.vault,
            "allow_new": self.allow_new or None,
            "without_optional": self.without_optional or None,
            "permissions": self.granted.to_json() if self.granted else None,
            "init": self.init,
        }
        spec = f"{self.package}@{self.version}" if self.version else self.package
        return {"package": spec, "chosen": {name: value for name, value in chosen.items() if value is not None}}


@frozen(kw_only=True)
class Installer:
    """Installs modules. `port_busy` tells whether a local port is in use.

    `free_memory` is in bytes, None if unlimited. `separates` tells whether modules are confined on this machine.
    """

    jobs: Jobs
    directory: ModuleDirectory
    files: FileWriter = Factory(FileWriter)
    fetcher: Fetcher
    prover: HealthGate
    supervisor: SupervisorApi
    wiring: Wires
    availability: Availability
    port_busy: Callable[[int], bool]
    hub_ports: Iterable[int]
    free_memory: Callable[[], int | None]
    first_start: FirstStart
    separates: Callable[[], bool] = lambda: False

    def install(self, request: InstallRequest) -> Job:
        """Start the job; an identical running job is returned instead. Raises Refused 409 if the module is busy."""
        return self.jobs.start("install", request.short, request.params(), lambda work: self._told(work, request))

    async def _told(self, work: Work, request: InstallRequest) -> None:
        try:
            await self._install(work, request)
        except JobFailed as failed:
            if failed.detail is not None:
                failed.detail |= request.repeated()
            raise

    async def _install(self, work: Work, request: InstallRequest) -> None:
        work.step("check")
        if self._is_running(request):
            work.line(f"{request.short} is already installed and running.")
            return
        self._need_memory(request.short)
        if request.package is None or self.directory.catalog.offers(request.package) is None:
            work.line("This package is not in the catalog.")
        if not self.separates():
            work.line("Modules are not separated here: it can read and change everything on this hub.")
        if request.folder is not None:
            arrival = self._linked(request, request.folder)
            work.rename(arrival.short)
            self._agree_to_init(request, arrival)
            await work.undo_all(*self._undos(arrival))
            placed = None
        else:
            version = request.version or await self._newest(request)
            order = FetchRequest(
                short=request.short,
                package=request.package,
                version=version,
                source=request.source,
                allow_new=request.allow_new,
                integrity=request.integrity,
                without_optional=request.without_optional or self.directory.records.get(request.short).without_optional,
            )
            arrival = await self.fetcher.fetch(work, order)
            if request.only and arrival.short != request.short:
                raise JobFailed(f"{request.package} is the module {arrival.short}, not {request.short}.")
            self._agree(request, arrival)
            self._agree_to_init(request, arrival)
            placed = await self.fetcher.place(work, arrival, *self._undos(arrival))
        work.step("register")
        known = self.directory.row(arrival.short) is not None
        row = await self._register(work, request, arrival, placed)
        if not known:
            words = arrival.manifest.init if arrival.manifest and request.init else None
            await self.first_start.prepare(work, arrival.short, self.directory.vouched(arrival.short), words)
        work.step("start")
        settled = Deferred.fromCoroutine(self.fetcher.settle())  # in parallel with the start, which takes longer
        # Modules end with the hub, so this undo need not be persisted.
        work.undo_here("stop" if known else "remove", short=arrival.short)
        await self._prove(work, arrival.short, row)
        work.step("finish")
        await work.whole(settled)
        await settle_row(
            self.directory.services, row.name, arrival.package, str(self.directory.store.link(arrival.package.name))
        )
        await work.commit()
        keep = {
            placed,
            self.directory.records.get(arrival.short).previous,
            *stamped_versions(self.directory.services.read(), self.directory.store),
        }
        await self.fetcher.in_thread(self.directory.store.prune, arrival.short, keep)
        await self.wiring.connect(self.supervisor, work)
        work.line(f"{arrival.short} {arrival.package.version} is installed.")
        if arrival.manifest is not None:
            for line in _offers(arrival.manifest, self.directory.shorts()):
                work.line(line)

    def _agree(self, request: InstallRequest, arrival: FetchedModule) -> None:
        """Stop for the owner's consent if it requests more than was shown. Raises JobFailed."""
        vouched = arrival.entry if arrival.entry and arrival.entry.package == arrival.package.name else None
        asked = effective(arrival.manifest, vouched)
        known = self.directory.row(arrival.short) is not None
        usual = self.directory.permissions(arrival.short) if known else effective(None, vouched)
        agree(arrival.short, arrival.package.name, asked, request.granted or usual)

    def _agree_to_init(self, request: InstallRequest, arrival: FetchedModule) -> None:
        """Stop for the owner's decision on its `init.command`. Raises JobFailed."""
        words = arrival.manifest.init if arrival.manifest else None
        if words and self.directory.row(arrival.short) is None:
            agree_to_init(arrival.short, words, request.init)

    async def _prove(self, work: Work, short: str, row: ServiceRow) -> None:
        """Wait until it is healthy. Rewrite a new row that another module overwrote, since the file has no lock."""
        for tries_left in reversed(range(_TRIES)):
            try:
                return await self.prover.prove(work, short, READY_SECONDS, 0.0)
            except JobFailed:
                if not tries_left or self.directory.services.read().row(row.name) is not None:
                    raise
            work.line(f"Another module overwrote the row of {short} in services.json. Writing it again.")
            try:
                await self.directory.services.update(lambda registry: registry.with_row(row))
            except RegistryRefused as error:
                raise JobFailed(str(error)) from None

    def _is_running(self, request: InstallRequest) -> bool:
        status = self.supervisor.status(request.short)
        running = status is not None and status.state in (ModuleState.READY, ModuleState.DEGRADED)
        again = request.folder or request.source or request.version
        return running and self.directory.row(request.short) is not None and not again

    def _need_memory(self, short: str) -> None:
        """A new module must fit into free memory, if the catalog knows its size."""
        entry, free = self.directory.entry(short), self.free_memory()
        needed = entry.memory_mb if entry and self.directory.row(short) is None else None
        if needed is not None and free is not None and free < needed << 20:
            raise JobFailed(
                f"{short} needs about {needed} MiB of memory and {free >> 20} MiB are free. "
                "Stop or remove a module, or give the hub more memory, then try again.",
                {"error_type": "memory", "needed_bytes": needed << 20, "free_bytes": free},
            )

    async def _newest(self, request: InstallRequest) -> str | None:
        """The version the channel offers. Every package has `latest`; another channel may be behind it."""
        if request.package is None or request.source is not None or request.channel == "latest":
            return None
        return await self.availability.ask(request.package, request.channel)

    def _linked(self, request: InstallRequest, folder: Path) -> FetchedModule:
        """A module run from its own folder. Raises JobFailed."""
        try:
            package, manifest = manifests.read_package(folder), manifests.read_manifest(folder)
        except Invalid as error:
            raise JobFailed(f"{folder} cannot be used: {error}.") from None
        if package is None or manifest is None:
            raise JobFailed(f"{folder} is not a module: it needs a package.json and a .parachute/module.json.")
        entry = self.directory.entry(manifest.name)
        try:
            for path in mounts.claims(manifest.paths):
                mounts.check(path, manifest.name, entry.mounts if entry else ())
        except mounts.BadMount as error:
            raise JobFailed(str(error)) from None
        return FetchedModule(
            short=manifest.name, incoming=folder, folder=folder, package=package, manifest=manifest, entry=entry
        )

    def _undos(self, arrival: FetchedModule) -> tuple[Undo, ...]:
        """The undos that restore the current state."""
        short, package = arrival.short, arrival.package.name
        record = self.directory.records.get(short) if self.directory.records.known(short) else None
        before = self.directory.services.read().row(arrival.row_name)
        start = Undo("start", "", {"short": short}, live=True)
        active = {
            "short": short,
            "package": package,
            "folder": self.directory.store.active(short, package),
            "linked": record.linked if record else None,
        }
        return (
            *((start,) if before is not None and self.directory.records.wanted(short) else ()),
            Undo("record", "", {"short": short, "record": record.to_json() if record else None}),
            Undo("row", "", {"name": arrival.row_name, "row": before.to_json() if before else None}),
            Undo("activate", "", active),
        )

    async def _register(
        self, work: Work, request: InstallRequest, arrival: FetchedModule, placed: str | None
    ) -> ServiceRow:
        """Activate the version and return its row. Raises JobFailed."""
        short, package = arrival.short, arrival.package.name
        record, new = self.directory.records.get(short), not self.directory.records.known(short)
        before = self.directory.services.read().row(arrival.row_name)
        try:
            if placed is None:
                await self.files(self.directory.store.link_folder, package, arrival.folder)
            else:
                await self.files(self.directory.store.activate, short, package, placed)
            row = self._row(work, request, arrival, before)
            self.directory.records.reserve(short, row.port)
            await self.directory.services.update(lambda registry: registry.with_row(row))
            await self.directory.records.change(
                short,
                package=package,
                row=arrival.row_name,
                port=row.port,
                linked=str(arrival.folder) if placed is None else None,
                isolation=record.isolation or ("on" if new and self.separates() else None),
                env={**(record.env or {}), **request.env, **_first_vault(request)} or None,
                without_optional=request.without_optional or record.without_optional,
                wanted=True,
            )
        except (BadPackage, RegistryRefused, RecordsRefused, ports.NoPort) as error:
            raise JobFailed(str(error)) from None
        finally:
            self.directory.records.release(short)
        return row

    def _row(
        self, work: Work, request: InstallRequest, arrival: FetchedModule, before: ServiceRow | None
    ) -> ServiceRow:
        """The initial row. A port that the module already has is kept."""
        link = str(self.directory.store.link(arrival.package.name))
        port = self.directory.records.get(arrival.short).port or self._free_port(work, arrival)
        if before is not None:
            return before.with_fields(port=port, install_dir=link, last_start_error=None)
        paths = (f"/vault/{request.vault}",) if request.vault and arrival.short == "vault" else None
        return evolve(arrival.row(port, paths), version=UNPROVEN, install_dir=link)

    def _free_port(self, work: Work, arrival: FetchedModule) -> int:
        told, known = arrival.manifest, arrival.entry
        wanted = known.port if known and known.port else told.port if told else None
        if known is not None and known.ignores_port:
            if wanted in self.directory.ports():
                raise JobFailed(f"{arrival.short} always listens on port {wanted}, which another module has.")
            return wanted or 0
        taken = {*self.directory.ports(), *(row.port for row in self.directory.services.read().rows), *self.hub_ports}
        choice = ports.choose(wanted, taken, self.port_busy)
        if choice.note:
            work.line(choice.note)
        return choice.port


async def settle_row(services: ServicesFile, name: str, package: Package, link: str) -> None:
    """After the health gate: set the row's version, whether or not the module wrote the row itself."""

    def settled(registry: Registry) -> Registry:
        row = registry.row(name)
        if row is None:
            return registry
        stamped = row.install_dir or link
        return registry.with_row(row.with_fields(version=package.version, install_dir=stamped, last_start_error=None))

    try:
        await services.update(settled)
    except RegistryRefused as error:
        raise JobFailed(str(error)) from None


def stamped_versions(registry: Registry, store: Store) -> set[str]:
    """Folders of the store named by some row's `installDir`, where modules write their real path."""
    root = (store.root / "store").resolve()
    found: set[str] = set()
    for row in registry.rows:
        if row.install_dir and Path(row.install_dir).is_relative_to(root):
            # Expected is <short>/<version>/..., but a module may write a shorter path.
            found.update(Path(row.install_dir).relative_to(root).parts[1:2])
    return found


def _offers(manifest: Manifest, installed: Iterable[str]) -> Iterator[str]:
    """Messages about missing modules that this one needs or can use."""
    present = set(installed)
    for wanted in manifest.dependencies:
        if wanted.short in present:
            continue
        if wanted.optional:
            yield f"{manifest.name} can make use of {wanted.short}. Install {wanted.short} as well if you want that."
        else:
            yield f"{manifest.name} needs {wanted.short}, which is not installed. Install {wanted.short} now."


def _first_vault(request: InstallRequest) -> dict[str, str]:
    return {"PARACHUTE_VAULT_NAME": request.vault} if request.vault else {}
