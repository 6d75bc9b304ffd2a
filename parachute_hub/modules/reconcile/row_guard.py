"""Restores lost rows and ports: modules write services.json without a lock, so two that start together may lose one."""

from collections.abc import Callable
from functools import partial

from attrs import field

from parachute_hub.jobs.runner import Jobs
from parachute_hub.modules.definition.model import ServiceRow
from parachute_hub.modules.operations.health_gate import SupervisorApi
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.modules.state.services_file import Registry, RegistryRefused, with_port
from parachute_hub.supervise.model import ModuleState
from parachute_hub.system.records import define
from parachute_hub.system.timers import FailureLog

# All but one that somebody switched off.
_ALIVE = frozenset(ModuleState) - {ModuleState.STOPPED}


@define(kw_only=True)
class RowKeeper:
    """Restores rows of running modules and ports in rows of installed ones, unless a job is working on the module."""

    directory: ModuleDirectory
    supervisor: SupervisorApi
    jobs: Jobs
    notice: Callable[[str], None]
    # The content that was looked at last, and the rows that belong there: its own, and lost ones to be restored.
    _looked_at: Registry | None = field(default=None, init=False)
    _belonging: tuple[ServiceRow, ...] = field(default=(), init=False)
    _failures: FailureLog = field(factory=FailureLog, init=False)

    async def look(self) -> None:
        """Compare with the previous state. Costs one stat while the file is unchanged."""
        registry = self.directory.services.read()
        if registry is self._looked_at:
            return
        # What changes while these are written is seen by the next look.
        self._looked_at = registry
        present = {row.name for row in registry.rows}
        lost = [row for row in self._belonging if row.name not in present]
        # One that is restored may be lost again before the next look.
        self._belonging = (*registry.rows, *filter(self._is_missed, lost))
        for row in filter(self._is_missed, lost):
            await self._failures.wait(f"Keeping the row of {row.name}", self._put_back, row)
        for row in self.directory.installed():
            await self._failures.wait(f"Keeping the port of {row.name}", self._keep_port, row)

    async def _keep_port(self, row: ServiceRow) -> None:
        services, short = self.directory.services, self.directory.short_of(row.name)
        written = services.read().row(row.name)
        if written is None or written.port == row.port or self.jobs.active(short) is not None:
            return
        await services.update(partial(with_port, name=row.name, port=row.port))
        self.notice(f"The row of {row.name} named port {written.port}. It is {row.port} again, as the hub assigned it.")

    def _is_missed(self, row: ServiceRow) -> bool:
        short = self.directory.short_of(row.name)
        status = self.supervisor.status(short)
        return status is not None and status.state in _ALIVE and self.jobs.active(short) is None

    async def _put_back(self, row: ServiceRow) -> None:
        spoilt = row.name in self.directory.services.read().unusable_names
        how = "became unusable in services.json" if spoilt else "vanished from services.json"
        try:
            await self.directory.services.update(lambda registry: registry.with_row(row))
        except RegistryRefused as error:
            self.notice(f"The row of {row.name} {how} and could not be restored. {error}")
        else:
            self.notice(f"The row of {row.name} {how} and was restored.")
