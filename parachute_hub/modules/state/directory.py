"""Relates rows, packages and short names of modules."""

from pathlib import Path

from attrs import field

from parachute_hub.modules.definition import manifests, row_fields
from parachute_hub.modules.definition.catalog import Catalog, CatalogEntry
from parachute_hub.modules.definition.model import Manifest, ServiceRow
from parachute_hub.modules.definition.permissions import Permissions
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.modules.state.link import Link
from parachute_hub.modules.state.records import Records, RecordsFile
from parachute_hub.modules.state.services_file import ServicesFile
from parachute_hub.modules.state.store import Store
from parachute_hub.supervise.model import Allowance
from parachute_hub.system.records import define, frozen


@define
class _Installed:
    """The rows of installed modules, and what they follow from."""

    standing: tuple[ServiceRow, ...] | None = None
    records: Records | None = None
    rows: tuple[ServiceRow, ...] = ()


@frozen(kw_only=True)
class ModuleDirectory:
    """Looks modules up. Reads stat-cached files and changes nothing."""

    services: ServicesFile
    records: RecordsFile
    catalog: Catalog
    store: Store
    _last: _Installed = field(factory=_Installed, init=False, eq=False, repr=False)

    def installed(self) -> tuple[ServiceRow, ...]:
        """The rows of installed modules, with the hub's decisions applied, in file order.

        Returns the same object while nothing changes.
        """
        last, standing, records = self._last, self.services.standing(), self.records.shown
        if last.standing is not standing or last.records is not records:
            last.rows = tuple(self._settled(row) for row in standing if self._is_installed(row))
            last.standing, last.records = standing, records
        return last.rows

    def strangers(self) -> tuple[ServiceRow, ...]:
        """Rows of modules without a record: shown, but not run or served until the owner adopts them."""
        return tuple(row for row in self.services.standing() if not self._is_installed(row))

    def shorts(self) -> tuple[str, ...]:
        """Every installed module once, in the order of services.json."""
        return tuple(dict.fromkeys(self.short_of(row.name) for row in self.installed()))

    def rows(self, short: str) -> tuple[ServiceRow, ...]:
        """The rows of an installed module; a vault may have one per instance."""
        return tuple(row for row in self.installed() if self.short_of(row.name) == short)

    def row(self, short: str) -> ServiceRow | None:
        return next(iter(self.rows(short)), None)

    def written(self, short: str) -> tuple[ServiceRow, ...]:
        """The module's rows as written in the file, installed or not."""
        return tuple(row for row in self.services.standing() if self.short_of(row.name) == short)

    def ports(self) -> frozenset[int]:
        """The ports of the installed modules and of those being installed."""
        return self.records.ports() | {row.port for row in self.installed()}

    def unusable_rows(self, short: str) -> tuple[str, ...]:
        """The names of the module's unusable rows. They do not count as installed."""
        return tuple(name for name in self.services.read().unusable_names if self.short_of(name) == short)

    def short_of(self, row_name: str) -> str:
        return self.records.by_row(row_name) or self.catalog.short_of(row_name)

    def entry(self, short: str) -> CatalogEntry | None:
        """The catalog's or built-in entry of a module."""
        return self.catalog.get(short)

    def package_of(self, short: str) -> str | None:
        """The npm package of a module, if known."""
        entry = self.entry(short)
        return self.records.get(short).package or (entry.package if entry else None)

    def is_first_party(self, short: str) -> bool:
        """True if the module is the catalog's own package."""
        entry = self.entry(short)
        return entry is not None and self.package_of(short) == entry.package

    def vouched(self, short: str) -> CatalogEntry | None:
        """The catalog's entry, if the catalog's own package is installed."""
        return self.entry(short) if self.is_first_party(short) else None

    def folder(self, short: str) -> Path | None:
        """The folder of the installed package, or None. The row's `installDir` is ignored: any module can write it."""
        package = self.package_of(short)
        return self.store.locate(package) if package else None

    def manifest(self, short: str) -> Manifest | None:
        """The installed package's manifest; None if missing or invalid."""
        folder = self.folder(short)
        try:
            return manifests.read_manifest(folder) if folder is not None else None
        except Invalid:
            return None

    def elsewhere(self, short: str) -> Link | None:
        """The link of a module that runs on another machine, where its data and settings are too."""
        link = self.records.get(short).link
        return link if link is not None and link.active else None

    def permissions(self, short: str) -> Permissions:
        """What the installed module may access beyond its own; for one on offer, the catalog's permissions."""
        return effective(self.manifest(short), self.vouched(short))

    def allowance(self, short: str) -> Allowance:
        """What the module may use: by the owner's word, else by `usual_allowance`."""
        record, usual = self.records.get(short), self.usual_allowance(short)
        percent = record.cpu_limit
        return Allowance(
            memory=usual.memory if record.memory_limit is None else record.memory_limit or None,
            processor=usual.processor if percent is None else percent / 100 or None,
        )

    def usual_allowance(self, short: str) -> Allowance:
        """What the module may use without the owner's word: by its manifest, else by the catalog."""
        vouched = self.vouched(short)
        memory = self.permissions(short).memory or (vouched.memory_limit_mb if vouched else None)
        percent = vouched.cpu_limit if vouched else None
        return Allowance(memory=memory << 20 if memory else None, processor=percent / 100 if percent else None)

    def mounts(self, row: ServiceRow) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The row's servable mounts, and the reasons for rejecting the others."""
        short = self.short_of(row.name)
        manifest, vouched = self.manifest(short), self.vouched(short)
        said = manifest.paths if manifest else vouched.paths if vouched else ()
        return row_fields.served(row, short, said, vouched.mounts if vouched else ())

    def _is_installed(self, row: ServiceRow) -> bool:
        """True for the row named by the hub's record, or a vault's row in the older format."""
        short = self.short_of(row.name)
        if not self.records.known(short):
            return False
        named = self.records.get(short).row
        return named is None or row.name == named or (short == "vault" and row.is_vault)

    def _settled(self, row: ServiceRow) -> ServiceRow:
        record = self.records.get(self.short_of(row.name))
        return row_fields.settled(row, record.port, record.exposure)


def effective(manifest: Manifest | None, vouched: CatalogEntry | None) -> Permissions:
    """The package's permissions, else the catalog's, else network access only."""
    told = manifest.permissions if manifest else None
    return told or (vouched.permissions if vouched else None) or Permissions()
