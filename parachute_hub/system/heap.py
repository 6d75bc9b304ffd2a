"""Returns memory that Python no longer uses to the system."""

import contextlib
import ctypes


def give_back() -> None:
    """Return free pages of the heap. Takes milliseconds. Does nothing where the C library cannot (glibc can)."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
