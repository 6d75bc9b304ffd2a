"""Removes a module's code and registration. Its data is only deleted by a separate request."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from attrs import Factory

from parachute_hub.jobs.model import Job, Undo
from parachute_hub.jobs.runner import JobFailed, Jobs, Work
from parachute_hub.modules.definition import names
from parachute_hub.modules.launch.views import base_file
from parachute_hub.modules.operations.health_gate import SupervisorApi
from parachute_hub.modules.operations.install import Wires
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.modules.state.disk_space import size_of
from parachute_hub.modules.state.records import RecordsRefused
from parachute_hub.modules.state.services_file import Registry, RegistryRefused
from parachute_hub.modules.state.store import REMOVED
from parachute_hub.site.errors import Refused
from parachute_hub.system.atomic_files import private_folder, sync_folder
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.records import frozen


@frozen(kw_only=True)
class Remover:
    """Uninstalls modules and deletes data of uninstalled ones. `in_thread` runs blocking calls."""

    home: Path
    jobs: Jobs
    directory: ModuleDirectory
    supervisor: SupervisorApi
    wiring: Wires
    files: FileWriter = Factory(FileWriter)
    in_thread: Any

    def uninstall(self, short: str) -> Job:
        """Start the job. Raises Refused 409 if the module is busy, or linked to another machine."""
        if self.directory.records.get(short).link is not None:
            raise Refused(409, "linked", f"{short} is linked to another machine. End the link first.")
        return self.jobs.start("uninstall", short, {}, lambda work: self._uninstall(work, short))

    def delete_data(self, short: str) -> Job:
        """Start a job that deletes `<home>/<short>` and its snapshots. Raises Refused 409 if the module is busy."""
        return self.jobs.start("delete-data", short, {}, lambda work: self._delete_data(work, short))

    async def _uninstall(self, work: Work, short: str) -> None:
        """Every change before the commit has an undo, so after a kill the module is either whole or gone."""
        rows, package = self.directory.written(short), self.directory.package_of(short)
        # A row that the hub cannot use is removed too, without an undo: a copy of the file is kept.
        named = (*(row.name for row in rows), *self.directory.unusable_rows(short))
        if not named and not self.directory.records.known(short):
            raise JobFailed(f"{short} is not installed.")
        record = self.directory.records.get(short) if self.directory.records.known(short) else None
        if record is None or record.wanted:
            await work.undo("start", live=True, short=short)
        await work.undo("record", short=short, record=record.to_json() if record else None)
        work.step("stop")
        await self.supervisor.stop(short)
        work.step("unregister")
        undos = [Undo("row", "", {"name": row.name, "row": row.to_json()}) for row in rows]
        if package:
            active = self.directory.store.active(short, package)
            linked = record.linked if record else None
            if active or linked:
                undos.append(
                    Undo("activate", "", {"short": short, "package": package, "folder": active, "linked": linked})
                )
        await work.undo_all(*undos, Undo("reveal", f"{short} is still installed.", {"short": short}))
        try:
            await self.directory.services.update(lambda registry: _without(registry, named))
            if package:
                await self.files(self.directory.store.deactivate, package)
            await self.files(self.directory.store.hide, short)
            await self.directory.records.put(short, None)
        except (RegistryRefused, RecordsRefused) as error:
            raise JobFailed(str(error)) from None
        await self.supervisor.remove(short)
        await self._refuse_return(named)
        await work.commit()
        work.step("remove")
        await self.in_thread(self.directory.store.forget, short)
        await self.wiring.connect(self.supervisor, work)
        work.line(f"{short} is uninstalled.")
        size = await self.in_thread(size_of, self.home / short)
        if size:
            work.line(f"Its data is kept in {self.home / short} ({size / 1048576:.1f} MiB).")

    async def _delete_data(self, work: Work, short: str) -> None:
        if self.directory.written(short) or self.directory.records.known(short):
            raise JobFailed(f"{short} is still installed. Uninstall it first, then delete its data.")
        if not names.is_short(short) or short in names.FOLDERS_OF_THE_HUB:
            raise JobFailed(f"{short} is not a module's name.")
        work.step("delete")
        hub = self.home / "hub"
        places = (self.home / short, hub / "snapshots" / short, hub / "views" / short)
        found = [place for place in places if _is_folder(place)]
        if not found:
            raise JobFailed(f"{short} has no data on this hub.")
        scratch = await self.files(private_folder, self.home / "tmp")
        hidden = [scratch / f"{REMOVED}{work.id}-{number}" for number in range(len(found))]
        for place, aside in zip(found, hidden, strict=True):
            await work.undo("put_back", f"{place} was left unchanged.", place=str(place), aside=str(aside))
            await self.files(_move, place, aside)
        await work.commit()
        for aside in hidden:
            await self.in_thread(shutil.rmtree, aside, True)
        base_file(self.home, short).unlink(missing_ok=True)
        work.line(f"The data of {short} was deleted.")

    async def _refuse_return(self, named: Iterable[str]) -> None:
        """Remove a row that the module wrote back while it stopped."""
        found = self.directory.services.read()
        if {*named} & {*(row.name for row in found.rows), *found.unusable_names}:
            await self.directory.services.update(lambda registry: _without(registry, named))


def _move(place: Path, aside: Path) -> None:
    os.rename(place, aside)
    sync_folder(place.parent)


def _is_folder(place: Path) -> bool:
    return place.is_dir() and not place.is_symlink()


def _without(registry: Registry, named: Iterable[str]) -> Registry:
    for name in named:
        registry = registry.without(name)
    return registry
