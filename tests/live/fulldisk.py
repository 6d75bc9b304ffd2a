"""A disk that is full for this process: chosen writes below a folder fail with ENOSPC.

Not strace: it can let the n-th call of one name fail, but not "the n-th write to storage, whatever its name", and not
"from then on all of them, but no pipe and no socket". Here every way in which Python code of the hub puts something on
a disk is counted, in its order: making files, folders, links and names, writing, making longer, fsync. What frees space
(removing, cutting) never fails. Children are not touched: bun meets a disk that is truly full in test_modules_disk.
"""

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field

PATHS = ("mkdir", "rename", "replace", "symlink", "link")
DESCRIPTORS = ("write", "fsync", "fdatasync", "sendfile", "posix_fallocate")


@define
class FullDisk:
    """Counts what is written below `home`. The write `at` fails; when it is `lasting`, so do all that follow.

    `error` is another number than that of a full disk, for disks that are broken.
    """

    home: Path
    at: int | None = None
    lasting: bool = False
    error: int = errno.ENOSPC
    calls: list[str] = field(factory=list)

    def refuse(self, name: str, path: object) -> None:
        """One call on a path or descriptor. Raises OSError when the disk is full."""
        place = self._place(path)
        if place is None or not place.is_relative_to(self.home):
            return
        self.calls.append(f"{name} {place.relative_to(self.home)}")
        count = len(self.calls)
        if self.at is not None and (count == self.at or self.lasting and count > self.at):
            raise OSError(self.error, os.strerror(self.error), str(place))

    def _place(self, path: object) -> Path | None:
        if isinstance(path, int):
            try:
                return Path(os.readlink(f"/proc/self/fd/{path}"))
            except OSError:
                return None
        return Path(os.path.abspath(os.fsdecode(path)))  # type: ignore[arg-type]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Until the end of the block, this process has this disk."""
        with ExitStack() as stack:
            for name in PATHS:
                # The last path is the one that is made.
                where = 0 if name == "mkdir" else 1
                stack.enter_context(_changed(os, name, self._guarded(name, getattr(os, name), where)))
            for name in DESCRIPTORS:
                stack.enter_context(_changed(os, name, self._guarded(name, getattr(os, name), 0)))
            stack.enter_context(_changed(os, "open", self._opened(os.open)))
            for module in (io, builtins):
                stack.enter_context(_changed(module, "open", self._stream(io.open)))
            yield

    def _guarded(self, name: str, real: Callable[..., Any], where: int) -> Callable[..., Any]:
        def guarded(*args: Any, **options: Any) -> Any:
            self.refuse(name, args[where])
            return real(*args, **options)

        return guarded

    def _opened(self, real: Callable[..., int]) -> Callable[..., int]:
        def opened(path: Any, flags: int, *args: Any, **options: Any) -> int:
            if flags & os.O_CREAT and not os.path.exists(path):
                self.refuse("open", path)
            return real(path, flags, *args, **options)

        return opened

    def _stream(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def opened(file: Any, mode: str = "r", buffering: int = -1, *args: Any, **options: Any) -> Any:
            if not set(mode) & set("wax+"):
                return real(file, mode, buffering, *args, **options)
            if not isinstance(file, int) and not os.path.exists(file):
                self.refuse("open", file)
            plain, opener = mode.replace("b", "").replace("t", ""), options.pop("opener", None)
            raw = _Raw(file, plain, options.pop("closefd", True), opener)
            raw.disk = self
            if not buffering:
                return raw
            whole: Any = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
            return whole if "b" in mode else io.TextIOWrapper(whole, *args, **options)

        return opened


class _Raw(io.FileIO):
    """A file that asks before it writes."""

    disk: FullDisk

    def write(self, data: Any) -> int:
        """Raises OSError when the disk is full."""
        self.disk.refuse("write", self.fileno())
        return super().write(data)


@contextmanager
def _changed(module: Any, name: str, value: object) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)
