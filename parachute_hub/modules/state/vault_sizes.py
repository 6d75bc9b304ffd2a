"""How much room a vault takes, from its folder: the database with the notes, and the files beside it."""

import os
from pathlib import Path

from parachute_hub.modules.state.disk_space import size_of
from parachute_hub.system.records import frozen

_MAGIC = b"SQLite format 3\0"


@frozen
class VaultSize:
    """Bytes of a vault, and how many of them are files that are attached to notes."""

    total: int
    files: int


def measured(folder: Path) -> VaultSize:
    """Walks the folder; call it in a thread.

    Pages of the database that are free for new notes do not count: otherwise deleting notes would make no room. Nor do
    its log and index of the log: they keep their size once their content is in the database
    (https://sqlite.org/walformat.html).
    """
    total = size_of(folder)
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return VaultSize(0, 0)
    files = sum(size_of(Path(entry.path)) for entry in entries if entry.is_dir(follow_symlinks=False))
    free = sum(_free_bytes(entry.path) for entry in entries if entry.name.endswith(".db"))
    logs = sum(_bytes_of(entry) for entry in entries if entry.name.endswith((".db-wal", ".db-shm")))
    return VaultSize(max(0, total - free - logs), files)


def _bytes_of(entry: "os.DirEntry[str]") -> int:
    """Bytes of a file on disk; 0 for anything else."""
    try:
        return entry.stat(follow_symlinks=False).st_blocks * 512 if entry.is_file(follow_symlinks=False) else 0
    except OSError:
        return 0


def _free_bytes(path: str) -> int:
    """Bytes of free pages, from the header of a database (https://sqlite.org/fileformat.html, 1.3)."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        head = os.read(descriptor, 100)
        size = os.fstat(descriptor).st_size
    except OSError:
        return 0
    finally:
        os.close(descriptor)
    if len(head) < 100 or not head.startswith(_MAGIC):
        return 0
    page = int.from_bytes(head[16:18], "big")
    free = int.from_bytes(head[36:40], "big") * (65536 if page == 1 else page)
    # The module writes this file, so it may say anything.
    return free if free <= size else 0
