"""Puts a restored home in the place of the present one, at the start of the hub, before anything else uses the home.

Until `ready.json` exists nothing has changed. Once it does, every start carries the exchange on to its end, so that a
kill at any point leaves the state before or the state after.
"""

import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from parachute_hub.backup.archive.sources import LEFT_OUT
from parachute_hub.system import strict_json
from parachute_hub.system.atomic_files import atomic_write, private_folder, read_bounded, sync_folder
from parachute_hub.system.strict_json import BadJson

FOLDER = "hub/restore"
_READY = "ready.json"
_DONE = "done.json"
_LIMIT = 4 * 1024 * 1024
# Where a hub keeps its own things among others that stay: their entries are exchanged one by one.
_SPLIT = "hub"


class RestoreStuck(Exception):
    """The exchange cannot go on; the text says why. The next start tries again."""


def staging(home: Path, restore_id: str) -> Path:
    """The folder to which an archive is unpacked: on the same disk, so that it can be exchanged by renames."""
    return home / FOLDER / restore_id / "home"


def commit(home: Path, restore_id: str, told: dict[str, Any]) -> None:
    """Decide for the exchange, which the next start makes. `told` is kept for afterwards. Raises OSError."""
    staged = staging(home, restore_id)
    put = list(_entries(staged))
    # A hub of an archive without programs keeps those that are here.
    away = [path for path in _entries(home) if path not in put and not _stays(path)]
    content = strict_json.write({"id": restore_id, "put": put, "away": away, "told": told})
    private_folder(home / FOLDER)
    atomic_write(home / FOLDER / _READY, content)


def finish(home: Path) -> bool:
    """Make an exchange that was decided; True when there was one. Call it before anything reads the home. Blocks.

    Raises RestoreStuck when the disk refuses.
    """
    marker = home / FOLDER / _READY
    try:
        decided = strict_json.read(read_bounded(marker, _LIMIT), limit=_LIMIT).value
        restore_id, put, away, told = (decided[name] for name in ("id", "put", "away", "told"))
    except FileNotFoundError:
        _sweep(home)
        return False
    except (OSError, BadJson, KeyError, TypeError) as error:
        raise RestoreStuck(f"{marker} cannot be read. Remove it to start with the home as it is.") from error
    try:
        staged, before = staging(home, restore_id), home / FOLDER / restore_id / "before"
        for path in away:
            _move(home / path, before / path)
        for path in put:
            if os.path.lexists(staged / path):
                _move(home / path, before / path)
                _move(staged / path, home / path)
        atomic_write(home / FOLDER / _DONE, strict_json.write(told))
        marker.unlink()
        sync_folder(marker.parent)
    except OSError as error:
        remedy = "Free some space" if error.errno in (errno.ENOSPC, errno.EDQUOT) else "Check the disk"
        text = f"The restored files cannot be put in place: {error.strerror}. {remedy}, then start the hub again."
        raise RestoreStuck(text) from error
    _sweep(home)
    return True


def restored(home: Path) -> dict[str, Any] | None:
    """What `commit` was told, from the end of a restore until `settle`."""
    try:
        told = strict_json.read(read_bounded(home / FOLDER / _DONE, _LIMIT), limit=_LIMIT).value
    except (OSError, BadJson):
        return None
    return told if isinstance(told, dict) else None


def settle(home: Path) -> None:
    """Nothing is left to do after a restore."""
    (home / FOLDER / _DONE).unlink(missing_ok=True)


def discard(home: Path, restore_id: str) -> None:
    """Remove what was unpacked for a restore that is not wanted. Blocks."""
    shutil.rmtree(home / FOLDER / restore_id, ignore_errors=True)


def _entries(root: Path) -> Iterator[str]:
    for entry in sorted(os.listdir(root)):
        if entry == _SPLIT:
            yield from (f"{_SPLIT}/{name}" for name in sorted(os.listdir(root / _SPLIT)))
        else:
            yield entry


def _stays(path: str) -> bool:
    """What no archive holds; `modules` stays when the archive has no programs."""
    return path in LEFT_OUT


def _move(source: Path, target: Path) -> None:
    """Rename; what was moved before a kill is not there any more, and stays where it is."""
    if not os.path.lexists(source):
        return
    if os.path.lexists(target):
        # A kill came between two renames of an earlier try: the newer one is the right one.
        shutil.rmtree(target) if target.is_dir() and not target.is_symlink() else target.unlink()
    private_folder(target.parent)
    os.rename(source, target)
    sync_folder(target.parent)
    sync_folder(source.parent)


def _sweep(home: Path) -> None:
    """Remove what an interrupted restore unpacked, and what was exchanged."""
    try:
        entries = list(os.scandir(home / FOLDER))
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry.path, ignore_errors=True)
