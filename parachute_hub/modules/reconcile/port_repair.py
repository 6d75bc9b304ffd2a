"""Repairs port drift on request."""

from collections.abc import Callable
from functools import partial

from parachute_hub.modules.definition import ports
from parachute_hub.modules.operations.health_gate import SupervisorApi
from parachute_hub.modules.reconcile import port_drift
from parachute_hub.modules.reconcile.port_drift import Kind, NoRemedy, PortState
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.modules.state.records import RecordsRefused
from parachute_hub.modules.state.services_file import RegistryRefused, with_port
from parachute_hub.site.errors import Refused
from parachute_hub.supervise.model import ModuleState, Status
from parachute_hub.system.records import frozen


@frozen(kw_only=True)
class PortHealer:
    """`hub_ports` are never assigned; `busy` tells whether a port is in use."""

    directory: ModuleDirectory
    supervisor: SupervisorApi
    hub_ports: tuple[int, ...]
    busy: Callable[[int], bool]

    def kind(self, short: str) -> Kind | None:
        """The module's port drift, if any. Cheap: pages call it for every module."""
        standing = self._standing(short)
        return None if standing is None else port_drift.kind(standing)

    async def heal(self, short: str) -> tuple[str, Status]:
        """Repair and restart. Returns what was done and the new status. Raises Refused, in which case nothing was
        changed.
        """
        standing = self._standing(short)
        if standing is None:
            raise Refused(400, "not_running", f"{short} is not running. Start it first.")
        services = self.directory.services
        row = self.directory.row(short)
        others = self.directory.ports() - ({row.port} if row is not None else set())
        listens = await self.supervisor.listens(short)
        try:
            remedy = port_drift.remedy(short, standing, listens, {*others, *self.hub_ports}, self.busy)
        except (NoRemedy, ports.NoPort) as error:
            raise Refused(409, "no_drift", str(error)) from None
        if remedy.port is not None and row is not None:
            try:
                await self.directory.records.change(short, port=remedy.port)
                await services.update(partial(with_port, name=row.name, port=remedy.port))
            except (RegistryRefused, RecordsRefused) as error:
                raise Refused(409, "registry_refused", str(error)) from None
        return remedy.text, await self.supervisor.restart(short)

    def _standing(self, short: str) -> PortState | None:
        row, status = self.directory.row(short), self.supervisor.status(short)
        if row is None or status is None:
            return None
        return PortState(
            row=row.port,
            given=status.port if status.pid is not None else None,
            error=status.start_error or {},
            well=status.state in (ModuleState.READY, ModuleState.DEGRADED),
        )
