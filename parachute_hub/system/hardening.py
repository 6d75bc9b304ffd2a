"""What the hub asks of the kernel and the C library for itself. Linux only; elsewhere nothing happens."""

import ctypes
import sys

_PR_SET_DUMPABLE = 4
_M_MMAP_THRESHOLD = -3
_MEBIBYTE = 1 << 20


def harden() -> None:
    """Keep other processes of our user from reading our memory, and give large blocks back to the system.

    Not dumpable: modules run as the same user, and could otherwise attach to the hub or read its environment and
    memory below /proc. The threshold: a password hash takes 19 MiB, which glibc would keep.
    """
    if not sys.platform.startswith("linux"):
        return
    library = ctypes.CDLL(None, use_errno=True)
    library.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if hasattr(library, "mallopt"):
        library.mallopt(_M_MMAP_THRESHOLD, _MEBIBYTE)
