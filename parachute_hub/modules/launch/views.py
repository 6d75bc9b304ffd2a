"""A module's view of the home: the folder that it is told is PARACHUTE_HOME and HOME.

<home>/hub/views/<short>/services.json   a copy; the module writes its own row there
                         <short>         a link to its data, <home>/<short>
                         tmp, .bun       scratch, and BUN_INSTALL
<home>/hub/views/<short>.base.json       the module's rows of that copy when the hub last looked at them

A module may write its view and nothing else of the home. What it changes about itself in its copy is merged into
services.json, field by field; so a row there has an author.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from attrs import Factory, field
from twisted.internet.defer import DeferredLock

from parachute_hub.modules.definition import mounts
from parachute_hub.modules.definition.model import ServiceRow
from parachute_hub.modules.launch import own_row
from parachute_hub.modules.state import services_file
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.modules.state.services_file import Registry, RegistryRefused
from parachute_hub.supervise.model import CannotLaunch
from parachute_hub.system.atomic_files import atomic_write, private_folder, read_bounded
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.records import define
from parachute_hub.system.storage_trouble import StorageBusy

_STAMP = tuple[int, int, int]
COPY_LIMIT = 256 * 1024
"""Maximum size in bytes of a module's copy."""


@define(kw_only=True)
class Views:
    """All views in one folder. A view is created at the module's first confined start."""

    home: Path
    directory: ModuleDirectory
    files: FileWriter = Factory(FileWriter)
    _known: dict[str, _STAMP | None] = field(factory=dict, init=False)
    _turn: DeferredLock = field(factory=DeferredLock, init=False)

    def folder(self, short: str) -> Path:
        """The module's view."""
        return self.home / "hub" / "views" / short

    def data(self, short: str) -> Path:
        """The module's real data folder. Raises CannotLaunch.

        The owner may have replaced it with a link to another disk; a link into the home would expose other data.
        """
        place = self.home / short
        real, home = Path(os.path.realpath(place)), Path(os.path.realpath(self.home))
        if real != home / short and (real.is_relative_to(home) or home.is_relative_to(real)):
            raise CannotLaunch(
                "bad_data_folder",
                f"The data folder {place} is a link to {real}, which does not belong to {short} alone. "
                "Put a folder in its place, then start it again.",
            )
        return real

    async def prepare(self, short: str) -> Path:
        """Prepare the view and the data folder for a start. Raises OSError, StorageBusy and CannotLaunch."""
        view, data = self.folder(short), self.data(short)
        await self._turn.acquire()
        try:
            await self.files(self._make, short, view, data)
            self._known.pop(short, None)
            await self._collect(short)
            await self._publish(short)
        finally:
            self._turn.release()
        return view

    def _make(self, short: str, view: Path, data: Path) -> None:
        private_folder(data)
        for folder in (view / "tmp", view / ".bun"):
            if folder.is_symlink() or folder.is_file():
                folder.unlink()
            private_folder(folder)
        link = view / short
        if link.is_dir() and not link.is_symlink():
            raise CannotLaunch(
                "bad_data_folder",
                f"{short} has replaced the link to its data by a folder. Move what you need from {link} to {data}, "
                f"remove {link}, then start it again.",
            )
        if not link.is_symlink() or os.readlink(link) != str(data):
            aside = view / f".{short}.link"
            aside.unlink(missing_ok=True)
            aside.symlink_to(data)
            os.replace(aside, link)

    async def _publish(self, short: str) -> None:
        """Write the module's copy of services.json. It is rewritten at every start, so it need not survive a power
        loss.
        """
        copy = self._copy(short)
        told = {row.name: row.port for row in self.directory.installed()}
        registry = self.directory.services.read()
        rows = (row.with_fields(port=told.get(row.name, row.port)) for row in registry.rows)
        content = registry.with_rows(rows).to_bytes()
        before = _read(copy)
        if before != content:
            try:
                await self.files(atomic_write, copy, content, durable=False)
            except (OSError, StorageBusy):
                if before is None:
                    raise
                return  # on a full disk an older copy is better than not starting
            self._known[short] = _stamp(copy)
        await self._remember(short, registry.rows)

    async def collect_all(self) -> None:
        """Merge what running modules wrote since the last call. Costs one stat each."""
        for short in tuple(self._known):
            await self.collect(short)

    async def collect(self, short: str) -> None:
        """Merge what the module wrote, if anything. Unusable content is ignored."""
        await self._turn.acquire()
        try:
            await self._collect(short)
        finally:
            self._turn.release()

    async def _collect(self, short: str) -> None:
        copy = self._copy(short)
        stamp = _stamp(copy)
        if stamp is None or stamp == self._known.get(short):
            self._known.setdefault(short, stamp)
            return
        self._known[short] = stamp
        rows = self._own(short, services_file.parse(_read(copy) or b"").rows)
        if not rows:
            return
        base = services_file.parse(_read(base_file(self.home, short)) or b"")
        if all([await self._merge(short, row, base.row(row.name)) for row in rows]):
            await self._remember(short, rows)

    async def _merge(self, short: str, told: ServiceRow, base: ServiceRow | None) -> bool:
        """Whether it is in services.json now, if it may be."""
        known = self.directory.services.read().row(told.name)
        first = known or self.directory.row(short)
        if first is None or (known is None and not (told.is_vault and base is None)):
            return True
        entry = self.directory.entry(short)
        paths, _ = mounts.allowed(told.paths, short, entry.mounts if entry else ())
        merged = own_row.merged(first, told, base, paths)
        if merged.to_json() != (known and known.to_json()):
            try:
                await self.directory.services.update(
                    lambda registry: registry.with_row(
                        own_row.merged(registry.row(told.name) or first, told, base, paths)
                    )
                )
            except (RegistryRefused, StorageBusy):
                # Another module has that port or name, or the disk is full: the row stays unchanged.
                return False
        return True

    async def _remember(self, short: str, rows: Iterable[ServiceRow]) -> None:
        """Keep what the module's copy says now. Without it (a full disk) all of the copy counts as changed."""
        base = base_file(self.home, short)
        content = Registry(rows=self._own(short, rows)).to_bytes()
        if _read(base) != content:
            with suppress(OSError, StorageBusy):
                await self.files(atomic_write, base, content, durable=False)

    def _own(self, short: str, rows: Iterable[ServiceRow]) -> tuple[ServiceRow, ...]:
        return tuple(row for row in rows if self.directory.short_of(row.name) == short)

    def _copy(self, short: str) -> Path:
        return self.folder(short) / "services.json"


def base_file(home: Path, short: str) -> Path:
    """Where the hub keeps what a module's copy said; no module can write there."""
    return home / "hub" / "views" / f"{short}.base.json"


def _read(path: Path) -> bytes | None:
    try:
        return read_bounded(path, COPY_LIMIT, links=False)
    except OSError:
        return None


def _stamp(path: Path) -> _STAMP | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
