"""Installs updates at night, for the modules whose owner wants that. The upgrade is the one that a person starts."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from attrs import field

from parachute_hub.jobs.model import Job
from parachute_hub.modules.definition.versions import is_newer
from parachute_hub.modules.operations.upgrade import UpgradeRequest
from parachute_hub.modules.packages.updates import Availability
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.site.errors import Refused
from parachute_hub.system.records import define

TICK_SECONDS: Final = 60.0
HOURS: Final = (3, 4)
"""The hours of the machine's day in which updates are installed."""

AGAIN_AFTER: Final = 3 * 86400.0
"""When a version that failed is tried once more. Packages outside the catalog have to be this old, too."""

MOST_TRIES: Final = 2
_DAY: Final = 86400.0


class Upgrades(Protocol):
    """Starts upgrades; implemented by `upgrade.Upgrader`."""

    def upgrade(self, request: UpgradeRequest) -> Job:
        """Raises Refused 409 if the module is busy."""


class KnowsJobs(Protocol):
    """The operations that are recorded; implemented by `jobs.runner.Jobs`."""

    def all(self) -> Sequence[Job]: ...


@define(kw_only=True)
class NightUpdates:
    """One module after the other. `hour` gives the hour of the machine's day (0 to 23) at a time in epoch seconds."""

    directory: ModuleDirectory
    availability: Availability
    upgrader: Upgrades
    jobs: KnowsJobs
    channel: Callable[[], str]
    now: Callable[[], float]
    hour: Callable[[float], int]
    _asked_at: float = field(default=0.0, init=False)

    async def tick(self) -> None:
        """Start what is due. Called every TICK_SECONDS."""
        now = self.now()
        wanted = self._wanted()
        if self.hour(now) not in HOURS or not wanted or self._busy():
            return
        if now - self._asked_at > _DAY / 2:
            self._asked_at = now
            await self.availability.renew(package for _, package in wanted)
        for short, package in wanted:
            request = self._request(short, package)
            if request is not None and may_try(self.jobs.all(), request, now):
                try:
                    self.upgrader.upgrade(request)
                except Refused:
                    continue
                return

    def _busy(self) -> bool:
        return any(not job.over for job in self.jobs.all())

    def _wanted(self) -> list[tuple[str, str]]:
        """Short names and packages of the modules that are updated at night."""
        found = []
        for short in self.directory.shorts():
            record, package = self.directory.records.get(short), self.directory.package_of(short)
            if record.night and not record.pin and not record.linked and package is not None:
                found.append((short, package))
        return found

    def _request(self, short: str, package: str) -> UpgradeRequest | None:
        """The newer version, by its number; one with a source has only that."""
        row = self.directory.row(short)
        newer = self.availability.known(package, self.channel())
        if row is None or newer is None or not is_newer(newer, row.version):
            return None
        return UpgradeRequest(short=short, version=None if self.directory.catalog.source(package) else newer)


def may_try(jobs: Iterable[Job], request: UpgradeRequest, now: float) -> bool:
    """Whether a version may be tried: twice at most, and the second time some days after the first."""
    failed = [
        job.started_at
        for job in jobs
        if (job.kind, job.short, job.status) == ("upgrade", request.short, "failed")
        and job.params.get("version") == request.version
    ]
    return len(failed) < MOST_TRIES and (not failed or now - max(failed) >= AGAIN_AFTER)
