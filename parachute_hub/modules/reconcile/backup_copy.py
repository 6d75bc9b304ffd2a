"""A backup of the last intact services.json, since not all modules write it safely."""

from collections.abc import Callable
from pathlib import Path

from attrs import Factory, field

from parachute_hub.modules.state.services_file import SIZE_LIMIT, Registry, RegistryRefused, ServicesFile, parse
from parachute_hub.system.atomic_files import atomic_write, private_folder, read_bounded
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.records import define
from parachute_hub.system.storage_trouble import StorageBusy


@define(kw_only=True)
class ServicesBackup:
    """Maintains the backup at `path`, and restores rows missing from a damaged file. `notice` reports it."""

    services: ServicesFile
    files: FileWriter = Factory(FileWriter)
    path: Path
    notice: Callable[[str], None]
    _seen: Registry | None = field(default=None, init=False)

    async def look(self) -> None:
        """Refresh the backup if the file changed and is intact. Costs one stat otherwise."""
        registry = self.services.read()
        if registry is self._seen:
            return
        self._seen = registry
        if registry.corrupt or registry.unreadable:
            return
        # A row that became unusable is kept in its last usable state.
        content = registry.with_rows(registry.kept_of(parse(self._copied()).rows)).to_bytes()
        if content == self._copied():
            return
        try:
            await self.files(self._write, content)
        except (OSError, StorageBusy):
            # On a full disk the backup stays outdated until there is space.
            self._seen = None

    def _write(self, content: bytes) -> None:
        private_folder(self.path.parent)
        atomic_write(self.path, content)

    async def mend(self) -> None:
        """At boot, restore rows before anything else writes the file. Never raises."""
        registry = self.services.read()
        lost = registry.kept_of(parse(self._copied()).rows)
        if not lost:
            return
        self.services.stand_in(lost)
        try:
            await self.services.update(lambda found: found.with_rows(lost))
        except RegistryRefused as error:
            self.notice(f"services.json is damaged and could not be restored from the hub's backup. {error}")
        else:
            names = ", ".join(row.name for row in lost)
            self.notice(f"services.json was damaged. These rows were restored from the hub's backup: {names}.")

    def _copied(self) -> bytes:
        """The backup's content; empty if missing or unreadable."""
        try:
            return read_bounded(self.path, SIZE_LIMIT)
        except OSError:
            return b""
