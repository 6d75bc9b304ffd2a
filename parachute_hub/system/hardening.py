"""Process hardening through prctl and mallopt. Linux only; a no-op elsewhere."""

import ctypes
import sys

_PR_SET_DUMPABLE = 4
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_MEBIBYTE = 1 << 20


def harden() -> None:
    """Block other processes of the same user from reading the hub's memory, and return large blocks to the OS.

    Modules run as the same user, so without PR_SET_DUMPABLE=0 they could attach to the hub or read its environment and
    memory in /proc. The mallopt threshold matters for password hashes: each takes 19 MiB that glibc would keep.
    One arena serves all threads, since they hold the interpreter's lock when they allocate.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, _MEBIBYTE)
        library.mallopt(_M_ARENA_MAX, 1)
