"""A disk as a power cut may leave it: what was done on it is recorded, and then only part of that is there.

The model knows inodes, names and bytes, as POSIX does, and promises no more than POSIX does:

- Bytes and the size of a file are there for sure once fsync or fdatasync of that file has returned. Before, each write
  by itself may be there, be missing, be torn after any byte, or have made the file longer with zeros in it.
- A name in a folder (made, linked, renamed or removed) is sure once fsync of the folder has returned; fsync of the file
  does not help. Before, each change by itself may have happened or not, in any order: a later one may be there without
  an earlier one. A rename is one change, also between folders: both sides of it have happened or neither, so that
  fsync of one of the two folders makes it sure. A symbolic link has its text as soon as it has its name.
- sync and syncfs make everything sure that was done before they were called.
- Only what was done before such a call began is covered by it; what other threads did meanwhile is not.

This is harsher than a journaling file system, which keeps the order of changes to names. Not in the model: modes and
owners, changes through mmap, and disks that lie about what they have written.
"""

import shutil
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from random import Random
from typing import TypeAlias

from attrs import define, field, frozen

Tree: TypeAlias = dict[bytes, "bytes | str | Tree"]
"""What is in a folder: bytes are a file, text is the target of a symbolic link."""


class Loss(Enum):
    """What a cut does to changes that nothing has made sure."""

    NOTHING = "nothing is lost, as in a kill"
    EVERYTHING = "everything is lost"
    BYTES = "names are there, bytes are not"
    ZEROS = "names are there, and zeros in the place of bytes"
    NAMES = "bytes are there, names are not"
    SOME = "each change is there or lost, as the dice fall"


@frozen
class Names:
    """One change of names: in each of these folders a name now means this inode, or nothing."""

    changes: tuple[tuple[int, bytes, int | None], ...]

    @property
    def inodes(self) -> tuple[int, ...]:
        """Any of these, synced, makes it sure."""
        return tuple(folder for folder, _, _ in self.changes)


@frozen
class Bytes:
    """Bytes written into a file; `size` instead of them is its new size."""

    inode: int
    at: int
    data: bytes
    size: int | None = None

    @property
    def inodes(self) -> tuple[int, ...]:
        """Any of these, synced, makes it sure."""
        return (self.inode,)


@frozen
class Sync:
    """What was done before step `since` to this inode, or to all, is sure from here on."""

    inode: int | None
    since: int


Step: TypeAlias = Names | Bytes | Sync


@define
class _State:
    """Names and bytes at one moment."""

    folders: dict[int, dict[bytes, int]]
    files: dict[int, bytes]
    links: dict[int, str]

    def copy(self) -> "_State":
        folders = {inode: dict(names) for inode, names in self.folders.items()}
        return _State(folders, dict(self.files), self.links)

    def name(self, change: Names) -> None:
        for folder, name, inode in change.changes:
            if inode is None:
                self.folders[folder].pop(name, None)
                continue
            if inode in self.folders:
                # A folder has one name. An earlier change that was lost must not leave it with two.
                for names in self.folders.values():
                    for other in [other for other, known in names.items() if known == inode]:
                        del names[other]
            self.folders[folder][name] = inode

    def write(self, change: Bytes) -> None:
        content = self.files[change.inode]
        if change.size is not None:
            self.files[change.inode] = content[: change.size].ljust(change.size, b"\0")
        elif change.data:
            end = change.at + len(change.data)
            self.files[change.inode] = content[: change.at].ljust(change.at, b"\0") + change.data + content[end:]

    def tree(self, inode: int = 0) -> Tree:
        return {
            name: self.files[known]
            if known in self.files
            else self.links[known]
            if known in self.links
            else self.tree(known)
            for name, known in self.folders[inode].items()
        }


@define
class Disk:
    """What lies below `root`, and everything that is done to it from now on. What is there already is sure.

    `acknowledged` is the number of steps after which somebody was told that it is done.
    """

    root: Path
    steps: list[Step] = field(factory=list)
    acknowledged: int | None = None
    _before: _State = field(init=False)
    _now: _State = field(init=False)
    _next: int = 1

    def __attrs_post_init__(self) -> None:
        self._before = _State({0: {}}, {}, {})
        self._take(self.root, 0, {})
        self._now = self._before.copy()

    def _take(self, folder: Path, inode: int, seen: dict[int, int]) -> None:
        state = self._before
        for path in folder.iterdir():
            number = path.lstat().st_ino
            known = state.folders[inode][path.name.encode()] = seen.get(number) or self._new()
            if path.is_symlink():
                state.links[known] = str(path.readlink())
            elif path.is_dir():
                state.folders[known] = {}
                self._take(path, known, seen)
            elif known not in state.files:
                seen[number] = known
                state.files[known] = path.read_bytes()

    def _new(self) -> int:
        self._next += 1
        return self._next - 1

    def find(self, path: str) -> int | None:
        """The inode of this path, None when there is none. Symbolic links are not followed."""
        known: int | None = 0
        for name in self._parts(path):
            known = self._now.folders.get(known, {}).get(name) if known is not None else None
        return known

    def covers(self, path: str) -> bool:
        """Whether the path is below the root, or the root itself."""
        return Path(path).is_relative_to(self.root)

    def make(self, path: str | None, link: str | None = None, folder: bool = False) -> int:
        """A new file, symbolic link or folder; without a path it has no name yet."""
        inode = self._new()
        for state in (self._before, self._now):
            if folder:
                state.folders[inode] = {}
            elif link is None:
                state.files[inode] = b""
            else:
                state.links[inode] = link
        if path is not None:
            self._do(Names((self._place(path, inode),)))
        return inode

    def link(self, inode: int, path: str) -> None:
        """One more name."""
        self._do(Names((self._place(path, inode),)))

    def rename(self, old: str, new: str) -> None:
        """Another name, in the place of what had it."""
        inode = self.find(old)
        assert inode is not None, old
        self._do(Names((self._place(old, None), self._place(new, inode))))

    def remove(self, path: str) -> None:
        """A name less."""
        self._do(Names((self._place(path, None),)))

    def write(self, inode: int, at: int, data: bytes) -> None:
        """Bytes into a file."""
        self._do(Bytes(inode, at, data))

    def resize(self, inode: int, size: int) -> None:
        """Cut a file, or make it longer."""
        if size != self.size(inode):
            self._do(Bytes(inode, 0, b"", size))

    def size(self, inode: int) -> int:
        """The size of a file."""
        return len(self._now.files[inode])

    def read(self, inode: int, at: int, size: int) -> bytes:
        """Bytes of a file."""
        return self._now.files[inode][at : at + size]

    def sync(self, inode: int | None, since: int) -> None:
        """fsync of an inode, or of everything, that began after `since` steps."""
        self.steps.append(Sync(inode, since))

    def tree(self) -> Tree:
        """What there is now, for those who did not lose power."""
        return self._now.tree()

    def careless(self) -> "Disk":
        """The same steps by somebody who makes nothing sure."""
        return self._with([step for step in self.steps if not isinstance(step, Sync)])

    def _with(self, steps: list[Step]) -> "Disk":
        other = Disk.__new__(Disk)
        other.root, other.steps, other._before, other._now = self.root, steps, self._before, self._now
        other.acknowledged = len(steps) if self.acknowledged is not None else None
        return other

    def after_a_cut(self, cut: int, loss: Loss, random: Random) -> Tree:
        """What may be there when the power went after so many steps."""
        state = self._before.copy()
        sure = self._sure(cut)
        for index, step in enumerate(self.steps[:cut]):
            match step:
                case Names() if index < sure(step.inodes) or _name_survives(loss, random):
                    state.name(step)
                case Bytes():
                    state.write(step if index < sure(step.inodes) else _rest(step, loss, random))
        return state.tree()

    def _sure(self, cut: int) -> Callable[[tuple[int, ...]], int]:
        """For inodes: the number of steps before which a change to one of them is sure."""
        everything, each = 0, dict[int, int]()
        for step in self.steps[:cut]:
            if isinstance(step, Sync) and step.inode is None:
                everything = max(everything, step.since)
            elif isinstance(step, Sync) and step.inode is not None:
                each[step.inode] = max(each.get(step.inode, 0), step.since)
        return lambda inodes: max(everything, *(each.get(inode, 0) for inode in inodes))

    def _do(self, step: Names | Bytes) -> None:
        self.steps.append(step)
        if isinstance(step, Names):
            self._now.name(step)
        else:
            self._now.write(step)

    def _place(self, path: str, inode: int | None) -> tuple[int, bytes, int | None]:
        folder, name = path.rstrip("/").rsplit("/", 1)
        known = self.find(folder)
        assert known is not None, path
        return known, name.encode(), inode

    def _parts(self, path: str) -> Iterator[bytes]:
        return (part.encode() for part in Path(path).relative_to(self.root).parts)


def _name_survives(loss: Loss, random: Random) -> bool:
    if loss is Loss.SOME:
        return random.random() < 0.5
    return loss not in (Loss.EVERYTHING, Loss.NAMES)


def _rest(step: Bytes, loss: Loss, random: Random) -> Bytes:
    """What is left of a write of which nothing is sure."""
    there, missing = step, Bytes(step.inode, 0, b"")
    if step.size is not None:
        whole = loss in (Loss.NOTHING, Loss.NAMES, Loss.BYTES) or (loss is Loss.SOME and random.random() < 0.5)
        return there if whole else missing
    zeros = Bytes(step.inode, step.at, bytes(len(step.data)))
    match loss:
        case Loss.NOTHING | Loss.NAMES:
            return there
        case Loss.EVERYTHING | Loss.BYTES:
            return missing
        case Loss.ZEROS:
            return zeros
    torn = Bytes(step.inode, step.at, step.data[: random.randrange(len(step.data) + 1)])
    return random.choice((there, missing, zeros, torn))


def put(tree: Tree, folder: Path) -> None:
    """Make the folder hold exactly this."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, value in tree.items():
        path = folder / name.decode()
        if isinstance(value, bytes):
            path.write_bytes(value)
        elif isinstance(value, str):
            path.symlink_to(value)
        else:
            put(value, path)


def seen(folder: Path) -> Tree:
    """What the folder holds."""
    return Disk(folder).tree()
