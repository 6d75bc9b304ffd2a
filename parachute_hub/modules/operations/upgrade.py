"""Switches an installed module to another version. If it is not healthy within a minute, the switch is undone.

The old version keeps running during the download, and its folder is kept for a manual rollback.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from attrs import Factory, evolve

from parachute_hub.jobs.model import Job, Undo
from parachute_hub.jobs.runner import JobFailed, Jobs, Work
from parachute_hub.modules.definition import manifests
from parachute_hub.modules.definition.manifests import Package
from parachute_hub.modules.definition.model import ServiceRow
from parachute_hub.modules.definition.permissions import Permissions
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.modules.definition.versions import Version, is_newer
from parachute_hub.modules.operations.agreement import agree
from parachute_hub.modules.operations.health_gate import HealthGate, SupervisorApi
from parachute_hub.modules.operations.install import settle_row, stamped_versions
from parachute_hub.modules.packages.fetcher import Fetcher, FetchRequest
from parachute_hub.modules.packages.updates import Availability
from parachute_hub.modules.state.directory import ModuleDirectory, effective
from parachute_hub.modules.state.records import Record, RecordsRefused
from parachute_hub.modules.state.services_file import RegistryRefused
from parachute_hub.modules.state.snapshots import Snapshots
from parachute_hub.modules.state.store import OLDER, BadPackage
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.records import frozen

GATE_SECONDS = 60.0
SETTLE_SECONDS = 2.0


@frozen(kw_only=True)
class UpgradeRequest:
    """What to upgrade. `version` is a version or tag; None means the channel's newest.

    `allow_new` accepts a release that is only hours old. `granted` are the permissions that the owner agreed to, if the
    new version requests more.
    """

    short: str
    version: str | None = None
    source: Path | None = None
    allow_downgrade: bool = False
    allow_new: bool = False
    granted: Permissions | None = None

    def params(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "source": str(self.source) if self.source else None,
            "allow_downgrade": self.allow_downgrade,
            "granted": self.granted.to_json() if self.granted else None,
            "allow_new": self.allow_new,
        }

    def chosen(self) -> dict[str, Any]:
        """The body that would ask for the same again."""
        chosen = {
            "version": self.version,
            "allow_downgrade": self.allow_downgrade or None,
            "allow_new": self.allow_new or None,
            "permissions": self.granted.to_json() if self.granted else None,
        }
        return {name: value for name, value in chosen.items() if value is not None}


AWAY: Final = "The data of {short} is on another machine. Bring it back here first."


@frozen(kw_only=True)
class _Installed:
    """A module's state before the switch. `row` is as written in services.json.

    `kept` names the version for a rollback: its folder in the store, or where the older hub installed it.
    """

    short: str
    row: ServiceRow
    record: Record
    package: Package
    folder: str | None
    kept: str | None


@frozen(kw_only=True)
class Upgrader:
    """Changes versions of modules. `settle` is how many seconds a new version must stay healthy."""

    jobs: Jobs
    directory: ModuleDirectory
    files: FileWriter = Factory(FileWriter)
    fetcher: Fetcher
    prover: HealthGate
    supervisor: SupervisorApi
    snapshots: Snapshots
    availability: Availability
    channel: Callable[[], str]
    gate: float = GATE_SECONDS
    settle: float = SETTLE_SECONDS

    def upgrade(self, request: UpgradeRequest) -> Job:
        """Start the job. Raises Refused 409 if the module is busy."""
        return self.jobs.start("upgrade", request.short, request.params(), lambda work: self._told(work, request))

    def rollback(self, short: str, *, restore_data: bool = False) -> Job:
        """Go back to the previous version. `restore_data` also restores its data from before the upgrade.

        The snapshot is kept, so that it can be restored later as well.
        """
        params = {"restore_data": restore_data}
        return self.jobs.start("rollback", short, params, lambda work: self._rollback(work, short, restore_data))

    def restore(self, short: str) -> Job:
        """Restore the data from before the last upgrade and keep the version."""
        return self.jobs.start("restore-data", short, {}, lambda work: self._restore(work, short))

    async def _told(self, work: Work, request: UpgradeRequest) -> None:
        try:
            await self._upgrade(work, request)
        except JobFailed as failed:
            if failed.detail is not None:
                failed.detail["chosen"] = request.chosen()
            raise

    async def _upgrade(self, work: Work, request: UpgradeRequest) -> None:
        work.step("check")
        installed = self._installed(request.short)
        link = self.directory.elsewhere(request.short)
        if link is not None and not link.paired:
            raise JobFailed(f"{request.short} runs on a server that this hub does not steer. Update it there.")
        if installed.record.pin and request.version is None:
            raise JobFailed(
                f"{request.short} is pinned to {installed.package.version}. Unpin it first, or name a version."
            )
        entry = self.directory.catalog.offers(installed.package.name)
        source = request.source or (entry.source if entry and request.version is None else None)
        version = None
        if source is None:
            version = await self._target(request, installed)
            if version is None:
                work.line(_kept(request, installed))
                return
        order = FetchRequest(
            short=request.short,
            package=installed.package.name,
            version=version,
            source=source,
            allow_new=request.allow_new,
            without_optional=installed.record.without_optional,
        )
        arrival = await self.fetcher.fetch(work, order)
        if not request.allow_downgrade and is_newer(installed.package.version, arrival.package.version):
            raise JobFailed(_older(request.short, arrival.package.version, installed.package.version))
        if request.source is None and arrival.package.version == installed.package.version:
            await self.fetcher.in_thread(self.directory.store.discard, arrival.short, arrival.incoming.name)
            await self.fetcher.settle()
            work.line(_kept(request, installed))
            return
        if arrival.row_name != installed.row.name:
            raise JobFailed(f'The new version calls itself "{arrival.row_name}", not "{installed.row.name}".')
        asked = effective(arrival.manifest, self.directory.vouched(request.short))
        agree(request.short, arrival.package.name, asked, request.granted or self.directory.permissions(request.short))
        placed = await self.fetcher.place(work, arrival)
        await work.whole(self.fetcher.settle())
        wanted = await self._stop(work, installed)
        copy = await self._snapshot(work, installed)
        await self._switch(work, installed, arrival.package, placed, wanted)
        if copy is not None:
            await self.fetcher.in_thread(self.snapshots.keep_only, request.short, copy)

    async def _rollback(self, work: Work, short: str, restore_data: bool) -> None:
        work.step("check")
        installed = self._installed(short)
        previous = installed.record.previous
        folder = self.directory.store.folder(short, installed.package.name, previous) if previous else None
        try:
            package = manifests.read_package(folder) if folder else None
        except Invalid:
            package = None
        if previous is None or package is None:
            raise JobFailed(f"No earlier version of {short} is kept. Install the version you want by its number.")
        if restore_data and self.directory.elsewhere(short) is not None:
            raise JobFailed(AWAY.format(short=short))
        data = self.snapshots.latest(short, _of(previous)) if restore_data else None
        if restore_data and data is None:
            raise JobFailed(f"No data of {short} {package.version} is kept. Go back without restoring data.")
        wanted = await self._stop(work, installed)
        if data is not None:
            await self._bring_back(work, short, data)
        await self._switch(work, installed, package, previous, wanted)
        if data is not None:
            await self.fetcher.in_thread(self.snapshots.settle, short, data)

    async def _restore(self, work: Work, short: str) -> None:
        work.step("check")
        installed = self._installed(short)
        if self.directory.elsewhere(short) is not None:
            raise JobFailed(AWAY.format(short=short))
        data = self.snapshots.latest(short)
        if data is None:
            raise JobFailed(f"No earlier data of {short} is kept.")
        wanted = await self._stop(work, installed)
        await self._bring_back(work, short, data)
        if wanted:
            work.step("start")
            await work.undo("stop", short=short)
            await self.directory.records.want(short, True)
            await self.prover.prove(work, short, self.gate, self.settle)
        await work.commit()
        await self.fetcher.in_thread(self.snapshots.settle, short, data)
        work.line(f"The data of {short} from before its last upgrade was restored.")

    async def _stop(self, work: Work, installed: _Installed) -> bool:
        """Stop it until the job ends. Returns whether it should run afterwards."""
        short, wanted = installed.short, self.directory.records.wanted(installed.short)
        if wanted:
            await work.undo("start", live=True, short=short)
        await work.undo("record", short=short, record=installed.record.to_json())
        if wanted:
            work.step("stop")
            await self.supervisor.stop(short)
        return wanted

    async def _bring_back(self, work: Work, short: str, data: str) -> None:
        work.step("restore data")
        await work.undo("restore_data", "Its data was left unchanged.", short=short, name=data)
        await work.whole(self.fetcher.in_thread(self.snapshots.restore, short, data))

    async def _switch(self, work: Work, old: _Installed, package: Package, folder: str, wanted: bool) -> None:
        """Switch versions. Everything is undone if the new one does not work."""
        short = old.short
        work.step("switch")
        active = {"short": short, "package": package.name, "folder": old.folder, "linked": old.record.linked}
        await work.undo_all(
            Undo("row", "", {"name": old.row.name, "row": old.row.to_json()}),
            Undo("activate", f"{short} {old.package.version} is active again.", active),
        )
        try:
            await self.files(self.directory.store.activate, short, package.name, folder)
            await self._repoint(old.row.name, package)
            await self.directory.records.change(
                short, package=package.name, row=old.row.name, previous=old.kept, linked=None, wanted=wanted
            )
        except (BadPackage, RegistryRefused, RecordsRefused) as error:
            raise JobFailed(str(error)) from None
        if wanted:
            work.step("start")
            await work.undo("stop", short=short)
            await self.prover.prove(work, short, self.gate, self.settle)
        work.step("finish")
        await settle_row(self.directory.services, old.row.name, package, self._place(package))
        await work.commit()
        keep = {folder, old.kept, *stamped_versions(self.directory.services.read(), self.directory.store)}
        await self.fetcher.in_thread(self.directory.store.prune, short, keep)
        work.line(_switched(short, old.package.version, package.version))

    async def _snapshot(self, work: Work, old: _Installed) -> str | None:
        """Take a snapshot of the module's data. Returns its name, or None if none could be taken.

        The snapshot of an earlier version is only deleted after the upgrade has succeeded.
        """
        work.step("snapshot")
        version = _of(old.kept or "elsewhere")
        name = f"{version}{work.id}"
        size = await work.whole(self.fetcher.in_thread(self.snapshots.take, old.short, name))
        if size is None:
            work.line("No copy of its data was made: there is no data, or not enough disk space.")
            return None
        work.measured(size)
        work.line("A copy of its data is kept in case you want to restore it.")
        await work.whole(self.fetcher.in_thread(self.snapshots.keep_only, old.short, name, version))
        return name

    async def _repoint(self, name: str, package: Package) -> None:
        """Point the row at the active link: the old version may have written its own folder there."""
        link = self._place(package)
        await self.directory.services.update(
            lambda registry: (
                registry.with_row(evolve(row, install_dir=link, last_start_error=None))
                if (row := registry.row(name))
                else registry
            )
        )

    def _place(self, package: Package) -> str:
        """Where the active version is."""
        store = self.directory.store
        return str(store.locate(package.name) or store.link(package.name))

    def _installed(self, short: str) -> _Installed:
        """Raises JobFailed if there is nothing to switch."""
        ours, package_name = self.directory.row(short), self.directory.package_of(short)
        row = next((row for row in self.directory.written(short) if ours and row.name == ours.name), None)
        place = self.directory.store.locate(package_name) if package_name else None
        try:
            package = manifests.read_package(place) if place else None
        except Invalid:
            package = None
        if row is None or package is None:
            raise JobFailed(f"{short} is not installed. Install it first.")
        record, folder = self.directory.records.get(short), self.directory.store.active(short, package.name)
        older = folder is None and record.linked is None and place == self.directory.store.older(package.name)
        return _Installed(
            short=short,
            row=row,
            record=record,
            package=package,
            folder=folder,
            kept=f"{package.version}{OLDER}" if older else folder,
        )

    async def _target(self, request: UpgradeRequest, installed: _Installed) -> str | None:
        """The version to fetch; None if the channel has no newer one. Raises JobFailed."""
        current = installed.package.version
        version = request.version
        if version is None:
            newest = await self.availability.ask(installed.package.name, self.channel())
            return newest if is_newer(newest, current) else None
        if Version.parse(version) and not request.allow_downgrade and is_newer(current, version):
            raise JobFailed(_older(request.short, version, current))
        return None if version == current else version


def _of(folder: str) -> str:
    """The prefix of snapshot names for this version."""
    return f"{folder}_"


def _kept(request: UpgradeRequest, installed: _Installed) -> str:
    which = "is the newest version" if request.version is None else "is installed already"
    return f"{installed.short} {installed.package.version} {which}. Nothing was changed."


def _switched(short: str, before: str, after: str) -> str:
    """What a switch has done.

    >>> _switched("hello", "0.1.0", "0.2.0"), _switched("hello", "0.1.0", "0.1.0")
    ('hello went from 0.1.0 to 0.2.0.', 'hello 0.1.0 was replaced by another build of the same version.')
    """
    if before == after:
        return f"{short} {after} was replaced by another build of the same version."
    return f"{short} went from {before} to {after}."


def _older(short: str, asked: str, current: str) -> str:
    return f"{asked} is older than {short} {current}, which is installed. To downgrade, confirm it explicitly."
