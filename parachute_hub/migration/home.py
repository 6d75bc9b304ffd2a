"""The older hub's home: recognising it, keeping copies of what this hub writes, and putting them back.

Both hubs use the same folder. Before this hub writes anything, the shared files are copied to `hub/older-hub/`, so that
`undo` can put them back byte for byte. Everything blocks.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from parachute_hub.store.copied_hub import add_act
from parachute_hub.store.rows import Act
from parachute_hub.store.sqlite_files import settle_database
from parachute_hub.system import strict_json
from parachute_hub.system.atomic_files import atomic_write, private_folder, read_bounded, sync_folder
from parachute_hub.system.home import HomeError, HomeTaken
from parachute_hub.system.strict_json import BadJson

DATABASE = "hub.db"
COPIES = "hub/older-hub"
_LIST = "copies.json"
_UNDONE = "undone"
_LIMIT = 16 * 1024 * 1024
# What both hubs write; modules' own data is left to the modules.
_SHARED = ("services.json", "operator.token", "vault/.env", "scribe/.env", "scribe/config.json")
_OWN = ("parachute.db", "hub/accounts.key")
_NOTE = "hub-instance.json"


class CannotUndo(Exception):
    """Nothing was put back. The text says why and what to do."""


def is_older(home: Path) -> bool:
    """True if an older hub has used this home."""
    return (home / DATABASE).is_file()


def keep_copies(home: Path) -> bool:
    """Copy the shared files, once; True if this is an older hub's home. Call it before this hub writes anything.

    Raises HomeError: then this hub must not go on.
    """
    if not is_older(home):
        return False
    folder = home / COPIES
    if (folder / _LIST).exists():
        return True
    try:
        _copy_shared(home, folder)
    except OSError as error:
        raise HomeError(
            f"The files of the older hub cannot be copied to {folder}: {error.strerror}. Free some space or check who "
            "owns them, then start this hub again. Nothing was changed."
        ) from error
    return True


def _copy_shared(home: Path, folder: Path) -> None:
    private_folder(folder)
    kept: dict[str, int | None] = {}
    for name in _SHARED:
        try:
            content = read_bounded(home / name, _LIMIT)
            kept[name] = (home / name).stat().st_mode & 0o777
        except FileNotFoundError:
            kept[name] = None
        else:
            atomic_write(folder / _copy_of(name), content)
    # Only the list makes the copies count.
    atomic_write(folder / _LIST, strict_json.write(kept))


def check_not_running(home: Path) -> None:
    """Raises HomeTaken while a program has the older hub's database open."""
    pid = user_of(home / DATABASE)
    if pid is not None:
        raise HomeTaken(
            f"The older hub is still running on {home} (process {pid} has {DATABASE} open). "
            "Stop it first: two hubs on one home would damage each other's data."
        )


def user_of(path: Path) -> int | None:
    """The id of another process that holds this file open; None if none is seen.

    Sees processes of this user, in this container. Elsewhere than on Linux it sees none.
    """
    try:
        wanted = path.stat()
    except OSError:
        return None
    if not sys.platform.startswith("linux"):
        return None
    for pid in _processes():
        with contextlib.suppress(OSError):
            for entry in os.scandir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    found = entry.stat()
                    if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                        return pid
    return None


def _processes() -> Iterator[int]:
    own = os.getpid()
    with contextlib.suppress(OSError):
        yield from (int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != own)


def undo(home: Path, now: float) -> list[str]:
    """Put the shared files back and move this hub's accounts aside, with `move-undone` in their audit log; returns what
    was put back or removed.

    The caller holds the home's lock. After a kill, another call goes on. Raises CannotUndo or OSError.
    """
    folder = home / COPIES
    kept = _listed(folder)
    changed = [name for name, mode in kept.items() if _put_back(home / name, folder / _copy_of(name), mode)]
    (home / _NOTE).unlink(missing_ok=True)
    aside = _aside(folder)
    if (home / "parachute.db").exists():
        add_act(home / "parachute.db", Act(at=now, actor="", action="move-undone", means="command"))
        settle_database(home / "parachute.db")
    for name in _OWN:
        if (home / name).exists():
            os.rename(home / name, aside / Path(name).name)
    # Without the list the copies count no more: the next start finds an older hub's home as if for the first time.
    for name in (_LIST, *map(_copy_of, kept)):
        if (folder / name).exists():
            os.rename(folder / name, aside / name)
    for changed_folder in (aside, folder, home):
        sync_folder(changed_folder)
    return changed


def _listed(folder: Path) -> dict[str, int | None]:
    try:
        kept: Any = strict_json.read(read_bounded(folder / _LIST, _LIMIT), limit=_LIMIT).value
    except FileNotFoundError:
        raise CannotUndo("This hub has not been started on an older hub's home, so there is nothing to undo.") from None
    except BadJson as error:
        raise CannotUndo(f"{folder / _LIST} cannot be read: it {error}.") from None
    if not isinstance(kept, dict) or not set(kept) <= set(_SHARED):
        raise CannotUndo(f"{folder / _LIST} is not a list of copies.")
    return kept


def _put_back(path: Path, copy: Path, mode: int | None) -> bool:
    """True if the file had changed."""
    if mode is None:
        there = path.exists()
        path.unlink(missing_ok=True)
        return there
    content = read_bounded(copy, _LIMIT)
    with contextlib.suppress(OSError):
        if read_bounded(path, _LIMIT) == content and path.stat().st_mode & 0o777 == mode:
            return False
    private_folder(path.parent)
    atomic_write(path, content, mode)
    # The umask may have taken rights from it.
    path.chmod(mode)
    return True


def _aside(folder: Path) -> Path:
    """A folder for what is moved aside: that of an undo that a kill cut short, or a new one."""
    number = 1
    while (folder / f"{_UNDONE}-{number}" / _LIST).exists():
        number += 1
    return private_folder(folder / f"{_UNDONE}-{number}")


def _copy_of(name: str) -> str:
    return name.replace("/", "__")
