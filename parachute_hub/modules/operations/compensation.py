"""Undo handlers for jobs. Each is idempotent and survives a kill at any point."""

import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import Factory

from parachute_hub.modules.definition.model import ServiceRow
from parachute_hub.modules.operations.health_gate import SupervisorApi
from parachute_hub.modules.state.data_swap import DataSwap
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.modules.state.records import Record
from parachute_hub.modules.state.snapshots import Snapshots
from parachute_hub.system.atomic_files import sync_folder
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.records import frozen


@frozen(kw_only=True)
class UndoHandlers:
    """The handlers by name, for `Jobs`."""

    directory: ModuleDirectory
    snapshots: Snapshots
    swap: DataSwap
    supervisor: SupervisorApi
    files: FileWriter = Factory(FileWriter)
    in_thread: Callable[..., Awaitable[Any]]

    def handlers(self) -> dict[str, Callable[[Mapping[str, Any]], Awaitable[None]]]:
        """The handlers that `Work.undo` can name."""
        return {
            "discard": self._discard,
            "settle": self._settle,
            "activate": self._activate,
            "row": self._row,
            "record": self._record,
            "stop": self._stop,
            "remove": self._remove,
            "start": self._start,
            "reveal": self._reveal,
            "restore_data": self._restore_data,
            "put_back": self._put_back,
            "swap_back": self._swap_back,
        }

    async def _discard(self, given: Mapping[str, Any]) -> None:
        """Delete an unused folder of the store."""
        await self.in_thread(self.directory.store.discard, given["short"], given["folder"])

    async def _settle(self, given: Mapping[str, Any]) -> None:
        """Sync what bun put into its cache."""
        await self.in_thread(os.sync)

    async def _activate(self, given: Mapping[str, Any]) -> None:
        """Reactivate another version: a folder of the store, a linked folder, or none."""
        short, package = given["short"], given["package"]
        if given.get("linked"):
            await self.files(self.directory.store.link_folder, package, Path(given["linked"]))
        elif given["folder"] is None:
            await self.files(self.directory.store.deactivate, package)
        else:
            await self.files(self.directory.store.activate, short, package, given["folder"])

    async def _row(self, given: Mapping[str, Any]) -> None:
        """Restore or remove a row of services.json."""
        raw = given["row"]
        row = ServiceRow.parse(raw) if raw is not None else None
        name = given["name"]
        await self.directory.services.update(lambda registry: registry.with_row(row) if row else registry.without(name))

    async def _record(self, given: Mapping[str, Any]) -> None:
        """Restore or remove the hub's record of the module."""
        raw = given["record"]
        await self.directory.records.put(given["short"], Record.parse(raw) if raw is not None else None)

    async def _stop(self, given: Mapping[str, Any]) -> None:
        """Stop the module. The supervisor keeps it, so that the next start waits for leftover processes."""
        await self.supervisor.stop(given["short"])

    async def _remove(self, given: Mapping[str, Any]) -> None:
        """Stop the module and remove it from the supervisor."""
        await self.supervisor.remove(given["short"])

    async def _start(self, given: Mapping[str, Any]) -> None:
        await self.supervisor.start(given["short"])

    async def _reveal(self, given: Mapping[str, Any]) -> None:
        """Restore versions hidden by an uninstall."""
        await self.files(self.directory.store.reveal, given["short"])

    async def _restore_data(self, given: Mapping[str, Any]) -> None:
        """Put back data that was set aside for a restore."""
        await self.in_thread(self.snapshots.back_out, given["short"], given["name"])

    async def _put_back(self, given: Mapping[str, Any]) -> None:
        """Put back a folder that was set aside for deletion."""
        await self.files(_move_back, Path(given["place"]), Path(given["aside"]))

    async def _swap_back(self, given: Mapping[str, Any]) -> None:
        """Put back data that was exchanged for data of a backup."""
        await self.in_thread(self.swap.swap_back, given["short"], given["name"], given["place"])


def _move_back(place: Path, aside: Path) -> None:
    if aside.is_dir() and not place.exists():
        os.rename(aside, place)
        sync_folder(place.parent)
