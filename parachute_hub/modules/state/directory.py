"""Relates rows, packages and short names of modules."""

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
    """Looks modules up. Reads stat-cached files and changes nothing."""

    services: ServicesFile
    records: RecordsFile
    catalog: Catalog
    store: Store

    def shorts(self) -> tuple[str, ...]:
        """Every installed module once, in the order of services.json."""
        return tuple(dict.fromkeys(self.short_of(row.name) for row in self.services.standing()))

    def rows(self, short: str) -> tuple[Row, ...]:
        """The module's rows; a vault may have one per instance."""
        return tuple(row for row in self.services.standing() if self.short_of(row.name) == short)

    def row(self, short: str) -> Row | None:
        return next(iter(self.rows(short)), None)

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

    def folder(self, short: str) -> Path | None:
        """The folder of the installed package, or None.

        The store takes precedence over the row's `installDir`, where a module may have written the path of a version
        that is no longer active.
        """
        package = self.package_of(short)
        ours = self.store.locate(package) if package else None
        if ours is not None:
            return ours
        row = self.row(short)
        stamped = Path(row.install_dir) if row and row.install_dir else None
        return stamped if stamped and os.path.isfile(stamped / "package.json") else None

    def mounts(self, row: Row) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The row's servable mounts, and the reasons for rejecting the others."""
        short = self.short_of(row.name)
        entry = self.entry(short)
        return mounts.allowed(row, short, entry.mounts if entry else ())
