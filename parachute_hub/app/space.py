"""Composes `/api/space`."""

import shutil
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from klein import Klein

from parachute_hub.accounts.assemble import Accounts
from parachute_hub.admin.space_api import Leftover, SpaceApi
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.runtime import ModuleRuntime
from parachute_hub.app.vault_exports import VaultExports
from parachute_hub.app.vault_room import MeasuredRoom
from parachute_hub.modules.assembly import ModuleServices
from parachute_hub.modules.state.disk_space import size_of
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.system.records import frozen


@frozen
class HubLeftovers:
    """Implements `admin.space_api.Leftovers`.

    Downloads are what packages were installed from, with the versions that nothing needs. Copies are the data of
    modules from before updates. Logs are the older of each pair of files.
    """

    home: Path
    modules: ModuleServices
    in_thread: Callable[..., Awaitable[Any]]

    async def look(self) -> Sequence[Leftover]:
        found: list[Leftover] = await self.in_thread(self._look)
        return found

    async def clear(self, what: str) -> int:
        if what not in ("downloads", "copies", "logs"):
            raise not_found("There is nothing of this kind to clear: downloads, copies and logs can be cleared.")
        if what != "logs" and any(not job.over for job in self.modules.jobs.all()):
            raise Refused(409, "operation_in_progress", "Wait until the current operation has finished.")
        freed: int = await self.in_thread(self.modules.clear if what == "downloads" else self._clear, *_named(what))
        return freed

    def _look(self) -> list[Leftover]:
        cache = self.home / "modules" / "install" / "cache"
        found = [Leftover("downloads", size_of(cache), None)]
        for what in ("copies", "logs"):
            places = self._places(what)
            total = sum(size_of(place) if place.is_dir() else place.stat().st_size for place in places)
            found.append(Leftover(what, total, min((place.stat().st_mtime for place in places), default=None)))
        return found

    def _clear(self, what: str) -> int:
        before = self.modules.disk.free_bytes()
        for place in self._places(what):
            if place.is_dir():
                # Renamed first, so that no partial copy remains; what cannot be deleted is swept at the next boot.
                gone = place.with_name(f".gone-{place.name}")
                with suppress(OSError):
                    place.rename(gone)
                shutil.rmtree(gone, ignore_errors=True)
            else:
                place.unlink(missing_ok=True)
        return max(0, self.modules.disk.free_bytes() - before)

    def _places(self, what: str) -> list[Path]:
        if what == "logs":
            return [*(self.home / "hub" / "logs").glob("*.log.1")]
        return [copy for copy in (self.home / "hub" / "snapshots").glob("*/*") if not copy.name.startswith(".")]


def _named(what: str) -> tuple[str, ...]:
    return () if what == "downloads" else (what,)


def space_app(
    core: ProcessContext,
    engine: ModuleRuntime,
    accounts: Accounts,
    who: Authenticator,
    room: MeasuredRoom,
    trash: VaultExports,
) -> Klein:
    """The API of what takes room: `/api/space`."""
    disk = engine.modules.disk
    return SpaceApi(
        who=who,
        people=accounts.people,
        space=lambda: (disk.free_bytes(), disk.total_bytes()),
        sizes=room.measure,
        quotas=accounts.quotas.vaults,
        counts=lambda: room.counts,
        leftovers=HubLeftovers(core.settings.home, engine.modules, engine.modules.files.outside.in_thread),
        trash=trash,
        done=accounts.trail.done,
    ).app
