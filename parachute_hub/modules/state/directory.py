"""Which module a row, a package and a short name belong to: one answer for the whole hub."""

import os
from pathlib import Path

from attrs import frozen

from parachute_hub.modules.definition import mounts
from parachute_hub.modules.definition.catalog import Catalog, CatalogEntry
from parachute_hub.modules.definition.model import Row
from parachute_hub.modules.state.records import RecordsFile
from parachute_hub.modules.state.services_file import ServicesFile
from parachute_hub.modules.state.store import Store


@frozen(kw_only=True)
class Directory:
    """Looks modules up; reads files that are cached by stat and changes nothing."""

    services: ServicesFile
    records: RecordsFile
    catalog: Catalog
    store: Store

    def shorts(self) -> tuple[str, ...]:
        """Every installed module once, in the order of services.json."""
        return tuple(dict.fromkeys(self.short_of(row.name) for row in self.services.standing()))

    def rows(self, short: str) -> tuple[Row, ...]:
        """The module's rows; a vault may have one for each instance."""
        return tuple(row for row in self.services.standing() if self.short_of(row.name) == short)

    def row(self, short: str) -> Row | None:
        """The module's first row."""
        return next(iter(self.rows(short)), None)

    def unusable_rows(self, short: str) -> tuple[str, ...]:
        """The names of the module's rows that the hub cannot use, and for that reason does not count as installed."""
        return tuple(name for name in self.services.read().unusable_names if self.short_of(name) == short)

    def short_of(self, row_name: str) -> str:
        """The short name of the module that a row belongs to."""
        return self.records.by_row(row_name) or self.catalog.short_of(row_name)

    def entry(self, short: str) -> CatalogEntry | None:
        """What the catalog or the built-in table says of a module."""
        return self.catalog.get(short)

    def package_of(self, short: str) -> str | None:
        """The npm package of a module, when it is known."""
        entry = self.entry(short)
        return self.records.get(short).package or (entry.package if entry else None)

    def is_first_party(self, short: str) -> bool:
        """Whether the module is the one of the catalog, not a stranger's package."""
        entry = self.entry(short)
        return entry is not None and self.package_of(short) == entry.package

    def folder(self, short: str) -> Path | None:
        """The folder of the installed package; None when it is not on the disk.

        What the store holds comes before the row's `installDir`, which a module may have stamped with the real path
        of a version that is not the active one any more.
        """
        package = self.package_of(short)
        ours = self.store.locate(package) if package else None
        if ours is not None:
            return ours
        row = self.row(short)
        stamped = Path(row.install_dir) if row and row.install_dir else None
        return stamped if stamped and os.path.isfile(stamped / "package.json") else None

    def mounts(self, row: Row) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The paths under which a row may be served, and the reasons why others may not."""
        short = self.short_of(row.name)
        entry = self.entry(short)
        return mounts.allowed(row, short, entry.mounts if entry else ())
