"""Keeps the memory of an idle hub small."""

import contextlib
import ctypes
import gc
import linecache


def give_back() -> None:
    """Return free pages of the heap. Takes milliseconds. Does nothing where the C library cannot (glibc can)."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def keep_loaded() -> None:
    """After importing: the collector leaves alone what stays anyway, and generated sources are dropped.

    attrs puts the source of each class it makes into linecache, for debuggers: 1.4 MB. Tracebacks read files again.
    """
    linecache.clearcache()
    gc.freeze()
