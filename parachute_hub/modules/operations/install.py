"""Installing a module: fetch, verify, place, register, start, prove - or leave everything as it was."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from attrs import evolve, field, frozen
from twisted.internet.defer import Deferred

from parachute_hub.jobs.model import Job, Undo
from parachute_hub.jobs.runner import JobFailed, Jobs, Work
from parachute_hub.modules.definition import manifests, mounts, ports
from parachute_hub.modules.definition.manifests import Package
from parachute_hub.modules.definition.model import UNPROVEN, Manifest, Row
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.modules.operations.health_gate import Prover, Supervises
from parachute_hub.modules.packages.fetcher import Arrival, Fetcher, Order
from parachute_hub.modules.packages.updates import Availability
from parachute_hub.modules.state.directory import Directory
from parachute_hub.modules.state.records import RecordsFile, RecordsRefused
from parachute_hub.modules.state.services_file import Registry, RegistryRefused, ServicesFile
from parachute_hub.modules.state.store import BadPackage, Store
from parachute_hub.supervise.model import State

READY_SECONDS = 120.0
# A new row may be overwritten by modules that start at the same moment.
_TRIES = 4


class Wires(Protocol):
    """Connects modules that make use of each other."""

    async def connect(self, supervisor: Supervises, work: Work | None = None) -> None:
        """Make the files of installed modules name each other; restart whoever must read them again."""


@frozen(kw_only=True)
class InstallRequest:
    """What somebody asks for.

    `version` is a version or a tag that was asked for; without one the newest of `channel` is taken. `source` is a
    tarball and `folder` a module's folder, both on this machine. `env` is kept for the module; `vault` names the
    first vault.
    """

    short: str
    package: str | None = None
    version: str | None = None
    channel: str = "latest"
    source: Path | None = None
    folder: Path | None = None
    env: Mapping[str, str] = field(factory=dict)
    vault: str | None = None

    def params(self) -> dict[str, Any]:
        """What makes two requests the same one. Values of the environment are left out: they may be secret."""
        return {
            "package": self.package,
            "version": self.version or self.channel,
            "source": str(self.source) if self.source else None,
            "folder": str(self.folder) if self.folder else None,
            "vault": self.vault,
        }


@frozen(kw_only=True)
class Installer:
    """Puts modules onto the hub. `port_busy` tells whether something listens on a port of this machine.

    `free_memory` is in bytes, None where nothing limits it.
    """

    jobs: Jobs
    services: ServicesFile
    records: RecordsFile
    store: Store
    directory: Directory
    fetcher: Fetcher
    prover: Prover
    supervisor: Supervises
    wiring: Wires
    availability: Availability
    port_busy: Callable[[int], bool]
    hub_ports: Iterable[int]
    free_memory: Callable[[], int | None]

    def install(self, request: InstallRequest) -> Job:
        """Begin; the same request again is the same job. Raises Refused 409 when the module is busy."""
        return self.jobs.start("install", request.short, request.params(), lambda work: self._install(work, request))

    async def _install(self, work: Work, request: InstallRequest) -> None:
        work.step("check")
        if self._is_running(request):
            work.line(f"{request.short} is installed and runs already. Nothing was needed.")
            return
        self._need_memory(request.short)
        if request.package is None or self.directory.catalog.offers(request.package) is None:
            work.line("This package is not in the catalog. What it runs may read and change everything on this hub.")
        if request.folder is not None:
            arrival = self._linked(request, request.folder)
            work.rename(arrival.short)
            work.undo_all(*self._undos(arrival))
            placed = None
        else:
            version = request.version or await self._newest(request)
            order = Order(short=request.short, package=request.package, version=version, source=request.source)
            arrival = await self.fetcher.fetch(work, order)
            placed = await self.fetcher.place(work, arrival, *self._undos(arrival))
        work.step("register")
        known = self.directory.row(arrival.short) is not None
        row = self._register(work, request, arrival, placed)
        work.step("start")
        settled = Deferred.fromCoroutine(self.fetcher.settle())  # beside the start, which takes longer
        # Modules end with the hub, so the next boot need not know.
        work.undo("stop" if known else "remove", kept=False, short=arrival.short)
        await self._prove(work, arrival.short, row)
        work.step("finish")
        await work.whole(settled)
        settle_row(self.services, row.name, arrival.package, str(self.store.link(arrival.package.name)))
        work.commit()
        keep = {placed, self.records.get(arrival.short).previous, *stamped_versions(self.services.read(), self.store)}
        await self.fetcher.in_thread(self.store.prune, arrival.short, keep)
        await self.wiring.connect(self.supervisor, work)
        work.line(f"{arrival.short} {arrival.package.version} is installed.")
        if arrival.manifest is not None:
            for line in _offers(arrival.manifest, self.directory.shorts()):
                work.line(line)

    async def _prove(self, work: Work, short: str, row: Row) -> None:
        """It must answer. A new row that another module overwrote is written again: the file has no lock."""
        for tries_left in reversed(range(_TRIES)):
            try:
                return await self.prover.prove(work, short, READY_SECONDS, 0.0)
            except JobFailed:
                if not tries_left or self.services.read().row(row.name) is not None:
                    raise
            work.line(f"Another module overwrote the row of {short} in services.json; it is written again.")
            try:
                self.services.update(lambda registry: registry.with_row(row))
            except RegistryRefused as error:
                raise JobFailed(str(error)) from None

    def _is_running(self, request: InstallRequest) -> bool:
        status = self.supervisor.status(request.short)
        running = status is not None and status.state in (State.READY, State.DEGRADED)
        again = request.folder or request.source or request.version
        return running and self.directory.row(request.short) is not None and not again

    def _need_memory(self, short: str) -> None:
        """One that is not here yet must fit beside the others, as far as the catalog knows its size."""
        entry, free = self.directory.entry(short), self.free_memory()
        needed = entry.memory_mb if entry and self.directory.row(short) is None else None
        if needed is not None and free is not None and free < needed << 20:
            raise JobFailed(
                f"{short} needs about {needed} MiB of memory and {free >> 20} MiB are free. "
                "Stop or remove a module, or give the hub more memory, then try again.",
                {"error_type": "memory", "needed_bytes": needed << 20, "free_bytes": free},
            )

    async def _newest(self, request: InstallRequest) -> str | None:
        """What the channel offers. `latest` is a tag that every package has; another channel may be behind it."""
        if request.package is None or request.source is not None or request.channel == "latest":
            return None
        return await self.availability.ask(request.package, request.channel)

    def _linked(self, request: InstallRequest, folder: Path) -> Arrival:
        """A module's own folder, run from where it is. Raises JobFailed."""
        try:
            package, manifest = manifests.read_package(folder), manifests.read_manifest(folder)
        except Invalid as error:
            raise JobFailed(f"{folder} cannot be used: {error}.") from None
        if package is None or manifest is None:
            raise JobFailed(f"{folder} is not a module: it needs a package.json and a .parachute/module.json.")
        entry = self.directory.entry(manifest.name)
        try:
            for path in manifest.paths:
                mounts.check(path, manifest.name, entry.mounts if entry else ())
        except mounts.BadMount as error:
            raise JobFailed(str(error)) from None
        return Arrival(
            short=manifest.name, incoming=folder, folder=folder, package=package, manifest=manifest, entry=entry
        )

    def _undos(self, arrival: Arrival) -> tuple[Undo, ...]:
        """How everything becomes as it is now."""
        short, package = arrival.short, arrival.package.name
        record = self.records.get(short) if self.records.known(short) else None
        before = self.services.read().row(arrival.row_name)
        start = Undo("start", "", {"short": short}, live=True)
        active = {
            "short": short,
            "package": package,
            "folder": self.store.active(short, package),
            "linked": record.linked if record else None,
        }
        return (
            *((start,) if before is not None and self.records.wanted(short) else ()),
            Undo("record", "", {"short": short, "record": record.to_json() if record else None}),
            Undo("row", "", {"name": arrival.row_name, "row": before.to_json() if before else None}),
            Undo("activate", "", active),
        )

    def _register(self, work: Work, request: InstallRequest, arrival: Arrival, placed: str | None) -> Row:
        """Make it the active version and give it a row, which is the answer. Raises JobFailed."""
        short, package = arrival.short, arrival.package.name
        record = self.records.get(short)
        before = self.services.read().row(arrival.row_name)
        try:
            if placed is None:
                self.store.link_folder(package, arrival.folder)
            else:
                self.store.activate(short, package, placed)
            row = self._row(work, request, arrival, before)
            self.services.update(lambda registry: registry.with_row(row))
            self.records.change(
                short,
                package=package,
                row=arrival.row_name,
                linked=str(arrival.folder) if placed is None else None,
                env={**(record.env or {}), **request.env, **_first_vault(request)} or None,
                wanted=True,
            )
        except (BadPackage, RegistryRefused, RecordsRefused, ports.NoPort) as error:
            raise JobFailed(str(error)) from None
        return row

    def _row(self, work: Work, request: InstallRequest, arrival: Arrival, before: Row | None) -> Row:
        """The row to begin with. A port that the module has already is kept."""
        link = str(self.store.link(arrival.package.name))
        if before is not None:
            return before.with_fields(install_dir=link, last_start_error=None)
        told, known = arrival.manifest, arrival.entry
        wanted = known.port if known and known.port else told.port if told else None
        if known is not None and known.ignores_port:
            choice = ports.PortChoice(wanted or 0)
        else:
            taken = {*(row.port for row in self.services.read().rows), *self.hub_ports}
            choice = ports.choose(wanted, taken, self.port_busy)
        if choice.note:
            work.line(choice.note)
        paths = (f"/vault/{request.vault}",) if request.vault and arrival.short == "vault" else None
        return evolve(arrival.row(choice.port, paths), version=UNPROVEN, install_dir=link)


def settle_row(services: ServicesFile, name: str, package: Package, link: str) -> None:
    """The module is proven: its row says its real version, whether or not the module wrote the row itself."""

    def settled(registry: Registry) -> Registry:
        row = registry.row(name)
        if row is None:
            return registry
        stamped = row.install_dir or link
        return registry.with_row(row.with_fields(version=package.version, install_dir=stamped, last_start_error=None))

    try:
        services.update(settled)
    except RegistryRefused as error:
        raise JobFailed(str(error)) from None


def stamped_versions(registry: Registry, store: Store) -> set[str]:
    """Folders of the store that some row's `installDir` names: modules stamp the real path."""
    root = (store.root / "store").resolve()
    found: set[str] = set()
    for row in registry.rows:
        if row.install_dir and Path(row.install_dir).is_relative_to(root):
            # <short>/<version>/...; a module may as well have stamped less.
            found.update(Path(row.install_dir).relative_to(root).parts[1:2])
    return found


def _offers(manifest: Manifest, installed: Iterable[str]) -> Iterator[str]:
    """What the module would like to have beside it and is not there."""
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
