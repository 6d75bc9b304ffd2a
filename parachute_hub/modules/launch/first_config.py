"""Writes the config.json that a module of the catalog needs to start at all."""

import os
from pathlib import Path

from attrs import Factory

from parachute_hub.modules.definition.catalog import CatalogEntry
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.system import strict_json
from parachute_hub.system.atomic_files import atomic_write, private_folder
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.records import frozen


@frozen(kw_only=True)
class FirstConfig:
    """`hub` is where modules on this machine reach the hub."""

    home: Path
    hub: str
    directory: ModuleDirectory
    files: FileWriter = Factory(FileWriter)

    async def write(self, entry: CatalogEntry) -> bool:
        """Write it unless there is one, such as from an earlier installation. True if written. Raises OSError or
        StorageBusy.
        """
        path = self.home / entry.short / "config.json"
        if entry.first_config is None or os.path.lexists(path):
            return False
        words: dict[str | bool, str] = {"{hub}": self.hub, "{vault}": self._first_vault()}
        config = {name: words.get(value, value) for name, value in entry.first_config.items()}
        await self.files(private_folder, path.parent)
        await self.files(atomic_write, path, strict_json.write(config, indent=2) + b"\n")
        return True

    def _first_vault(self) -> str:
        row = self.directory.row("vault")
        mounts = self.directory.mounts(row)[0] if row is not None else ()
        return next((mount.removeprefix("/vault/") for mount in mounts if mount.startswith("/vault/")), "default")
