"""Exchanges a module's data, or a folder of it, for one that came from elsewhere, so that a kill loses neither."""

import os
import shutil
from pathlib import Path

from parachute_hub.system.atomic_files import private_folder, sync_folder
from parachute_hub.system.records import frozen


@frozen(kw_only=True)
class DataSwap:
    """What is set aside lies in `folder`, that of the snapshots, whose hidden entries are swept at boot.

    `place` is a path relative to the home: `vault`, or `vault/data/work`. All methods block. Call them in a thread,
    while the module is stopped.
    """

    home: Path
    folder: Path

    def take(self, short: str, name: str, arrived: Path) -> None:
        """Keep `arrived` for `swap_in`; it is on the same disk. Raises OSError."""
        incoming = self._hidden(short, "incoming", name)
        private_folder(incoming.parent)
        os.rename(arrived, incoming)
        os.sync()

    def has(self, place: str) -> bool:
        """True if there is something at this place."""
        return os.path.lexists(self.home / place)

    def swap_in(self, short: str, name: str, place: str, *, replace: bool) -> None:
        """Put the folder that was taken at `place`; with `replace`, set aside what is there. `swap_back` reverts it.

        Raises OSError.
        """
        target = self.home / place
        private_folder(target.parent)
        if replace and self.has(place):
            os.rename(target, self._hidden(short, "aside", name))
        os.rename(self._hidden(short, "incoming", name), target)
        sync_folder(target.parent)
        sync_folder(self.folder / short)

    def swap_back(self, short: str, name: str, place: str) -> None:
        """Revert `swap_in`, however far it got. It may be repeated, since what it sets aside stays until `settle`."""
        target = self.home / place
        aside, incoming, gone = (self._hidden(short, what, name) for what in ("aside", "incoming", "gone"))
        if not incoming.exists() and not gone.exists() and self.has(place):
            os.rename(target, gone)
        if aside.exists():
            os.rename(aside, target)
        sync_folder(target.parent)

    def settle(self, short: str, name: str) -> None:
        """Delete what was set aside, once nothing is to be reverted. What stays is swept at the next boot."""
        for what in ("aside", "incoming", "gone"):
            shutil.rmtree(self._hidden(short, what, name), ignore_errors=True)

    def _hidden(self, short: str, what: str, name: str) -> Path:
        return self.folder / short / f".{what}-{name}"
