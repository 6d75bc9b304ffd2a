"""Disk usage by module, and clearing space."""

from collections.abc import Awaitable, Callable
from typing import Any

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.modules.assembly import ModuleServices
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator
from parachute_hub.site.errors import Refused
from parachute_hub.system.doer import Done


class DiskArea:
    """`/api/modules/disk`."""

    app: Klein = area()

    def __init__(
        self, *, who: Authenticator, modules: ModuleServices, in_thread: Callable[..., Awaitable[Any]], done: Done
    ) -> None:
        """`in_thread` runs a blocking call in a thread."""
        self._who = who
        self._modules = modules
        self._in_thread = in_thread
        self._done = done

    @app.route("/api/modules/disk", methods=["GET"])
    async def disk(self, request: IRequest) -> bytes:
        """Disk usage by owner."""
        self._who.need(request, ADMIN)
        disk = self._modules.disk
        owners = await self._in_thread(disk.owners, self._modules.files.directory.shorts())
        told = [owner.to_json() for owner in owners]
        return as_json(request, {"total": disk.total_bytes(), "free": disk.free_bytes(), "owners": told})

    @app.route("/api/modules/disk/clear", methods=["POST"])
    async def clear(self, request: IRequest) -> bytes:
        """Empty bun's cache and delete unneeded versions."""
        self._who.need(request, ADMIN)
        if any(not job.over for job in self._modules.jobs.all()):
            raise Refused(409, "operation_in_progress", "Wait until the current operation has finished.")
        freed = await self._in_thread(self._modules.clear)
        await self._done("disk-cleared")
        return as_json(request, {"freed": freed})
