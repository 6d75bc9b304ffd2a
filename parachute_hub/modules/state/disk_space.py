"""Disk space: usage by owner, what can be cleared, and an emergency reserve."""

import contextlib
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from parachute_hub.system.atomic_files import atomic_write, sync_folder
from parachute_hub.system.records import frozen
from parachute_hub.system.storage_trouble import is_full

RESERVE_BYTES = 32 * 1024 * 1024
LAST_BYTES = 8 * 1024 * 1024
SLICE_BYTES = 512 * 1024
OPEN_BELOW = 8 * 1024 * 1024
MAKE_ABOVE = 256 * 1024 * 1024
_FULL_SIZE = 512 * 1024 * 1024
"""Below this size, the reserve and its limits shrink in proportion."""
_REMOVED = ".cache-removed"


def size_of(folder: Path, seen: set[int] | None = None) -> int:
    """Bytes this folder occupies on disk. Inodes in `seen` are not counted again, because bun hard-links files."""
    counted = set() if seen is None else seen
    total = 0
    waiting = [str(folder)]
    while waiting:
        try:
            entries = list(os.scandir(waiting.pop()))
        except (OSError, ValueError):
            continue
        for entry in entries:
            try:
                found = entry.stat(follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
            except OSError:
                continue
            if found.st_ino not in counted:
                counted.add(found.st_ino)
                total += found.st_blocks * 512
    return total


@frozen
class DiskOwner:
    """One user of disk space. `kind` is module, data, cache, logs, snapshots or hub."""

    name: str
    kind: str
    bytes: int

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "kind": self.kind, "bytes": self.bytes}


_WORDS = {
    "module": "the program of {}",
    "data": "the data of {}",
    "scratch": "temporary files of {}",
    "cache": "downloads",
    "logs": "logs",
    "snapshots": "copies from before updates",
    "hub": "the hub itself",
}


def largest_owners(owners: Iterable[DiskOwner], names: Mapping[str, str], most: int = 3) -> list[tuple[str, int]]:
    """What takes the most room, in words, the largest first. `names` are those of modules by short name.

    >>> owners = [DiskOwner("vault", "data", 9), DiskOwner("bun", "cache", 5), DiskOwner("hub", "hub", 1)]
    >>> largest_owners(owners, {"vault": "Vault"}, 2)
    [('the data of Vault', 9), ('downloads', 5)]
    """
    largest = sorted(owners, key=lambda owner: owner.bytes, reverse=True)[:most]
    return [(_WORDS[owner.kind].format(names.get(owner.name, owner.name)), owner.bytes) for owner in largest]


@frozen
class Disk:
    """The disk that holds the home."""

    home: Path

    def free_bytes(self) -> int:
        """Bytes available to this user."""
        found = os.statvfs(self.home)
        return found.f_bavail * found.f_frsize

    def total_bytes(self) -> int:
        """The size of the disk in bytes."""
        found = os.statvfs(self.home)
        return found.f_blocks * found.f_frsize

    def owners(self, shorts: Iterable[str]) -> list[DiskOwner]:
        """Usage by module code, module data, and the hub. Walks the tree; call it in a thread."""
        seen: set[int] = set()
        modules = self.home / "modules"
        places: list[tuple[str, str, Path]] = []
        for short in shorts:
            places.append((short, "module", modules / "store" / short))
            places.append((short, "data", self.home / short))
            places.append((short, "scratch", self.home / "hub" / "views" / short))
        places += [
            ("bun", "cache", modules / "install" / "cache"),
            ("hub", "snapshots", self.home / "hub" / "snapshots"),
            ("hub", "logs", self.home / "hub" / "logs"),
            ("hub", "hub", self.home / "hub"),
            ("older packages", "module", modules / "install" / "global"),
        ]
        found = [DiskOwner(name, kind, size_of(path, seen)) for name, kind, path in places if os.path.isdir(path)]
        return [owner for owner in found if owner.bytes]

    def clear_cache(self) -> None:
        """Empty bun's cache. Installed packages are not affected.

        The folder is renamed first, because bun would take a partially deleted package for a complete one.
        """
        cache = self.home / "modules" / "install" / "cache"
        shutil.rmtree(cache.with_name(_REMOVED), ignore_errors=True)
        with contextlib.suppress(OSError):
            os.rename(cache, cache.with_name(_REMOVED))
            sync_folder(cache.parent)
        for folder in (cache.with_name(_REMOVED), cache):
            shutil.rmtree(folder, ignore_errors=True)

    def clear_scratch(self) -> None:
        """Empty the folder for temporary files. Only while no module runs, since modules use it too."""
        shutil.rmtree(self.home / "modules" / "install" / _REMOVED, ignore_errors=True)
        shutil.rmtree(self.home / "tmp", ignore_errors=True)
        (self.home / "tmp").mkdir(mode=0o700, exist_ok=True)
        for scratch in (self.home / "hub" / "views").glob("*/tmp"):
            shutil.rmtree(scratch, ignore_errors=True)


def decide(free: int, total: int, reserved: bool) -> Literal["open", "make"] | None:
    """Whether to release the reserve (disk full) or recreate it (space available). `total` is the disk size in bytes.

    >>> disk = 1 << 30
    >>> decide(0, disk, True), decide(0, disk, False), decide(disk, disk, False), decide(disk, disk, True)
    ('open', None, 'make', None)
    >>> decide(60 << 20, 100 << 20, False), decide(3 << 20, 100 << 20, True)
    ('make', None)
    """
    if reserved and free < in_proportion(OPEN_BELOW, total):
        return "open"
    if not reserved and free > in_proportion(MAKE_ABOVE, total):
        return "make"
    return None


def in_proportion(size: int, total: int) -> int:
    """A size in bytes, scaled down for small disks.

    >>> in_proportion(RESERVE_BYTES, 1 << 40) >> 20, in_proportion(RESERVE_BYTES, 128 << 20) >> 20
    (32, 8)
    """
    return size * min(total, _FULL_SIZE) // _FULL_SIZE


@frozen
class Reserve:
    """Two files that are given up when the disk is full.

    The first is released at once, so that signing in and deleting still work. A busy module may fill that space, so the
    second (`last`) is for the hub alone: it releases a slice right before one of the hub's writes is retried. Methods
    may be called in any thread.
    """

    disk: Disk
    on_open: Callable[[str], None]

    @property
    def path(self) -> Path:
        """The first reserve."""
        return self.disk.home / "hub" / "reserve"

    @property
    def last(self) -> Path:
        """The reserve for signing in, refreshing tokens, deleting and uninstalling."""
        return self.disk.home / "hub" / "reserve.signin"

    def check(self) -> None:
        """Release or recreate the reserves according to the free space. Called periodically; never raises."""
        try:
            total = self.disk.total_bytes()
            match decide(self.disk.free_bytes(), total, self.path.exists()):
                case "open":
                    self._open()
                case "make":
                    self._make(self.path, in_proportion(RESERVE_BYTES, total))
            if self.path.exists() and self._size_of_last() < in_proportion(LAST_BYTES, total):
                self._make(self.last, in_proportion(LAST_BYTES, total))
        except OSError:
            return

    def make_room(self) -> bool:
        """Release the first reserve, or a slice of the last, after a write found the disk full. False if both are used
        up.
        """
        try:
            if self.path.exists():
                self._open()
                return True
            size = self._size_of_last()
            if size:
                os.truncate(self.last, max(0, size - SLICE_BYTES))
            return size > 0
        except OSError:
            return False

    def write(self, path: Path, data: bytes, mode: int = 0o600) -> None:
        """`atomic_write` for a file of the hub, which uses the reserves on a full disk. Raises OSError."""
        try:
            atomic_write(path, data, mode)
        except OSError as error:
            if not is_full(error) or not self.make_room():
                raise
            atomic_write(path, data, mode)

    def _open(self) -> None:
        self.path.unlink()
        sync_folder(self.path.parent)
        self.on_open(
            "The disk is full. The hub released its own reserve so that you can still sign in and delete "
            "things. Free some space now."
        )

    def _size_of_last(self) -> int:
        try:
            return self.last.stat().st_size
        except FileNotFoundError:
            return 0

    def _make(self, path: Path, size: int) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, size)
        finally:
            os.close(descriptor)
