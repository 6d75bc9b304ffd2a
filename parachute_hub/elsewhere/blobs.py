"""Files on their way to another machine and back: read and written in threads, and verified by their hash."""

import os
import shutil
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from attrs import field
from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.python.failure import Failure
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from parachute_hub.elsewhere.calls import Caller, CallRefused
from parachute_hub.link.files import FileEntry, open_below
from parachute_hub.supervise.far import Unreached
from parachute_hub.system.atomic_files import private_folder
from parachute_hub.system.records import define, frozen

_PIECE: Final = 256 * 1024
_WAITING: Final = 1024 * 1024
_AT_ONCE: Final = 4
# A blob of any size may take this long, and as long as it takes at a slow line's speed.
_BLOB_SECONDS: Final = 60.0
_SLOWEST: Final = 64 * 1024

InThread = Callable[..., Awaitable[Any]]


class Spoilt(Exception):
    """A file is not what it should be. The text is a sentence."""


@implementer(IBodyProducer)
@define
class FileBody:
    """A file as a request body of `length` bytes, read in a thread. `changed` if it became shorter meanwhile."""

    _folder: Path
    _path: str
    length: int
    _in_thread: InThread
    _resumed: "Deferred[None] | None" = field(default=None, init=False)
    _stopped: bool = field(default=False, init=False)
    changed: bool = field(default=False, init=False)

    def startProducing(self, consumer: Any) -> "Deferred[None]":
        return Deferred.fromCoroutine(self._produce(consumer))

    def pauseProducing(self) -> None:
        if self._resumed is None:
            self._resumed = Deferred()

    def resumeProducing(self) -> None:
        resumed, self._resumed = self._resumed, None
        if resumed is not None:
            resumed.callback(None)

    def stopProducing(self) -> None:
        self._stopped = True
        self.resumeProducing()

    async def _produce(self, consumer: Any) -> None:
        try:
            file = await self._in_thread(open_below, self._folder, self._path)
        except FileNotFoundError:
            self.changed = True
            raise
        left = self.length
        try:
            while left and not self._stopped:
                if self._resumed is not None:
                    await self._resumed
                    continue
                data = await self._in_thread(file.read, min(_PIECE, left))
                if not data:
                    self.changed = True
                    raise Spoilt("A file became shorter while it was copied.")
                left -= len(data)
                if not self._stopped:
                    consumer.write(data)
        finally:
            await self._in_thread(file.close)


@define
class BlobWriter:
    """Writes what arrives to a file in a thread. A call returns a Deferred if more should wait."""

    _place: Path
    _in_thread: InThread
    _waiting: bytearray = field(factory=bytearray, init=False)
    _hash: Any = field(factory=sha256, init=False)
    _writing: "Deferred[None] | None" = field(default=None, init=False)
    _waiters: "list[Deferred[None]]" = field(factory=list, init=False)
    _failure: Failure | None = field(default=None, init=False)

    def __call__(self, data: bytes) -> "Deferred[None] | None":
        if self._failure is not None:
            self._failure.raiseException()
        self._waiting += data
        self._go_on()
        if len(self._waiting) <= _WAITING:
            return None
        return self._idle()

    async def finish(self) -> str:
        """The hash of everything, once it is written. Raises OSError."""
        self._go_on()
        if self._writing is not None:
            await self._idle()
        if self._failure is not None:
            self._failure.raiseException()
        return str(self._hash.hexdigest())

    def _idle(self) -> "Deferred[None]":
        waiter: Deferred[None] = Deferred()
        self._waiters.append(waiter)
        return waiter

    def _go_on(self) -> None:
        if self._writing is None and self._waiting and self._failure is None:
            data, self._waiting = bytes(self._waiting), bytearray()
            self._writing = Deferred.fromCoroutine(self._write(data))
            self._writing.addErrback(self._failed).addBoth(self._written)

    async def _write(self, data: bytes) -> None:
        await self._in_thread(self._append, data)

    def _append(self, data: bytes) -> None:
        self._hash.update(data)
        with self._place.open("ab") as file:
            file.write(data)

    def _failed(self, failure: Failure) -> None:
        self._failure = failure

    def _written(self, _: object) -> None:
        self._writing = None
        if self._waiting and self._failure is None:
            self._go_on()
            return
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            waiter.callback(None)


@frozen(kw_only=True)
class Courier:
    """Carries files between a folder here and the data of a module there. `api` is the path of the host's own API."""

    caller: Caller
    api: str
    in_thread: InThread

    async def send(
        self,
        folder: Path,
        files: Sequence[FileEntry],
        missing: Iterable[str],
        move: str,
        sent: Callable[[int], None],
        *,
        changing: bool,
    ) -> None:
        """Upload the files with these hashes; `sent` hears the bytes. While they may be `changing`, those that did are
        left for the next time.

        Raises Unreached, CallRefused, OSError and Spoilt.
        """
        wanted = set(missing)
        by_hash = {entry.sha256: entry for entry in files if entry.sha256 in wanted}

        async def one(entry: FileEntry) -> None:
            body = FileBody(folder, entry.path, entry.size, self.in_thread)
            path = f"{self.api}/data/{move}/blobs/{entry.sha256}"
            try:
                await self.caller.json("PUT", path, content=body, seconds=_patience(entry.size))
            except (Unreached, CallRefused) as error:
                if not changing or (isinstance(error, Unreached) and not body.changed):
                    raise
            sent(entry.size)

        await _together(list(by_hash.values()), one)

    async def room(self, folder: Path, files: Sequence[FileEntry]) -> int:
        """The bytes that `fetch` into the folder of blobs and `assemble` take."""
        here: set[str] = await self.in_thread(_names, folder)
        return room(files, here)

    async def fetch(
        self, folder: Path, files: Sequence[FileEntry], got: Callable[[int], None], *, changing: bool
    ) -> None:
        """Download what the folder of blobs lacks. Those that change meanwhile are left for the next time.

        Raises Unreached, CallRefused, OSError and Spoilt.
        """
        here: set[str] = await self.in_thread(_names, folder)
        by_hash = {entry.sha256: entry for entry in files if entry.sha256 not in here}

        async def one(entry: FileEntry) -> None:
            try:
                await self._fetch_one(folder, entry)
            except (CallRefused, Spoilt):
                if not changing:
                    raise
            got(entry.size)

        await _together(list(by_hash.values()), one)

    async def _fetch_one(self, folder: Path, entry: FileEntry) -> None:
        arriving = folder / f".{entry.sha256}"
        await self.in_thread(_empty, arriving)
        write = BlobWriter(arriving, self.in_thread)
        path = f"{self.api}/data/blobs/{entry.sha256}"
        # An error's body is longer than a small file.
        most = max(entry.size, _PIECE)
        status = await self.caller.stream("GET", path, write, seconds=_patience(entry.size), most=most)
        hashed = await write.finish()
        if status != 200:
            raise CallRefused(status, "", f"{entry.path} could not be fetched: status {status}.")
        if hashed != entry.sha256:
            raise Spoilt(f"{entry.path} arrived with another content than was announced.")
        await self.in_thread(os.rename, arriving, folder / entry.sha256)


def room(files: Sequence[FileEntry], here: Collection[str]) -> int:
    """The bytes that files take whose blobs are `here` in part. A blob becomes one file; others like it are copies.

    >>> [room([FileEntry(path=path, size=5, sha256="a") for path in "xyz"], here) for here in (set(), {"a"})]
    [15, 10]
    """
    moved = {entry.sha256: entry.size for entry in files if entry.sha256 in here}
    return sum(entry.size for entry in files) - sum(moved.values())


def assemble(blobs: Path, tree: Path, files: Sequence[FileEntry]) -> None:
    """Build the folder that the list describes, from its blobs. Blocks. Raises OSError."""
    shutil.rmtree(tree, ignore_errors=True)
    private_folder(tree)
    uses: dict[str, int] = {}
    for entry in files:
        uses[entry.sha256] = uses.get(entry.sha256, 0) + 1
    for entry in files:
        place = tree / entry.path
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        uses[entry.sha256] -= 1
        if uses[entry.sha256]:
            shutil.copyfile(blobs / entry.sha256, place)
        else:
            os.rename(blobs / entry.sha256, place)
        os.chmod(place, entry.mode)
        os.utime(place, ns=(entry.mtime, entry.mtime))
    os.sync()


def _names(folder: Path) -> set[str]:
    private_folder(folder.parent)
    private_folder(folder)
    return {entry.name for entry in os.scandir(folder)}


def _empty(place: Path) -> None:
    place.write_bytes(b"")


def _patience(size: int) -> float:
    return _BLOB_SECONDS + size / _SLOWEST


async def _together(entries: list[FileEntry], one: Callable[[FileEntry], Awaitable[None]]) -> None:
    """A few at once. The first failure ends the others."""
    left = iter(sorted(entries, key=lambda entry: -entry.size))
    over = False

    async def worker() -> None:
        nonlocal over
        for entry in left:
            if over:
                return
            try:
                await one(entry)
            except BaseException:
                over = True
                raise

    workers = [Deferred.fromCoroutine(worker()) for _ in range(_AT_ONCE)]
    try:
        await gatherResults(workers, consumeErrors=True)
    except BaseException as error:
        over = True
        for each in workers:
            each.cancel()
        if isinstance(error, FirstError):
            error.subFailure.raiseException()
        raise
