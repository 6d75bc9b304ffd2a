"""Writes the home into an archive while the hub and its modules run."""

import hashlib
import io
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from attrs import field

from parachute_hub.backup.archive.layout import FOLDER, HEADER, MANIFEST, MOST_FILES, BadArchive, Entry, Header
from parachute_hub.backup.archive.pipes import Encryption
from parachute_hub.backup.archive.sources import Listing, Source
from parachute_hub.store.sqlite_files import DatabaseUnreadable, copy_database
from parachute_hub.system import strict_json
from parachute_hub.system.records import define

_AT_ONCE = 4 * 1024 * 1024
"""Files up to this size are read whole before they are written, so that none mixes two states."""
_CHUNK = 256 * 1024


@define
class ArchiveWriter:
    """Writes one archive. `scratch` is an existing folder for copies of databases, one at a time.

    `told` receives the path and the bytes read so far. `changed` lists files that shrank while being read, `damaged`
    databases that SQLite cannot read, which are stored as they are.
    """

    home: Path
    scratch: Path
    header: Header
    listing: Listing
    recipient: str
    told: Callable[[str, int], None]
    files: int = field(default=0, init=False)
    size: int = field(default=0, init=False)
    changed: list[str] = field(factory=list, init=False)
    damaged: list[str] = field(factory=list, init=False)

    def chunks(self) -> Iterator[bytes]:
        """The encrypted archive. Raises BadArchive or OSError if something cannot be read."""
        if len(self.listing.sources) > MOST_FILES:
            raise BadArchive(f"The home holds more than {MOST_FILES:,} files.")
        return Encryption(self.recipient).run(self._write)

    def _write(self, target: BinaryIO) -> None:
        with (
            tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT, bufsize=64 * 1024) as tar,
            tempfile.TemporaryFile(dir=self.scratch) as manifest,
        ):
            content = strict_json.write(self.header.to_json(), indent=1)
            self._add(tar, HEADER, io.BytesIO(content), len(content))
            for source in self.listing.sources:
                entry = self._source(tar, source)
                if entry is not None:
                    manifest.write(entry.line())
                    self.files += 1
            length = manifest.tell()
            manifest.seek(0)
            self._add(tar, MANIFEST, manifest, length)

    def _source(self, tar: tarfile.TarFile, source: Source) -> Entry | None:
        """The entry written; None if the file no longer exists."""
        self.told(source.path, self.size)
        path = self.home / source.path
        if not source.database:
            return self._file(tar, source.path, path)
        copy = self.scratch / "database"
        try:
            copy_database(path, copy)
            return self._file(tar, source.path, copy, database=True)
        except DatabaseUnreadable as error:
            # One module's damaged database must not prevent all backups.
            self.damaged.append(f"{source.path}: {error}")
            return self._file(tar, source.path, path)
        finally:
            copy.unlink(missing_ok=True)

    def _file(self, tar: tarfile.TarFile, name: str, path: Path, *, database: bool = False) -> Entry | None:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            size = found.st_size
            source: BinaryIO = file
            if size <= _AT_ONCE:
                content = file.read(_AT_ONCE)
                size, source = len(content), io.BytesIO(content)
            reader = _Hashing(source, size, lambda read: self._read(name, read))
            self._add(tar, f"{FOLDER}{name}", reader, size, mode=found.st_mode & 0o777, mtime=found.st_mtime)
            if reader.short:
                self.changed.append(name)
        return Entry(name, size, reader.hexdigest(), database)

    def _read(self, name: str, size: int) -> None:
        self.size += size
        self.told(name, self.size)

    def _add(
        self,
        tar: tarfile.TarFile,
        name: str,
        content: "BinaryIO | _Hashing",
        size: int,
        *,
        mode: int = 0o600,
        mtime: float | None = None,
    ) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = size, mode
        member.mtime = int(self.header.created_at if mtime is None else mtime)
        tar.addfile(member, content)


class _Hashing:
    """Reads and hashes exactly `size` bytes. A file that shrank in the meantime is padded with zeros."""

    def __init__(self, source: BinaryIO, size: int, told: Callable[[int], None]) -> None:
        self._source = source
        self._left = size
        self._told = told
        self._hash = hashlib.sha256()
        self.short = False

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        found = self._source.read(wanted)
        if len(found) < wanted:
            self.short = True
            found = found.ljust(wanted, b"\0")
        self._left -= wanted
        self._hash.update(found)
        self._told(wanted)
        return found

    def hexdigest(self) -> str:
        return self._hash.hexdigest()
