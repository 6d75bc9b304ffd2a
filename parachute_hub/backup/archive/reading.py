"""Reads an archive, to verify it or to unpack it into a staging folder, with the same code.

Its content is untrusted until everything is decrypted and every hash matches the manifest.
"""

import hashlib
import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, BinaryIO, Protocol

from attrs import evolve, field

from parachute_hub.backup.archive.layout import (
    FOLDER,
    HEADER,
    HEADER_BYTES,
    LINE_BYTES,
    MANIFEST,
    MOST_FILES,
    BadArchive,
    Entry,
    Header,
    is_safe,
)
from parachute_hub.backup.archive.pipes import Decryption
from parachute_hub.backup.archive.sources import LEFT_OUT, PROGRAMS
from parachute_hub.store.sqlite_files import check_database
from parachute_hub.system.atomic_files import private_folder
from parachute_hub.system.records import define, frozen

_GROWTH = 64 * 1024 * 1024
_CHUNK = 256 * 1024
_MAGIC = b"SQLite format 3\0"


@frozen
class ArchiveContents:
    """The content of a complete archive. `size` is in bytes."""

    header: Header
    files: int
    size: int
    databases: int


class MemberSink(Protocol):
    """Receives the files of an archive."""

    def open(self, path: str, mode: int) -> BinaryIO:
        """A file for the member's content."""

    def close(self, path: str, file: BinaryIO, *, database: bool) -> str | None:
        """The file is complete. For a database, returns what SQLite finds wrong with it, or None."""

    def finish(self) -> None:
        """All files are complete: sync them."""


@define
class UnpackingSink:
    """Unpacks into `folder`, which is empty. Modes are restricted, and links are never created."""

    folder: Path

    def open(self, path: str, mode: int) -> BinaryIO:
        """`mode` is reduced to the owner's permissions."""
        target = self.folder / path
        try:
            private_folder(target.parent)
            descriptor = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except (FileExistsError, NotADirectoryError):
            raise BadArchive(f"The backup holds {path} twice.") from None
        os.fchmod(descriptor, 0o600 | (mode & 0o755))
        return os.fdopen(descriptor, "w+b")

    def close(self, path: str, file: BinaryIO, *, database: bool) -> str | None:
        """Check a database in place."""
        file.close()
        return check_database(self.folder / path) if database else None

    def finish(self) -> None:
        """Sync the disk."""
        os.sync()


@define
class PartSink:
    """Unpacks one folder of the home (`path`) into `folder`, and nothing else."""

    folder: Path
    path: str
    _unpacks: UnpackingSink = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._unpacks = UnpackingSink(self.folder)

    def open(self, path: str, mode: int) -> BinaryIO:
        """A file for what belongs to the folder; the rest is only read and compared."""
        return self._unpacks.open(path, mode) if self._wanted(path) else open(os.devnull, "w+b")

    def close(self, path: str, file: BinaryIO, *, database: bool) -> str | None:
        """Check a database of the folder in place."""
        if self._wanted(path):
            return self._unpacks.close(path, file, database=database)
        file.close()
        return None

    def finish(self) -> None:
        """Sync the disk."""
        self._unpacks.finish()

    def _wanted(self, path: str) -> bool:
        return path.startswith(f"{self.path}/")


@define
class CheckingSink:
    """Keeps nothing; each database is written to `scratch` and checked."""

    scratch: Path

    def open(self, path: str, mode: int) -> BinaryIO:
        """A file that is deleted on closing."""
        return tempfile.NamedTemporaryFile(dir=self.scratch, buffering=_CHUNK)  # type: ignore[return-value]

    def close(self, path: str, file: BinaryIO, *, database: bool) -> str | None:
        """Check a database before it is deleted."""
        file.flush()
        trouble = check_database(Path(file.name)) if database else None
        file.close()
        return trouble

    def finish(self) -> None:
        """Nothing to do."""


def _may_hold(path: str) -> bool:
    """False for what no hub backs up: restored, it would stand in the way of the hub's own work.

    >>> [_may_hold(path) for path in ("vault/a.db", "modules/store/x", "hub/restore/x", "hub/lock", "hub")]
    [True, True, False, False, False]
    """
    parts = path.split("/")
    above = {"/".join(parts[:length]) for length in range(1, len(parts) + 1)}
    return path != "hub" and (bool(above & set(PROGRAMS)) or not above & LEFT_OUT)


@define
class ArchiveReader:
    """Reads one archive. `most` limits the unpacked bytes, and so does what its header says, with room for files that
    grew meanwhile. `told` receives the path and the bytes so far.

    `began` receives the header before anything is written.
    """

    keeps: MemberSink
    scratch: Path
    most: int
    told: Callable[[str, int], None]
    began: Callable[[Header], None] = field(default=lambda header: None)
    _size: int = field(default=0, init=False)
    _unsound: dict[str, str] = field(factory=dict, init=False)

    def read(self, chunks: Iterator[bytes], identity: str) -> ArchiveContents:
        """Raises BadArchive, BadKey, DamagedStream, or OSError (a full disk)."""
        with Decryption(chunks, identity) as decryption:
            try:
                contents = self._read(decryption.reader)
            except tarfile.TarError as error:
                raise BadArchive("The backup is damaged or incomplete. Choose another one.") from error
        self.keeps.finish()
        return contents

    def _read(self, stream: BinaryIO) -> ArchiveContents:
        header: Header | None = None
        files = 0
        with (
            tarfile.open(fileobj=stream, mode="r|", bufsize=64 * 1024) as tar,
            tempfile.TemporaryFile(dir=self.scratch) as found,
        ):
            for member in tar:
                content = tar.extractfile(member) if member.isreg() else None
                if content is None:
                    raise BadArchive(f"The backup holds {member.name[:200]!r}, which is not a plain file.")
                if header is None:
                    header = self._header(member, content)
                elif member.name == MANIFEST:
                    databases = self._compare(content, found)
                    return ArchiveContents(header, files, self._size, databases)
                else:
                    found.write(self._file(member, content).line())
                    files += 1
                    if files > MOST_FILES:
                        raise BadArchive(f"The backup holds more than {MOST_FILES:,} files.")
                # tarfile keeps every member, which would use unbounded memory.
                tar.members = []  # type: ignore[attr-defined]
        raise BadArchive("The backup is incomplete: its end is missing. Choose another one.")

    def _header(self, member: tarfile.TarInfo, content: IO[bytes]) -> Header:
        if member.name != HEADER or member.size > HEADER_BYTES:
            raise BadArchive("This is not a backup of a Parachute hub.")
        header = Header.from_bytes(content.read(HEADER_BYTES))
        self.most = min(self.most, 2 * header.size + _GROWTH)
        self.began(header)
        return header

    def _file(self, member: tarfile.TarInfo, content: IO[bytes]) -> Entry:
        path = member.name.removeprefix(FOLDER)
        if path == member.name or not is_safe(path) or not _may_hold(path):
            raise BadArchive(f"The backup holds a file with a name that is not allowed: {member.name[:200]!r}.")
        if self._size + member.size > self.most:
            raise BadArchive("The backup is larger than its header says.")
        target = self.keeps.open(path, member.mode)
        digest, database, size = hashlib.sha256(), False, 0
        try:
            while chunk := content.read(_CHUNK):
                if not size:
                    database = chunk.startswith(_MAGIC)
                digest.update(chunk)
                target.write(chunk)
                size += len(chunk)
                self._size += len(chunk)
                self.told(path, self._size)
            trouble = self.keeps.close(path, target, database=database)
        finally:
            target.close()
        if trouble is not None:
            self._unsound[path] = trouble
        return Entry(path, size, digest.hexdigest())

    def _compare(self, manifest: IO[bytes], found: IO[bytes]) -> int:
        """Compare line by line: the manifest is in archive order. Returns the number of databases."""
        found.seek(0)
        databases = 0
        while True:
            line, unpacked = manifest.readline(LINE_BYTES), found.readline(LINE_BYTES)
            if not line and not unpacked:
                return databases
            promised = Entry.from_line(line)
            if evolve(promised, database=False).line() != unpacked:
                raise BadArchive("The files in this backup do not match its manifest. Choose another one.")
            # A database that SQLite could not read on the old disk was stored as it was.
            if promised.database and promised.path in self._unsound:
                trouble = self._unsound[promised.path]
                raise BadArchive(f"The database {promised.path} in this backup is damaged: {trouble}.")
            databases += promised.database
