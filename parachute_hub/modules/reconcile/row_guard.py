"""Restores lost rows and ports: modules write services.json without a lock, so two that start together may lose one."""

from collections.abc import Callable
from functools import partial

from attrs import define, field

from parachute_hub.jobs.runner import Jobs
from parachute_hub.modules.definition.model import ServiceRow
from parachute_hub.modules.operations.health_gate import SupervisorApi
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.modules.state.services_file import RegistryRefused, with_port
from parachute_hub.supervise.model import ModuleState
from parachute_hub.system.timers import FailureLog

_ALIVE = frozenset({ModuleState.READY, ModuleState.DEGRADED, ModuleState.STARTING, ModuleState.BACKOFF})


@define(kw_only=True)
class RowKeeper:
    """Restores rows of running modules and ports in rows of installed ones, unless a job is working on the module."""

    directory: ModuleDirectory
    supervisor: SupervisorApi
    jobs: Jobs
    notice: Callable[[str], None]
    _seen: tuple[ServiceRow, ...] = field(default=(), init=False)
    _failures: FailureLog = field(factory=FailureLog, init=False)

    async def look(self) -> None:
        """Compare with the previous state. Costs one stat while the file is unchanged."""
        rows = self.directory.services.read().rows
        if rows is self._seen:
            return
        present = {row.name for row in rows}
        lost = [row for row in self._seen if row.name not in present]
        # What changes while these are written is seen by the next look.
        self._seen = rows
        for row in lost:
            await self._failures.wait(f"Keeping the row of {row.name}", self._keep, row)
        for row in self.directory.installed():
            await self._failures.wait(f"Keeping the port of {row.name}", self._keep_port, row)

    async def _keep_port(self, row: ServiceRow) -> None:
        services, short = self.directory.services, self.directory.short_of(row.name)
        written = services.read().row(row.name)
        if written is None or written.port == row.port or self.jobs.active(short) is not None:
            return
        await services.update(partial(with_port, name=row.name, port=row.port))
        self.notice(f"The row of {row.name} named port {written.port}. It is {row.port} again, as the hub assigned it.")

    async def _keep(self, row: ServiceRow) -> None:
        if self._is_missed(self.directory.short_of(row.name)):
            await self._put_back(row)

    def _is_missed(self, short: str) -> bool:
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
