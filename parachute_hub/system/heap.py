"""Keeps the memory of an idle hub small."""

import contextlib
import ctypes
import gc
import linecache
import mmap
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

_MAPPINGS = Path("/proc/self/smaps")
_SIZES = Path("/proc/self/statm")
# KB. Smaller ones gain little; and they are libraries that a thread may unload meanwhile.
_LARGE = 128
# KB of files in memory that an idle hub uses.
_WORKING_SET = 8 * 1024


def give_back() -> None:
    """Return what is not used. Takes milliseconds. Does nothing where the system cannot (Linux with glibc can)."""
    with contextlib.suppress(AttributeError, OSError, ValueError, LookupError):
        _release_libraries()
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def give_back_after_a_crowd() -> None:
    """The same with what closed connections leave in cycles, which wait for the collector until others are opened."""
    gc.collect()
    give_back()


def keep_loaded() -> None:
    """After importing: the collector leaves alone what stays anyway, and generated sources are dropped.

    attrs puts the source of each class it makes into linecache, for debuggers: 1.4 MB. Tracebacks read files again.
    """
    linecache.clearcache()
    gc.freeze()


def _release_libraries() -> None:
    """Unmap machine code, as Linux does when memory gets short: 16 MB that only a start uses.

    What is used again is mapped again from the page cache, 64 KB at a time.
    """
    pages = int(_SIZES.read_text().split()[2])
    if pages * mmap.PAGESIZE < _WORKING_SET * 1024:
        return
    library = ctypes.PyDLL(None)  # It keeps the interpreter's lock, so that no other thread imports meanwhile.
    library.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    with _MAPPINGS.open() as lines:
        found = list(unchanged_code(lines, os.path.realpath(sys.executable)))
    for begin, size in found:
        library.madvise(begin, size, mmap.MADV_DONTNEED)


def unchanged_code(lines: Iterable[str], program: str) -> Iterator[tuple[int, int]]:
    """Address and size of large mappings of libraries and the program that are as in their files, from /proc/PID/smaps.

    Linux forgets what was written to a private mapping, in memory or swapped out, when it is told MADV_DONTNEED.
    """
    for (place, mode, *_, file), sizes in _mappings(lines):
        changed = sizes["Anonymous"] or sizes["Swap"] or sizes["Locked"]
        is_code = mode in ("r-xp", "r--p") and (".so" in file or file.strip() == program)
        if is_code and sizes["Rss"] >= _LARGE and not changed:
            begin, end = (int(each, 16) for each in place.split("-"))
            yield begin, end - begin


def _mappings(lines: Iterable[str]) -> Iterator[tuple[list[str], dict[str, int]]]:
    """The head of each mapping of a file, and its sizes in KB."""
    head: list[str] = []
    sizes: dict[str, int] = {}
    for line in lines:
        name, _, rest = line.partition(":")
        if " " not in name:
            sizes[name] = int(rest.split()[0]) if rest.rstrip().endswith(" kB") else 0
            continue
        if len(head) == 6:
            yield head, sizes
        head, sizes = line.split(maxsplit=5), {}
    if len(head) == 6:
        yield head, sizes
