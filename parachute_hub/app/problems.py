"""Composes the problems: which checks there are, and what they look at."""

import time
from collections.abc import Sequence

from attrs import frozen
from twisted.internet.task import LoopingCall

from parachute_hub.admin.problems_api import ProblemsApi
from parachute_hub.app.context import ProcessContext
from parachute_hub.app.runtime import ModuleRuntime
from parachute_hub.backup.service import Backups
from parachute_hub.modules.definition.versions import is_newer
from parachute_hub.problems.check import Check
from parachute_hub.problems.checks.backups import BackupTrouble
from parachute_hub.problems.checks.modules import Crashing, FailedParts, Incomplete, Ports
from parachute_hub.problems.checks.separation import Separation
from parachute_hub.problems.facts import ModuleFacts, Part
from parachute_hub.problems.memory import ProblemsFile
from parachute_hub.problems.service import TICK_SECONDS, Problems
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.root import MountedArea
from parachute_hub.system.timers import every


@frozen
class ProblemRoom:
    """What the rest of the hub uses of the problems. `timer` starts the checks."""

    problems: Problems
    _core: ProcessContext

    def timer(self) -> LoopingCall:
        """Look every second which checks are due."""
        return every(self._core.reactor, TICK_SECONDS, self.problems.tick, "Looking for problems")

    def parts(self, who: Authenticator) -> list[MountedArea]:
        """The API."""
        return [MountedArea(("/api/problems",), ProblemsApi(who=who, problems=self.problems).app.resource())]


def build_problems(core: ProcessContext, engine: ModuleRuntime, backups: Backups) -> ProblemRoom:
    """Create the checks and the list."""

    def modules() -> Sequence[ModuleFacts]:
        return [_facts(engine, short) for short in engine.modules.files.directory.shorts()]

    checks: list[Check] = [
        Crashing(modules=modules),
        Ports(modules=modules),
        FailedParts(modules=modules),
        Incomplete(modules=modules),
        Separation(machine=engine.modules.files.fence.machine, modules=modules),
        BackupTrouble(problems=backups.problems),
    ]
    problems = Problems(
        checks=checks,
        file=ProblemsFile(core.settings.home / "hub" / "problems.json"),
        bus=engine.bus,
        clock=core.reactor,
        now=time.time,
        in_thread=engine.modules.files.outside.in_thread,
    )
    return ProblemRoom(problems, core)


def _facts(engine: ModuleRuntime, short: str) -> ModuleFacts:
    modules = engine.modules
    directory = modules.files.directory
    row, entry, record = directory.row(short), directory.entry(short), directory.records.get(short)
    manifest, package = directory.manifest(short), directory.package_of(short)
    names = (manifest and manifest.display_name, row and row.display_name, entry and entry.display_name)
    version = row.version if row else None
    latest = modules.availability.latest(package, modules.files.channel()) if package and not record.linked else None
    return ModuleFacts(
        short=short,
        name=next((name for name in names if name), short),
        status=engine.supervisor.status(short),
        drift=modules.ports.kind(short),
        parts=tuple(Part(unit.slug, unit.display_name or unit.slug, unit.status) for unit in row.uis) if row else (),
        vaults=len(directory.mounts(row)[0]) if row is not None and row.is_vault else None,
        version=version,
        newer=latest if not record.pin and is_newer(latest, version) else None,
        missing=row is not None and directory.folder(short) is None,
        busy=modules.jobs.active(short) is not None,
    )
