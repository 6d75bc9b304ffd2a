"""From a module's row and package to the process that runs it. Made anew for every spawn, so that nothing is stale."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from attrs import frozen

from parachute_hub.modules import environment, manifests
from parachute_hub.modules.bun import NoBun
from parachute_hub.modules.catalog import Catalog
from parachute_hub.modules.entry import entry_of
from parachute_hub.modules.environment import Surroundings
from parachute_hub.modules.files import private_folder
from parachute_hub.modules.model import Manifest, Row
from parachute_hub.modules.records import RecordsFile
from parachute_hub.modules.registry import ServicesFile
from parachute_hub.modules.shape import Invalid
from parachute_hub.modules.store import Store
from parachute_hub.supervise.model import CannotLaunch, Launch


class Guard(Protocol):
    """Has a word before a module is started."""

    def before_launch(self, short: str) -> None:
        """Raises CannotLaunch when it must not start now."""


@frozen(kw_only=True)
class ModuleLauncher:
    """Says how each module is run. `find_bun` raises NoBun. `guard` makes sure that scribe has a token."""

    services: ServicesFile
    records: RecordsFile
    catalog: Catalog
    store: Store
    around: Surroundings
    find_bun: Callable[[], Path]
    guard: Guard | None = None

    def launch(self, short: str) -> Launch:
        """The whole spawn of one module. Raises CannotLaunch."""
        if self.guard is not None:
            self.guard.before_launch(short)
        row = self.row(short)
        if row is None:
            raise CannotLaunch("not_installed", f"{short} is not installed.")
        record = self.records.get(short)
        folder = self.folder(short, row)
        bun = self._bun()
        private_folder(self.around.scratch)
        entry = entry_of(folder, self.manifest(short, folder), short, row, self.catalog.get(short))
        layers = (self._dotenv(short), record.env or {})
        return Launch(
            short=short,
            argv=(str(bun), *(("--smol",) if record.smol else ()), "run", *entry),
            cwd=str(folder),
            env=environment.for_module(self.around, short, row.port, layers, bun.parent),
            port=row.port,
            health=row.health,
            memory_limit=record.memory_limit,
        )

    def row(self, short: str) -> Row | None:
        """The module's row; of several vault rows the first."""
        rows = self.services.read().rows
        return next((row for row in rows if self.short_of(row.name) == short), None)

    def short_of(self, row_name: str) -> str:
        """The short name of the module that a row belongs to."""
        return self.records.by_row(row_name) or self.catalog.short_of(row_name)

    def package_of(self, short: str) -> str | None:
        """The npm package of a module, when it is known."""
        entry = self.catalog.get(short)
        return self.records.get(short).package or (entry.package if entry else None)

    def folder(self, short: str, row: Row) -> Path:
        """The folder of the installed package. Raises CannotLaunch.

        What the store holds comes before the row's `installDir`, which a module may have stamped with the real path
        of a version that is not the active one any more.
        """
        package = self.package_of(short)
        ours = self.store.locate(package) if package else None
        if ours is not None:
            return ours
        if row.install_dir and (Path(row.install_dir) / "package.json").is_file():
            return Path(row.install_dir)
        raise CannotLaunch(
            "missing_package",
            f"The package of {short} is not on the disk. Install {short} again; its data stays where it is.",
            {"package": package},
        )

    def manifest(self, short: str, folder: Path) -> Manifest | None:
        """The manifest of the installed package. Raises CannotLaunch when it breaks a rule."""
        try:
            return manifests.read_manifest(folder)
        except Invalid as error:
            raise CannotLaunch("bad_manifest", f"The module.json of {short} cannot be used: {error}.") from None

    def _bun(self) -> Path:
        try:
            return self.find_bun()
        except NoBun as error:
            raise CannotLaunch(
                "missing_dependency", str(error), {"binary": "bun", "why": "Modules run on bun."}
            ) from None

    def _dotenv(self, short: str) -> Mapping[str, str]:
        try:
            text = (self.around.home / short / ".env").read_text("utf-8", "replace")
        except OSError:
            return {}
        return environment.parse_dotenv(text)
