"""Gathers the hub's figures for `/metrics`."""

import time
from collections.abc import Callable
from typing import Protocol

import psutil

from parachute_hub import __version__
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.runtime import ModuleRuntime
from parachute_hub.app.tally import Tally
from parachute_hub.backup.records import BackupState
from parachute_hub.proxy.metrics import Metrics
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.root import MountedArea, later
from parachute_hub.supervise.model import ModuleState, Status
from parachute_hub.system.loading import lazily
from parachute_hub.system.records import frozen

with lazily():
    from parachute_hub.site import metrics as pages
    from parachute_hub.site import openmetrics

_STATES = tuple(state.value for state in ModuleState)


class DiskSize(Protocol):
    """The disk that holds the home."""

    def total_bytes(self) -> int: ...

    def free_bytes(self) -> int: ...


@frozen(kw_only=True)
class Gatherer:
    """`figures` reads counters that are kept anyway: a request for metrics measures nothing but the disk."""

    engine: ModuleRuntime
    metrics: Metrics
    tally: Tally
    disk: DiskSize
    backups: Callable[[], BackupState]
    started_at: float

    def figures(self) -> "openmetrics.Figures":
        """All figures now."""
        container = self.engine.supervisor.container()
        backups = self.backups()
        jobs = self.engine.modules.jobs.all()
        good = [copy.made_at for copy in backups.copies if copy.verified_at is not None]
        return openmetrics.Figures(
            version=__version__,
            started_at=self.started_at,
            processor=time.process_time(),
            memory_limit=container.limit,
            memory_used=container.used,
            memory_hub=psutil.Process().memory_info().rss,
            disk_total=self.disk.total_bytes(),
            disk_free=self.disk.free_bytes(),
            traffic=[
                openmetrics.Traffic(
                    module=short,
                    by_class={f"{digit}xx": count for digit, count in enumerate(found.by_class) if count},
                    sent=found.sent,
                    received=found.received,
                    seconds=found.seconds,
                    below=found.cumulative(),
                )
                for short, found in self.metrics.all()
            ],
            modules=[self._module(status) for status in self.engine.supervisor.all()],
            running_jobs=sum(not job.over for job in jobs),
            jobs=self.tally.jobs,
            sign_ins=self.tally.sign_ins,
            token_requests=self.tally.token_requests,
            refusals=self.tally.refusals,
            backups=len(backups.copies),
            verified_at=max(good, default=None),
        )

    def _module(self, status: Status) -> "openmetrics.ModuleFigures":
        history = self.engine.supervisor.memory(status.short)
        used = self.engine.supervisor.processor(status.short)
        running = status.pid is not None and history is not None and history.recent
        return openmetrics.ModuleFigures(
            short=status.short,
            state=status.state.value,
            states=_STATES,
            restarts=status.restarts,
            memory=history.recent[-1] * 1024 if history is not None and running else None,
            processor=0.0 if used is None else used.seconds,
        )


@frozen
class MetricsRoom:
    """The page."""

    _gatherer: Gatherer

    def part(self, who: Authenticator) -> MountedArea:
        """`/metrics`, and the same for the admin app."""
        gatherer = self._gatherer
        return later(
            ("/metrics", "/api/metrics"),
            (pages, openmetrics),
            lambda: (
                pages.MetricsArea(
                    who, gatherer.figures, gatherer.metrics.as_json, gatherer.engine.modules.files.outside.in_thread
                ).app
            ),
        )


def build_metrics(
    core: ProcessContext, engine: ModuleRuntime, tally: Tally, backups: Callable[[], BackupState]
) -> MetricsRoom:
    """Begin to count."""
    engine.bus.subscribe(tally.heard, since=0)
    gatherer = Gatherer(
        engine=engine,
        metrics=core.front.metrics,
        tally=tally,
        disk=engine.modules.disk,
        backups=backups,
        started_at=time.time(),
    )
    return MetricsRoom(gatherer)
