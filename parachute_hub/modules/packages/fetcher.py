"""Downloads and verifies a package without touching what runs."""

import os
from collections.abc import Awaitable, Callable, Coroutine
from itertools import takewhile
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater

from parachute_hub.jobs.model import Undo
from parachute_hub.jobs.runner import JobFailed, Work
from parachute_hub.modules.definition import manifests, mounts, names, validation
from parachute_hub.modules.definition.catalog import Catalog, CatalogEntry
from parachute_hub.modules.definition.entry_point import entry_of
from parachute_hub.modules.definition.manifests import Package
from parachute_hub.modules.definition.model import Manifest, ServiceRow
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.modules.packages import lockfile
from parachute_hub.modules.packages.bun import WITHOUT_OPTIONAL, BunFailed
from parachute_hub.modules.packages.lockfile import BadLock, LockedPackage
from parachute_hub.modules.packages.reach import while_reachable
from parachute_hub.modules.state.store import INCOMING, BadPackage, Store
from parachute_hub.supervise.model import CannotLaunch
from parachute_hub.system.atomic_files import read_bounded
from parachute_hub.system.records import frozen
from parachute_hub.system.storage_trouble import MAKE_ROOM
from parachute_hub.system.timers import every

SPARE_BYTES = 64 * 1024 * 1024
"""Bytes an install must leave free, since the database, logs and modules keep writing."""

MOST_BYTES = 1024 * 1024 * 1024
"""Bytes that one install may write, with its dependencies."""

MIN_AGE_SECONDS = 3 * 86400
"""Age of a release from outside the catalog, with all it depends on, before it is installed."""

WATCH_SECONDS = 0.1
INFO_SECONDS = 20.0
ASK_AFTER_SECONDS = 0.3
"""Seconds until the registry is asked for a package's size. Anything fetched sooner is small compared to the margin."""


_DISK_PERHAPS = ("extract", "failed", "disk_full")
"""Failure kinds that a full disk may cause; bun does not always report it as such."""


class RegistryTrust(Protocol):
    """The part of the registry client that fetching uses."""

    def origins(self) -> frozenset[str]:
        """Origins of the configured registries."""

    async def check(self, package: str, locked: LockedPackage) -> str | None:
        """Verify the registry's signature; a line to log. Raises JobFailed."""


class RoomCheck(Protocol):
    """Knows what a package and its dependencies take."""

    async def need(self, work: Work, incoming: Path, package: str, spec: str, min_age: int, *, lean: bool) -> None:
        """Raises JobFailed if that does not fit on the disk."""


class PackageInstaller(Protocol):
    """The part of bun that fetching uses."""

    async def add(
        self, folder: Path, spec: str, on_line: Callable[[str], None], min_age: int = 0, *options: str
    ) -> None:
        """Install `spec` into the folder, no release younger than `min_age` seconds. Raises BunFailed."""

    async def info(self, package: str, about: str, folder: Path, seconds: float) -> Any:
        """Query the registry. Raises BunFailed."""


@frozen(kw_only=True)
class FetchRequest:
    """What to fetch. `short` is a guess until the package is known; `source` is a local tarball.

    `without_optional` leaves out dependencies that may be missing. `allow_new` takes releases of packages outside the
    catalog that are younger than MIN_AGE_SECONDS. With `integrity`, only a package with that hash is taken.
    """

    short: str
    package: str | None
    version: str | None = None
    source: Path | None = None
    allow_new: bool = False
    without_optional: bool = False
    integrity: str | None = None


@frozen(kw_only=True)
class FetchedModule:
    """A verified package, still in its incoming folder. `size` is in bytes, 0 for a linked folder."""

    short: str
    incoming: Path
    folder: Path
    package: Package
    manifest: Manifest | None
    entry: CatalogEntry | None
    size: int = 0

    @property
    def row_name(self) -> str:
        """The name of the module's row in services.json."""
        if self.manifest is not None:
            return self.manifest.manifest_name
        return self.entry.manifest_name if self.entry else self.short

    def row(self, port: int, paths: tuple[str, ...] | None = None) -> ServiceRow:
        """An initial row. The manifest takes precedence over the catalog."""

        def first(name: str) -> Any:
            told = (getattr(source, name) for source in (self.manifest, self.entry) if source is not None)
            return next((value for value in told if value not in (None, "", ())), None)

        return ServiceRow(
            name=self.row_name,
            port=port,
            paths=paths or first("paths") or (),
            health=first("health") or "/health",
            version=self.package.version,
            display_name=first("display_name"),
            tagline=first("tagline"),
            public_exposure=self.entry.exposure if self.entry else None,
            strip_prefix=first("strip_prefix"),
            websocket=self.manifest.websocket if self.manifest else None,
        )


@frozen(kw_only=True)
class Fetcher:
    """Fetches packages. `in_thread` runs blocking calls; `free_bytes` is the free disk space.

    `clock` is a reactor's time. `reach` raises BunFailed when the registry does not answer.
    """

    bun: PackageInstaller
    store: Store
    catalog: Catalog
    clock: Any
    in_thread: Callable[..., Awaitable[Any]]
    free_bytes: Callable[[], int]
    taken_by: Callable[[str], str | None]
    registry: RegistryTrust
    reach: Callable[[], Coroutine[Any, Any, None]]
    room: RoomCheck
    most_bytes: int = MOST_BYTES

    async def fetch(self, work: Work, order: FetchRequest) -> FetchedModule:
        """Fetch and verify. Raises JobFailed; the job's undo then removes what was fetched."""
        work.step("fetch")
        self._need(SPARE_BYTES)
        if order.source is not None:
            self._need(SPARE_BYTES + 5 * _size(order.source))
        # A failed job leaves its packages in bun's cache, which must be intact when they are used again. After a crash
        # nobody knows whether they are, so the next boot empties the cache. It also sweeps incoming folders.
        work.undo_here("settle")
        work.undo_here("discard", short=order.short, folder=f"{INCOMING}{work.id}")
        incoming: Path = await work.whole(self.in_thread(self.store.incoming, order.short, work.id))
        _refuse_workspace(incoming, self.store.root.parent)
        try:
            await while_reachable(self.reach(), self._add(work, order, incoming))
        except BunFailed as error:
            raise JobFailed(f"Nothing was installed. {error}", {"error_type": error.kind}) from None
        work.step("verify")
        package = order.package or _only_dependency(incoming)
        locked = await self.in_thread(self._locked, order, incoming, package)
        if locked is not None and order.integrity not in (None, locked.integrity):
            text = f"{package} {locked.version} is not what the backup was made with. Nothing was installed."
            raise JobFailed(text, {"error_type": "integrity"})
        checking = Deferred.fromCoroutine(self._signed(work, package, locked))
        try:
            arrival: FetchedModule = await work.whole(self.in_thread(self._verify, order, incoming, package))
        except BaseException:
            checking.addErrback(lambda _: None)
            checking.cancel()
            raise
        await checking
        if locked is not None and arrival.package.version != locked.version:
            raise JobFailed(
                f"{package} calls itself version {arrival.package.version}, but the registry says {locked.version}. "
                "Nothing was installed."
            )
        why = self.catalog.withdrawn(arrival.package.name, arrival.package.version)
        if why is not None:
            told = f"{package} {arrival.package.version} was withdrawn: {why} Nothing was installed."
            raise JobFailed(told, {"error_type": "withdrawn"})
        if arrival.short != work.job.short:
            work.rename(arrival.short)
        work.measured(arrival.size)
        work.line(f"{package} {arrival.package.version} was fetched and checked.")
        return arrival

    async def place(self, work: Work, arrival: FetchedModule, *undos: Undo) -> str:
        """Move the package into the store, unused for now. Returns the name of its folder.

        `undos` are the caller's next undos; they are recorded together with this step's.
        """
        name = self.store.free_name(arrival.short, arrival.package.version)
        await work.undo_all(Undo("discard", "", {"short": arrival.short, "folder": name}), *undos)
        await work.whole(self.in_thread(self.store.admit, arrival.short, arrival.incoming, name))
        return name

    async def settle(self) -> None:
        """Sync everything fetched. Required before committing a job, and not earlier.

        Until then the next boot undoes the job, so nothing reads files that may be truncated.
        """
        await self.in_thread(os.sync)

    async def _add(self, work: Work, order: FetchRequest, incoming: Path) -> None:
        spec = str(order.source) if order.source else f"{order.package}@{order.version or 'latest'}"
        work.line(f"bun add {spec}")
        strange = order.source is None and order.package is not None and self._entry(order.package) is None
        min_age = MIN_AGE_SECONDS if strange and not order.allow_new else 0
        options = (WITHOUT_OPTIONAL,) if order.without_optional else ()
        if order.source is None and order.package is not None:
            await self.room.need(work, incoming, order.package, spec, min_age, lean=order.without_optional)
        adding = Deferred.fromCoroutine(self.bun.add(incoming, spec, work.line, min_age, *options))
        refusals: list[str] = []
        before = self.free_bytes()

        def watch() -> None:
            free = self.free_bytes()
            if adding.called or (free >= SPARE_BYTES // 2 and before - free <= self.most_bytes):
                return
            refusals.append(
                f"{spec} was stopped: it filled the disk. {MAKE_ROOM}"
                if free < SPARE_BYTES // 2
                else f"{spec} was stopped: more than {_megabytes(self.most_bytes)} were written while it was unpacked."
            )
            adding.cancel()

        def measured(size: int | None) -> None:
            if size is None or adding.called:
                return
            work.measured(size)
            try:
                self._need(SPARE_BYTES + size * 5 // 2)
            except JobFailed as refusal:
                refusals.append(str(refusal))
                adding.cancel()

        asking = Deferred.fromCoroutine(self._unpacked_size(order, incoming))
        asking.addCallback(measured)
        asking.addErrback(lambda _: None)
        watching = every(self.clock, WATCH_SECONDS, watch, "Watching the disk during an install")
        try:
            await adding
        except CancelledError:
            if refusals:
                raise JobFailed(refusals[0]) from None
            raise
        except BunFailed as error:
            told, kind = str(error), error.kind
            if kind in _DISK_PERHAPS and self.free_bytes() < SPARE_BYTES:
                told, kind = f"The disk is full. {MAKE_ROOM}", "disk_full"
            raise JobFailed(f"{spec} could not be fetched. {told}", {"error_type": kind}) from error
        finally:
            watching.stop()
            asking.cancel()

    async def _unpacked_size(self, order: FetchRequest, folder: Path) -> int | None:
        """The unpacked size from the registry, queried during the download; None if unknown.

        The query is delayed, because a cached package is installed before the answer would arrive.
        """
        if order.source is not None:
            return None
        await deferLater(self.clock, ASK_AFTER_SECONDS)
        answer = await self.bun.info(f"{order.package}@{order.version or 'latest'}", "dist", folder, INFO_SECONDS)
        size = answer.get("unpackedSize") if isinstance(answer, dict) else None
        return size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None

    def _need(self, size: int) -> None:
        free = self.free_bytes()
        if free < size:
            raise JobFailed(
                f"There is not enough disk space: {_megabytes(size)} are needed and {_megabytes(free)} are free. "
                + MAKE_ROOM,
                {"error_type": "disk_full", "needed_bytes": size, "free_bytes": free},
            )

    def _locked(self, order: FetchRequest, incoming: Path, package: str) -> LockedPackage | None:
        """The package as resolved from the registry, None for a local tarball. Raises JobFailed."""
        try:
            content = read_bounded(incoming / "bun.lock", lockfile.LIMIT)
            return lockfile.check(content, package, self.registry.origins(), local=order.source is not None)
        except OSError as error:
            raise JobFailed(f"The installer wrote no bun.lock: {error.strerror}.") from None
        except BadLock as error:
            raise JobFailed(f"{error} Nothing was installed.", {"error_type": "refused_source"}) from None

    async def _signed(self, work: Work, package: str, locked: LockedPackage | None) -> None:
        line = await self.registry.check(package, locked) if locked is not None else None
        if line is not None:
            work.line(line)

    def _verify(self, order: FetchRequest, incoming: Path, package: str) -> FetchedModule:
        """Every check possible before running it. Raises JobFailed."""
        try:
            fetched = self.store.verify(incoming, package)
            manifest = manifests.read_manifest(fetched.folder)
        except BadPackage as error:
            raise JobFailed(str(error)) from None
        except Invalid as error:
            raise JobFailed(f"The module.json of {package} cannot be used: {error}.") from None
        entry = self._entry(package)
        if manifest is None and (entry is None or entry.port is None):
            raise JobFailed(f"{package} is not a Parachute module: it has no .parachute/module.json.")
        short = self._short(package, entry, manifest)
        arrival = FetchedModule(
            short=short,
            incoming=incoming,
            folder=fetched.folder,
            package=fetched.package,
            manifest=manifest,
            entry=entry,
            size=fetched.size,
        )
        row = arrival.row(port=(manifest.port if manifest else entry and entry.port) or 1)
        try:
            for path in mounts.claims(row.paths):
                mounts.check(path, short, entry.mounts if entry else ())
            entry_of(fetched.folder, manifest, short, row, entry)
        except (mounts.BadMount, CannotLaunch) as error:
            raise JobFailed(f"{package} cannot be used. {error}") from None
        return arrival

    def _entry(self, package: str) -> CatalogEntry | None:
        return self.catalog.offers(package) or next(
            (entry for entry in Catalog().entries if entry.package == package), None
        )

    def _short(self, package: str, entry: CatalogEntry | None, manifest: Manifest | None) -> str:
        """The module's short name. Raises JobFailed if it belongs to another module."""
        name = manifest.name if manifest else entry.short if entry else ""
        if entry is not None:
            if name != entry.short:
                raise JobFailed(f'{package} calls itself "{name}", but the catalog says "{entry.short}".')
            return name
        if name in names.FOLDERS_OF_THE_HUB:
            raise JobFailed(f'A module cannot be called "{name}": the hub keeps its own files under that name.')
        known = self.catalog.get(name)
        other = self.taken_by(name) or (known.package if known else None)
        if other is not None and other != package:
            raise JobFailed(f'The name "{name}" belongs to {other}. Uninstall that first, or choose another package.')
        return name


def _refuse_workspace(incoming: Path, home: Path) -> None:
    """bun would install for the nearest parent package.json with workspaces, using its settings. Raises JobFailed."""
    for folder in takewhile(lambda folder: folder.is_relative_to(home), incoming.parents):
        if (folder / "package.json").exists():
            raise JobFailed(
                f"There is a package.json in {folder}, where none belongs: it would take over the installation. "
                "Move it away, then try again."
            )


def guess_short(package: str) -> str:
    """A provisional name until the package has been read."""
    last = package.rpartition("/")[2]
    letters = "".join(character if character.isascii() and character.isalnum() else "-" for character in last.lower())
    return letters.lstrip("-0123456789")[:40] or "module"


def _only_dependency(incoming: Path) -> str:
    """The package name from a tarball, as bun recorded it in the folder's package.json."""
    try:
        document = validation.parse_object(read_bounded(incoming / "package.json", 65536), "package.json", 65536)
    except (OSError, Invalid):
        document = {}
    dependencies = document.get("dependencies")
    found = list(dependencies) if isinstance(dependencies, dict) else []
    if len(found) != 1 or not names.is_package(found[0]):
        raise JobFailed("The tarball does not hold an npm package with a usable name.")
    return str(found[0])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise JobFailed(f"{path} cannot be read: {error.strerror}.") from None


def _megabytes(size: int) -> str:
    return f"{max(size, 0) / 1048576:.0f} MiB"
