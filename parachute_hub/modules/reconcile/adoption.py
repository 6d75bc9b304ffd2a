"""Adopts modules in services.json that have no record: an older hub's, or rows of unknown origin.

At the first boot, catalog modules already in the home get a record; they run the catalog's package from wherever bun
installed it, whatever the row says. All others need the owner's consent.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from attrs import Factory, evolve

from parachute_hub.modules.definition import manifests, mounts, names, ports
from parachute_hub.modules.definition.entry_point import entry_of
from parachute_hub.modules.definition.model import EXPOSURES, ServiceRow
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.modules.state.records import Record, RecordsRefused
from parachute_hub.modules.state.store import BadPackage
from parachute_hub.site.errors import Refused, not_stored
from parachute_hub.supervise.model import CannotLaunch
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.records import frozen

_STRICTNESS = dict(zip(EXPOSURES, (0, 2, 1), strict=True))


@frozen(kw_only=True)
class Adoption:
    """Creates records for modules. `busy` tells whether a port is in use; `hub_ports` are never assigned."""

    directory: ModuleDirectory
    files: FileWriter = Factory(FileWriter)
    hub_ports: Iterable[int]
    busy: Callable[[int], bool]

    async def count(self) -> None:
        """Once per home: create records for catalog modules, and ports for records without one."""
        if self.directory.records.counted:
            return
        found: dict[str, Record] = {}
        taken = {*self.hub_ports}
        for row in self.directory.services.standing():
            short = self.directory.short_of(row.name)
            if short in found or not (self.directory.records.known(short) or self._is_catalogs(short, row)):
                continue
            record = self.directory.records.get(short)
            port = record.port or self._port(row, taken)
            taken.add(port)
            found[short] = evolve(record, row=record.row or row.name, port=port, exposure=self._exposure(short, row))
        await self.directory.records.count(found)

    def source(self, short: str) -> tuple[str, Path | None] | None:
        """What adopting a module would run: the package and its folder, None if missing."""
        row = self._stranger(short)
        if row is None:
            return None
        entry = self.directory.catalog.get(short)
        if entry is not None:
            return entry.package, self.directory.store.locate(entry.package)
        folder = Path(row.install_dir) if row.install_dir else None
        try:
            package = manifests.read_package(folder) if folder is not None and folder.is_absolute() else None
        except Invalid:
            package = None
        return (package.name, folder) if package is not None and names.is_package(package.name) else None

    async def adopt(self, short: str) -> None:
        """Adopt a module on the owner's behalf. Raises Refused."""
        row, source = self._stranger(short), self.source(short)
        if row is None:
            raise Refused(409, "not_adoptable", f"There is no module {short} here that the hub did not install.")
        if source is None or not names.is_short(short) or short in names.FOLDERS_OF_THE_HUB:
            raise Refused(
                409, "not_adoptable", f"The row {row.name} names no folder of a module. Install the module by its name."
            )
        package, folder = source
        known = self.directory.catalog.get(short) is not None
        try:
            linked = None if known or folder is None else self._checked(short, row, package, folder)
            if linked is not None:
                await self.files(self.directory.store.link_folder, package, linked)
            port = self._port(row, {*self.hub_ports, *self.directory.ports()})
            await self.directory.records.put(
                short, Record(package=package, row=row.name, port=port, linked=str(linked) if linked else None)
            )
        except (BadPackage, CannotLaunch, Invalid, mounts.BadMount, ports.NoPort) as error:
            raise Refused(409, "not_adoptable", f"{row.name} cannot be used. {error}") from None
        except (OSError, RecordsRefused) as error:
            raise not_stored(error, f"That could not be saved: {error}") from None

    def _stranger(self, short: str) -> ServiceRow | None:
        return next((row for row in self.directory.strangers() if self.directory.short_of(row.name) == short), None)

    def _checked(self, short: str, row: ServiceRow, package: str, folder: Path) -> Path | None:
        """The folder to run from; None for a package in bun's own layouts. Raises what `adopt` converts."""
        manifest = manifests.read_manifest(folder)
        if manifest is None or manifest.name != short:
            raise Invalid("", f"{folder} is not the module {short}")
        for path in mounts.claims(manifest.paths):
            mounts.check(path, short)
        entry_of(folder, manifest, short, row, None)
        located = self.directory.store.locate(package)
        return None if located is not None and os.path.realpath(located) == os.path.realpath(folder) else folder

    def _is_catalogs(self, short: str, row: ServiceRow) -> bool:
        entry = self.directory.catalog.get(short)
        return entry is not None and (
            row.is_vault if short == "vault" else self.directory.catalog.names(row.name, entry)
        )

    def _port(self, row: ServiceRow, taken: Iterable[int]) -> int:
        """The port it has been using, unless another module has it."""
        entry = self.directory.catalog.get(self.directory.short_of(row.name))
        if entry is not None and entry.ignores_port and entry.port:
            return entry.port
        return row.port if row.port not in taken else ports.choose(None, taken, self.busy).port

    def _exposure(self, short: str, row: ServiceRow) -> str | None:
        """The row's exposure, if it is stricter than the catalog's."""
        kept, entry = self.directory.records.get(short).exposure, self.directory.catalog.get(short)
        usual = (entry.exposure if entry else None) or "allowed"
        told = row.public_exposure
        return told if kept is None and told and _STRICTNESS[told] > _STRICTNESS[usual] else kept
