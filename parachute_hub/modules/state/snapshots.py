"""Snapshots of a module's data, taken before an upgrade and restored on request."""

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from parachute_hub.modules.state.disk_space import size_of
from parachute_hub.system.atomic_files import private_folder, sync_folder
from parachute_hub.system.records import frozen


@frozen(kw_only=True)
class Snapshots:
    """Snapshots in `folder`, as `<folder>/<short>/<name>`. `free_bytes` is the free disk space.

    All methods block. Call them in a thread, while the module is stopped.
    """

    home: Path
    folder: Path
    free_bytes: Callable[[], int]

    def take(self, short: str, name: str) -> int | None:
        """Take a snapshot. Returns its size in bytes, or None if there is no data or not enough space."""
        data = self.home / short
        if not data.is_dir():
            return None
        size = size_of(data)
        if size > self.free_bytes() // 3:
            return None
        place = private_folder(self.folder / short)
        unfinished = place / f".{name}"
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            shutil.copytree(data, unfinished, symlinks=True)
            os.utime(unfinished)
            os.sync()
        except (OSError, shutil.Error):
            shutil.rmtree(unfinished, ignore_errors=True)
            return None
        os.rename(unfinished, place / name)
        sync_folder(place)
        return size

    def latest(self, short: str, beginning: str = "") -> str | None:
        """The name of the newest snapshot with this prefix."""
        found = [copy for copy in self._copies(short) if copy.name.startswith(beginning)]
        return max(found, key=lambda copy: copy.stat().st_mtime_ns).name if found else None

    def copied_at(self, short: str) -> float | None:
        """When the newest snapshot was taken, in epoch seconds, or None."""
        try:
            return max((copy.stat().st_mtime for copy in self._copies(short)), default=None)
        except OSError:
            return None

    def keep_only(self, short: str, name: str, beginning: str = "") -> None:
        """Delete the other snapshots with this prefix, renaming first so that no partial one remains.

        Never raises. What cannot be deleted is swept at the next boot.
        """
        others = [copy for copy in self._copies(short) if copy.name != name and copy.name.startswith(beginning)]
        for copy in others:
            with contextlib.suppress(OSError):
                os.rename(copy, copy.with_name(f".gone-{copy.name}"))
                sync_folder(copy.parent)
                shutil.rmtree(copy.with_name(f".gone-{copy.name}"), ignore_errors=True)

    def _copies(self, short: str) -> list[Path]:
        place = self.folder / short
        return [copy for copy in place.iterdir() if not copy.name.startswith(".")] if os.path.isdir(place) else []

    def sweep(self) -> None:
        """Delete leftovers of interrupted operations. Called at boot, after undoing."""
        for unfinished in self.folder.glob("*/.*"):
            shutil.rmtree(unfinished, ignore_errors=True)

    def restore(self, short: str, name: str) -> None:
        """Replace the data with a snapshot and set the old data aside. Raises OSError; `back_out` then reverts it."""
        place = self.folder / short
        unpacked = place / f".restored-{name}"
        shutil.rmtree(unpacked, ignore_errors=True)
        shutil.copytree(place / name, unpacked, symlinks=True)
        os.sync()
        aside = self._aside(short, name)
        if (self.home / short).exists() and not aside.exists():
            os.rename(self.home / short, aside)
        os.rename(unpacked, self.home / short)
        sync_folder(self.home)

    def back_out(self, short: str, name: str) -> None:
        """Revert `restore`, however far it got."""
        aside = self._aside(short, name)
        if aside.exists():
            shutil.rmtree(self.home / short, ignore_errors=True)
            os.rename(aside, self.home / short)
            sync_folder(self.home)

    def settle(self, short: str, name: str) -> None:
        """Keep the restored data: delete what was set aside."""
        shutil.rmtree(self._aside(short, name), ignore_errors=True)

    def _aside(self, short: str, name: str) -> Path:
        return self.folder / short / f".aside-{name}"
