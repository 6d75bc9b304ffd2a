"""Selects the files of the home for a backup."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from parachute_hub.system.records import frozen

_MAGIC = b"SQLite format 3\0"
_JOURNALS = ("-wal", "-shm", "-journal")

LEFT_OUT = frozenset(
    {
        "modules",  # programs: reinstalled from the registry
        "tmp",
        "hub/lock",
        "hub/reserve",
        "hub/reserve.signin",
        "hub/jobs",
        "hub/logs",
        "hub/moving",
        "hub/snapshots",
        "hub/restore",
        "hub/reach",  # what leads to this machine now; a restored hub opens and forgets no way
        "hub-instance.json",
    }
)
_VIEWS = "hub/views/"
"""The folders that modules see as their home; the links in them are made anew."""
_SCRATCH = re.compile(_VIEWS + r"[^/]+/(tmp|\.cache|\.bun/install/cache)")
PROGRAMS = ("modules/store", "modules/node_modules", "modules/bin")


@frozen
class Source:
    """A file to back up: path relative to the home, and size in bytes when listed."""

    path: str
    size: int
    database: bool


@frozen
class Listing:
    """The files found. `skipped` are links, devices and unreadable files, which are not backed up."""

    sources: tuple[Source, ...]
    skipped: tuple[str, ...]

    @property
    def size(self) -> int:
        """Total bytes."""
        return sum(source.size for source in self.sources)

    @property
    def largest_database(self) -> int:
        """Bytes of the largest database, which is the space needed to copy it."""
        return max((source.size for source in self.sources if source.database), default=0)


def list_home(home: Path, *, left_out: frozenset[str] = LEFT_OUT) -> Listing:
    """The files of the home, databases first, so that no row refers to a missing file. Blocks."""
    databases: list[Source] = []
    files: list[Source] = []
    skipped: list[str] = []
    for path, entry in _walk(home, "", left_out, skipped):
        try:
            size = entry.stat(follow_symlinks=False).st_size
            database = _is_database(entry.path)
        except OSError:
            skipped.append(path)
            continue
        (databases if database else files).append(Source(path, size, database))
    journals = {f"{source.path}{end}" for source in databases for end in _JOURNALS}
    files = [source for source in files if source.path not in journals]
    return Listing((*databases, *files), tuple(skipped))


def _walk(
    root: Path, below: str, left_out: frozenset[str], skipped: list[str]
) -> Iterator[tuple[str, "os.DirEntry[str]"]]:
    try:
        entries = sorted(os.scandir(root / below), key=lambda entry: entry.name)
    except OSError:
        skipped.append(below)
        return
    for entry in entries:
        path = f"{below}/{entry.name}" if below else entry.name
        if path in left_out or _SCRATCH.fullmatch(path):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(root, path, left_out, skipped)
        elif entry.is_file(follow_symlinks=False) and _is_text(path):
            yield path, entry
        elif not path.startswith(_VIEWS):
            skipped.append(path)


def _is_text(path: str) -> bool:
    """False for names that are not UTF-8, which the manifest cannot contain."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_database(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC
