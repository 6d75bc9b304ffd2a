"""What a module host is made of: the module runtime, without site, accounts and issuer."""

import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from attrs import evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from parachute_hub.admin.modules_bodies import choices_of, settings_changes, version_of
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.installed import ModuleStatusViews
from parachute_hub.app.restart_in_place import heed_signals
from parachute_hub.app.runtime import ModuleRuntime, attending, build_engine, room_of
from parachute_hub.host.gate import Gate
from parachute_hub.host.moves import Moves
from parachute_hub.host.records import HostRecords
from parachute_hub.modules.definition import names
from parachute_hub.modules.definition.model import MANIFEST_LIMIT
from parachute_hub.modules.definition.validation import Invalid
from parachute_hub.modules.operations.install import InstallRequest
from parachute_hub.modules.operations.upgrade import UpgradeRequest
from parachute_hub.modules.state.records import variables
from parachute_hub.modules.state.vault_sizes import VaultSize, measured
from parachute_hub.proxy.front import Backend
from parachute_hub.proxy.routes import Table
from parachute_hub.settings import MODULE_PREFIX, Settings, is_origin
from parachute_hub.site.errors import Refused
from parachute_hub.supervise.model import ModuleState
from parachute_hub.system import strict_json
from parachute_hub.system.atomic_files import read_bounded
from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.heap import give_back
from parachute_hub.system.reactor_lag import LagProbe
from parachute_hub.system.records import define, frozen
from parachute_hub.system.strict_json import BadJson
from parachute_hub.system.timers import Rest, every

_DAY = 86400.0
_TRIM_SECONDS = 300.0
# One that is parked after crashes starts again by itself.
_GONE = frozenset({ModuleState.STOPPED, ModuleState.HELD})
_SETTINGS = frozenset({"memory_limit", "cpu_limit", "smol", "env", "sleep_after"})
# These apply to a module that runs.
_AT_ONCE = ("memory_limit", "cpu_limit", "sleep_after")
_MOST_FOLDERS = 1000
_HELD = "Its data is being replaced."
_log = Logger()


@frozen
class LinkedOrigins:
    """The hub's origins, for the module (implements `accounts.model.Origins`)."""

    settings: Settings
    gate: Gate

    def issuer(self) -> str:
        """The paired hub's origin."""
        hub = self.gate.hub()
        return self.settings.issuer if hub is None else hub.origin

    def bound(self) -> Sequence[str]:
        return (self.issuer(),)

    def answering(self) -> Sequence[str]:
        return (self.issuer(),)

    def variables(self) -> Mapping[str, str]:
        """What the hub gives the module, in the form of PARACHUTE_ENV_*."""
        record = self.gate.record()
        if record is None:
            return {}
        prefix = MODULE_PREFIX + record.short.upper().replace("-", "_") + "_"
        return {prefix + name: value for name, value in record.environment.items()}


@define
class HostedModule:
    """The one module (implements `host.control.Hosted`)."""

    short: str
    _engine: ModuleRuntime
    _gate: Gate
    _files: FileWriter
    _epoch: str
    _data: Path
    _moving: bool = field(default=False, init=False)

    async def state(self) -> dict[str, Any]:
        """What the hub shows of the module."""
        engine, directory = self._engine, self._engine.modules.files.directory
        row = directory.row(self.short)
        status = engine.supervisor.status(self.short)
        disk = engine.modules.disk
        in_thread = engine.modules.files.outside.in_thread
        free, total = await in_thread(lambda: (disk.free_bytes(), disk.total_bytes()))
        state = "not_installed" if row is None else "stopped" if status is None else status.supervisor_status
        if status is not None and status.state is ModuleState.STOPPING and not status.start_follows:
            state = "stopping"  # Its files still change.
        job = engine.modules.jobs.active(self.short)
        return {
            "short": self.short,
            "package": self.about()["module"],
            "version": self.about()["version"],
            "state": state,
            "message": status.reason or None if status is not None else None,
            "start_error": status.start_error if status is not None else None,
            "memory": engine.supervisor.size(self.short) if status is not None and status.pid is not None else None,
            "disk": {"free": free, "total": total},
            **{name: getattr(directory.records.get(self.short), name) for name in _AT_ONCE},
            "mounts": list(directory.mounts(row)[0]) if row is not None else [],
            "manifest": await in_thread(self._manifest),
            "job": job.id if job is not None else None,
            "epoch": self._epoch,
        }

    async def sizes(self) -> dict[str, Any]:
        """Of each folder in the module's data."""
        found = await self._engine.modules.files.outside.in_thread(_sizes, self._data)
        return {"folders": {name: {"bytes": size.total, "files_bytes": size.files} for name, size in found.items()}}

    def about(self) -> dict[str, Any]:
        """Package and version."""
        directory = self._engine.modules.files.directory
        row = directory.row(self.short)
        return {"module": directory.package_of(self.short), "version": row.version if row is not None else None}

    def _manifest(self) -> Any:
        folder = self._engine.modules.files.directory.folder(self.short)
        if folder is None:
            return None
        try:
            content = read_bounded(folder / ".parachute" / "module.json", MANIFEST_LIMIT)
            return strict_json.read(content, limit=MANIFEST_LIMIT).value
        except (OSError, BadJson):
            return None

    async def switch(self, verb: str) -> dict[str, Any]:
        """Begin to start, stop or restart it."""
        if self._engine.modules.files.directory.row(self.short) is None:
            raise Refused(409, "not_installed", f"{self.short} is not installed here yet.")
        self._need_quiet()
        supervisor = self._engine.supervisor
        change = {"start": supervisor.start, "stop": supervisor.stop, "restart": supervisor.restart}[verb]
        done = Deferred.fromCoroutine(change(self.short))
        done.addErrback(lambda failure: _log.failure("{verb} of {short} failed", failure, verb=verb, short=self.short))
        return {"state": (await self.state())["state"]}

    async def install(self, body: dict[str, Any]) -> dict[str, Any]:
        """Install the module, or change its version."""
        package = body.get("package")
        if not isinstance(package, str) or not names.is_package(package):
            raise Refused(400, "invalid_package", "package must be a package's name.")
        self._need_quiet()
        modules = self._engine.modules
        directory = modules.files.directory
        entry = directory.catalog.offers(package)
        if entry is not None and entry.short != self.short:
            raise Refused(409, "other_module", f"This is the host of {self.short}, and {package} is {entry.short}.")
        source = entry.source if entry is not None else None
        version, choices = None if source is not None else version_of(body), choices_of(body)
        if directory.row(self.short) is None:
            wanted = InstallRequest(
                short=self.short, package=package, version=version, source=source, only=True, **choices
            )
            job = modules.installer.install(wanted)
        elif directory.package_of(self.short) != package:
            raise Refused(409, "other_module", f"{directory.package_of(self.short)} is installed here, not {package}.")
        else:
            asked = UpgradeRequest(
                short=self.short,
                version=version,
                source=source,
                allow_downgrade=True,
                allow_new=choices["allow_new"],
                granted=choices["granted"],
            )
            job = modules.upgrader.upgrade(asked)
        return {"job": (await modules.jobs.recorded(job)).id}

    def job(self, job_id: str) -> dict[str, Any]:
        """An operation."""
        job = self._engine.modules.jobs.get(job_id)
        states = {"running": "running", "succeeded": "done"}
        return {
            "state": states.get(job.status, "failed"),
            "step": job.steps[-1].name if job.steps else None,
            "error": job.error,
            "detail": dict(job.error_detail) if job.error_detail else None,
            "log": list(job.log),
        }

    def logs(self, after: int, limit: int) -> dict[str, Any]:
        """The lines after a number, at most `limit` of them, the oldest first."""
        ring = self._engine.supervisor.log(self.short)
        lines = ring.since(after)[:limit] if ring is not None else []
        told = [
            {
                "n": line.number,
                "at": line.to_json()["at"],
                "stream": "hub" if line.mark else "module",
                "level": line.level,
                "mark": line.mark,
                "text": line.text,
            }
            for line in lines
        ]
        return {"epoch": self._epoch, "next": lines[-1].number if lines else after, "lines": told}

    async def configure(self, body: dict[str, Any]) -> dict[str, Any]:
        """Keep what the hub says. The module is restarted if it was started with something else."""
        origin = body.get("origin")
        if not isinstance(origin, str) or not is_origin(origin):
            raise Refused(400, "invalid_request", "origin must be the hub's origin, such as https://hub.example.com.")
        records = self._engine.modules.files.directory.records
        settings = body.get("settings") or {}
        if not isinstance(settings, dict) or not settings.keys() <= _SETTINGS:
            raise Refused(400, "invalid_request", f"settings may hold {', '.join(sorted(_SETTINGS))}.")
        try:
            environment = dict(variables(body.get("environment")) or {})
        except Invalid as error:
            raise Refused(400, "invalid_request", str(error)) from None
        new = await self._files.surely(self._gate.configure, origin, environment)
        before = records.get(self.short)
        if records.known(self.short):
            changes = settings_changes(settings, before, room_of(self._engine, self.short))
            await records.change(self.short, **changes)
            applied = {name: getattr(before, name) for name in _AT_ONCE}
            new = new or evolve(records.get(self.short), **applied) != before
        status = self._engine.supervisor.status(self.short)
        restarts = bool(new and status is not None and status.pid is not None and not self._moving)
        if restarts:
            self._engine.supervisor.restart_for(self.short, "Its hub changed its settings.")
        return {"restarted": restarts}

    async def at_rest(self, work: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        """Do something while the module does not run and cannot be started."""
        self._need_quiet()
        status = self._engine.supervisor.status(self.short)
        if status is not None and (status.state not in _GONE or status.pid is not None):
            raise Refused(409, "module_running", f"Stop {self.short} first.")
        self._moving = True
        try:
            return await work()
        finally:
            self._moving = False

    def port(self) -> int | None:
        """Where it listens once it is awake."""
        row = self._engine.modules.files.directory.row(self.short)
        return None if row is None else row.port

    def _need_quiet(self) -> None:
        if self._moving:
            raise Refused(409, "data_moves", _HELD)
        if self._engine.modules.jobs.active(self.short) is not None:
            raise Refused(409, "operation_in_progress", f"{self.short} is being installed or upgraded.")


def _sizes(data: Path) -> dict[str, VaultSize]:
    if data.is_symlink() or not data.is_dir():
        return {}
    with os.scandir(data) as entries:
        folders = list(islice((one.path for one in entries if one.is_dir(follow_symlinks=False)), _MOST_FOLDERS))
    return {Path(folder).name: measured(Path(folder)) for folder in folders}


@define(kw_only=True)
class HostComposition:
    """The running host (implements `service.Composed`)."""

    backend: Backend
    module: HostedModule
    moves: Moves
    _engine: ModuleRuntime
    _files: FileWriter
    _clock: Any
    _rest: Rest
    _lag: LagProbe
    _running: list[LoopingCall] = field(factory=list, init=False)

    async def start(self) -> None:
        """Start the module, if it is installed and shall run."""
        heed_signals()
        self._lag.startService()
        self._engine.supervisor.startService()
        self._engine.supervisor.boot([one for one in self._engine.modules.files.to_start() if one == self.module.short])
        self._running += [
            *self._engine.modules.watch(),
            self._engine.sleeper.start(self._rest),
            every(self._clock, _DAY, partial(self._files.surely, self.moves.sweep), "Deleting old data"),
            every(self._clock, _TRIM_SECONDS, give_back, "Returning free memory"),
        ]

    async def stop(self) -> None:
        """Undo jobs, stop the module."""
        for timer in self._running:
            timer.stop()
        await self._engine.modules.jobs.stop()
        self._lag.stopService()
        await self._engine.supervisor.stopService()
        self._engine.modules.files.outside.files.stop()


async def compose(core: ProcessContext, *, records: HostRecords, gate: Gate, files: FileWriter) -> HostComposition:
    """Create everything; an interrupted move is completed first, and interrupted operations are undone."""
    origins = LinkedOrigins(core.settings, gate)
    engine = build_engine(core, origins, origins.variables)
    short = records.current().short
    home: Path = core.settings.home
    moves = Moves(
        data=home / short, folder=home / "hub" / "moves", free_bytes=engine.modules.disk.free_bytes, now=time.time
    )
    await files.surely(moves.recover)
    for job in await engine.modules.recover():
        _log.warn("{kind} of {short} was interrupted. {text}", kind=job.kind, short=job.short, text=job.error or "")
    table = Table.unknown(core.settings.issuer)
    lag = LagProbe(clock=core.reactor, now=time.monotonic)

    return HostComposition(
        backend=Backend(
            table=lambda: table,
            modules=ModuleStatusViews(engine.supervisor, engine.sleeper, engine.elsewhere),
            began=attending(lag, engine),
        ),
        module=HostedModule(short, engine, gate, files, f"{core.health.instance}", home / short / "data"),
        moves=moves,
        engine=engine,
        files=files,
        clock=core.reactor,
        rest=core.rest,
        lag=lag,
    )
