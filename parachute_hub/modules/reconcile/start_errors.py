"""Writes `lastStartError` to services.json for programs that read the file."""

from collections.abc import Mapping
from typing import Any

from attrs import field

from parachute_hub.jobs.runner import Jobs
from parachute_hub.modules.operations.health_gate import SupervisorApi
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.modules.state.services_file import Registry, RegistryRefused
from parachute_hub.supervise.model import ModuleState, Status
from parachute_hub.system.records import frozen
from parachute_hub.system.timers import FailureLog

_FIELDS = ("error_type", "error_description", "binary", "why", "docs_url", "install", "sysadmin_hint", "at")


@frozen(kw_only=True)
class StartErrors:
    """Syncs the rows with the supervisor's status, except for modules with a running job."""

    directory: ModuleDirectory
    supervisor: SupervisorApi
    jobs: Jobs
    _failures: FailureLog = field(factory=FailureLog, init=False)

    async def look(self) -> None:
        """Write changes. A failed write is retried on the next call."""
        for short in self.directory.shorts():
            await self._failures.wait(f"Writing down the start error of {short}", self._compare, short)

    async def _compare(self, short: str) -> None:
        status, row = self.supervisor.status(short), self.directory.row(short)
        if status is None or row is None or self.jobs.active(short) is not None:
            return
        told = after(status, row.last_start_error)
        if told != row.last_start_error:
            await self._write(row.name, told)

    async def _write(self, name: str, told: Mapping[str, Any] | None) -> None:
        def noted(registry: Registry) -> Registry:
            row = registry.row(name)
            return registry if row is None else registry.with_row(row.with_fields(last_start_error=told))

        try:
            await self.directory.services.update(noted)
        except RegistryRefused:
            return


def after(status: Status, last: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The row's next value. A repeated failure keeps its first time."""
    if status.state is ModuleState.READY:
        return None
    error = status.start_error
    if error is None or (last and _essence(last) == _essence(error)):
        return last
    return {name: error[name] for name in _FIELDS if name in error}


def _essence(error: Mapping[str, Any]) -> tuple[Any, Any]:
    return error.get("error_type"), error.get("error_description")
