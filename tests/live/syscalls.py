"""What programs do to a disk, as strace sees it: every call on files below a folder, as steps of a `Disk`.

strace, because it sees the children as well (bun is a program of its own) and needs nothing but itself. That nothing
was overlooked is checked and not hoped: `record` compares what the steps add up to with what lies there in the end.
"""

import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from attrs import define, field, frozen

from tests.live.powercut import Disk, seen

ROOT = Path(__file__).parents[2]
CALLS = (
    "open,openat,creat,write,writev,pwrite64,pwritev,pwritev2,ftruncate,truncate,fallocate,copy_file_range,sendfile,"
    "mkdir,mkdirat,rmdir,unlink,unlinkat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,"
    "fsync,fdatasync,sync,syncfs"
)
_WATCHED = frozenset(CALLS.split(","))  # strace also tells of calls that it has no name for
_LINE = re.compile(r"(\d+) +(?:<\.\.\. (\w+) resumed>)?(.*)")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)(.*)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FILE = re.compile(r"(AT_FDCWD|-?\d+)<((?:\\x[0-9a-f]{2})*)>")
_NUMBER = re.compile(r"\[(\d+)\]")


class Overlooked(Exception):
    """The steps do not add up to what lies on the disk: the model misses a way of writing."""


@frozen
class Call:
    """A call that went well: its arguments as strace wrote them, and after how many steps it began."""

    process: str
    name: str
    arguments: str
    result: int
    rest: str
    begun: int

    @property
    def texts(self) -> list[bytes]:
        """The arguments that are strings."""
        return [_bytes(found) for found in _TEXT.findall(self.arguments)]

    @property
    def files(self) -> list[str]:
        """The paths of the descriptors among the arguments, AT_FDCWD included."""
        return [_bytes(found[1]).decode() for found in _FILE.findall(self.arguments)]


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def record(root: Path, command: Sequence[str], said: bytes | None) -> Disk:
    """Run the command and watch what it and its children do below `root`. `said` is its word that all is done."""
    disk = Disk(root)
    trace = root.with_suffix(".trace")
    watch = ["strace", "-f", "-y", "-xx", "-qq", "-s", "100000000", "--seccomp-bpf", "-o", str(trace)]
    subprocess.run(
        [*watch, "-e", f"trace={CALLS}", "-e", "signal=none", *command],
        check=True,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        timeout=120,
    )
    reader = Reader(disk, said)
    with trace.open() as lines:
        reader.read(lines)
    trace.unlink()
    if disk.tree() != seen(root):
        raise Overlooked(_difference(disk.tree(), seen(root)))
    return disk


def _difference(one: object, other: object, path: str = "") -> str:
    if isinstance(one, dict) and isinstance(other, dict):
        return "".join(
            _difference(one.get(name), other.get(name), f"{path}/{name.decode()}") for name in {*one, *other}
        )
    return "" if one == other else f"{path}: {one!r:.80} in the model, {other!r:.80} on the disk\n"


@define
class Reader:
    """Turns lines of strace into steps."""

    disk: Disk
    said: bytes | None
    _begun: dict[str, tuple[str, int]] = field(factory=dict)
    _folders: dict[str, str] = field(factory=dict)
    _nameless: dict[str, int] = field(factory=dict)
    _at: dict[int, int] = field(factory=dict)
    _read_at: dict[int, int] = field(factory=dict)
    _appended: set[int] = field(factory=set)

    def read(self, lines: Iterator[str]) -> None:
        """Every line, in the order in which the calls ended."""
        for line in lines:
            for call in self._calls(line.rstrip("\n")):
                for process_folder in _FILE.findall(call.arguments):
                    if process_folder[0] == "AT_FDCWD":
                        self._folders[call.process] = _bytes(process_folder[1]).decode()
                if call.result >= 0 and call.name in _WATCHED:
                    getattr(self, f"_{call.name}")(call)

    def _calls(self, line: str) -> Iterator[Call]:
        found = _LINE.fullmatch(line)
        if found is None:
            return
        process, resumed, text = found.groups()
        begun = len(self.disk.steps)
        if resumed:
            head, begun = self._begun.pop(process)
            text = head + text
        elif text.endswith("<unfinished ...>"):
            self._begun[process] = (text.removesuffix("<unfinished ...>"), begun)
            return
        call = _CALL.fullmatch(text)
        if call is not None:
            yield Call(process, call[1], call[2], int(call[3]), call[4], begun)

    def _path(self, call: Call, text: bytes, folder: str | None = None) -> str:
        """The absolute path that an argument means."""
        return str(Path(folder or self._folders.get(call.process, "/")) / text.decode())

    def _open_file(self, call: Call, index: int = 0) -> int | None:
        """The inode behind a descriptor among the arguments, if it is on our disk."""
        path = call.files[index]
        return self._nameless.get(path) or (self.disk.find(path) if self.disk.covers(path) else None)

    # -- files --

    def _openat(self, call: Call) -> None:
        path = _bytes(_FILE.findall(f"{call.result}{call.rest}")[0][1]).decode()
        if not self.disk.covers(path) or "O_DIRECTORY" in call.arguments:
            return
        if "O_TMPFILE" in call.arguments:
            self._nameless[path] = inode = self.disk.make(None)
        else:
            known = self.disk.find(path)
            if known is None and "O_CREAT" not in call.arguments:
                return
            inode = self.disk.make(path) if known is None else known
        if "O_RDONLY" in call.arguments:
            self._read_at[inode] = 0
            return
        if "O_TRUNC" in call.arguments:
            self.disk.resize(inode, 0)
        self._at[inode] = 0
        (self._appended.add if "O_APPEND" in call.arguments else self._appended.discard)(inode)

    _open = _openat

    def _creat(self, call: Call) -> None:
        raise Overlooked("creat")

    def _write(self, call: Call) -> None:
        data = b"".join(call.texts)[: call.result]
        inode = self._open_file(call)
        if inode is not None:
            self._put(inode, data)
        elif self.said is not None and self.said in data:
            self.disk.acknowledged = len(self.disk.steps)

    _writev = _write

    def _put(self, inode: int, data: bytes, at: int | None = None) -> None:
        if at is None:
            at = self.disk.size(inode) if inode in self._appended else self._at.get(inode, 0)
            self._at[inode] = at + len(data)
        self.disk.write(inode, at, data)

    def _pwrite64(self, call: Call) -> None:
        inode = self._open_file(call)
        if inode is not None:
            self._put(inode, b"".join(call.texts)[: call.result], int(call.arguments.rsplit(", ", 1)[1]))

    def _pwritev(self, call: Call) -> None:
        if self._open_file(call) is not None:
            raise Overlooked(call.name)

    _pwritev2 = _pwritev

    def _truncate(self, call: Call) -> None:
        if self.disk.covers(self._path(call, call.texts[0])):
            raise Overlooked("truncate")

    def _ftruncate(self, call: Call) -> None:
        inode = self._open_file(call)
        if inode is not None:
            self.disk.resize(inode, int(call.arguments.rsplit(", ", 1)[1]))

    def _fallocate(self, call: Call) -> None:
        inode = self._open_file(call)
        if inode is not None:
            _, mode, start, length = call.arguments.rsplit(", ", 3)
            if mode == "0":
                self.disk.resize(inode, max(self.disk.size(inode), int(start) + int(length)))

    def _sendfile(self, call: Call) -> None:
        self._copied(call, 0, 1)

    def _copy_file_range(self, call: Call) -> None:
        self._copied(call, 1, 0)

    def _copied(self, call: Call, target: int, source: int) -> None:
        inode, given = self._open_file(call, target), self._open_file(call, source)
        if inode is None or not call.result:
            return
        if given is None:
            raise Overlooked(f"{call.name} from {call.files[source]}")
        offsets = _NUMBER.findall(call.arguments)
        at = int(offsets[0]) if offsets else self._read_at.get(given, 0)
        self._read_at[given] = at + call.result
        self._put(inode, self.disk.read(given, at, call.result))

    # -- names --

    def _names(self, call: Call) -> list[str]:
        """The paths among the arguments, each with the folder that stands before it."""
        at = call.name.endswith(("at", "at2"))
        folders: list[str | None] = [*call.files] if at else [None] * len(call.texts)
        return [self._path(call, text, folder) for text, folder in zip(call.texts, folders, strict=True)]

    def _mkdir(self, call: Call) -> None:
        (path,) = self._names(call)
        if self.disk.covers(path):
            self.disk.make(path, folder=True)

    _mkdirat = _mkdir

    def _rename(self, call: Call) -> None:
        old, new = self._names(call)
        if "RENAME_EXCHANGE" in call.arguments:
            raise Overlooked(call.name)
        if self.disk.covers(old):
            self.disk.rename(old, new)

    _renameat = _renameat2 = _rename

    def _unlink(self, call: Call) -> None:
        (path,) = self._names(call)
        if self.disk.covers(path):
            self.disk.remove(path)

    _unlinkat = _rmdir = _unlink

    def _link(self, call: Call) -> None:
        old, new = self._names(call)
        if not self.disk.covers(new):
            return
        inode = self._open_file(call) if "AT_EMPTY_PATH" in call.arguments else self.disk.find(old)
        assert inode is not None, call
        self.disk.link(inode, new)

    _linkat = _link

    def _symlink(self, call: Call) -> None:
        text, name = call.texts
        path = self._path(call, name, call.files[0] if call.files else None)
        if self.disk.covers(path):
            self.disk.make(path, link=text.decode())

    _symlinkat = _symlink

    # -- making sure --

    def _fsync(self, call: Call) -> None:
        inode = self._open_file(call)
        if inode is not None:
            self.disk.sync(inode, call.begun)

    _fdatasync = _fsync

    def _sync(self, call: Call) -> None:
        self.disk.sync(None, call.begun)

    def _syncfs(self, call: Call) -> None:
        if self.disk.covers(call.files[0]):
            self._sync(call)
