"""Restarts a module that runs from a linked folder when one of its files changes."""

import os
from collections.abc import Callable
from pathlib import Path

from attrs import field
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from parachute_hub.modules.operations.health_gate import SupervisorApi
from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.supervise.model import ModuleState
from parachute_hub.system.records import define
from parachute_hub.system.timers import FailureLog

_PASSED_OVER = frozenset({"node_modules", ".git", "dist"})
_FILES = 2000
# Without a process; the next start runs what the folder has then.
_RESTING = frozenset({ModuleState.STOPPED, ModuleState.STOPPING, ModuleState.HELD, ModuleState.ASLEEP})


@define(kw_only=True)
class LinkedFolders:
    """Compares each linked folder's newest modification time with the last one seen.

    A folder that is still being written, by an editor or a build, is left until it has kept still for one look.
    `attend` is called while there is one: whoever works on it uses the hub.
    """

    directory: ModuleDirectory
    supervisor: SupervisorApi
    attend: Callable[[], None] = lambda: None
    _seen: dict[str, int] = field(factory=dict, init=False)
    _latest: dict[str, int] = field(factory=dict, init=False)
    _failures: FailureLog = field(factory=FailureLog, init=False)
    _log: Logger = field(factory=Logger, init=False)

    def look(self) -> None:
        """Restart modules whose files changed since the last call."""
        shorts = self.directory.shorts()
        for gone in self._latest.keys() - set(shorts):
            # Installed again, it must not be restarted for a change that its start has seen.
            self._seen.pop(gone, None)
            self._latest.pop(gone, None)
        for short in shorts:
            self._failures.attempt(f"Watching the linked folder of {short}", self._compare, short)

    def _compare(self, short: str) -> None:
        linked = self.directory.records.get(short).linked
        if linked is None:
            self._seen.pop(short, None)
            self._latest.pop(short, None)
            return
        self.attend()
        latest = newest_change(Path(linked))
        status = self.supervisor.status(short)
        # Something may have changed between its start and the first look.
        started = latest if status is None or status.started_at is None else int(status.started_at * 1e9)
        before = self._seen.setdefault(short, min(latest, started))
        still = self._latest.get(short) == latest
        self._latest[short] = latest
        if latest > before and still:
            self._seen[short] = latest
            if status is not None and status.state not in _RESTING:
                self._log.info("Restarting {short}: a file in {folder} changed", short=short, folder=linked)
                restarting = Deferred.fromCoroutine(self.supervisor.restart(short))
                restarting.addErrback(lambda failure: self._log.failure("A restart failed", failure))


def newest_change(folder: Path) -> int:
    """The newest modification time in ns among the first two thousand files, dependencies excluded."""
    latest, seen = 0, 0
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in _PASSED_OVER]
        for name in (*folders, *files):
            seen += 1
            if seen > _FILES:
                return latest
            try:
                latest = max(latest, os.lstat(os.path.join(place, name)).st_mtime_ns)
            except OSError:
                continue
    return latest
