"""Runs a program as on a kernel without Landlock: `python -m tests.live.old_kernel PROGRAM [ARGUMENT ...]`.

A seccomp filter answers the three calls with ENOSYS, like Linux before 5.13 and gVisor.
"""

import ctypes
import errno
import os
import struct
import sys

from parachute_hub.confinement.kernel import Calls

_LOAD_NUMBER = (0x20, 0, 0, 0)
_IF_LANDLOCK = ((0x35, 0, 2, 444), (0x25, 1, 0, 446))  # 444 <= number <= 446
_UNKNOWN, _ALLOW = (0x06, 0, 0, 0x00050000 | errno.ENOSYS), (0x06, 0, 0, 0x7FFF0000)
_PR_SET_SECCOMP, _FILTER = 22, 2


class _Filter(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def main() -> None:
    code = b"".join(struct.pack("=HBBI", *each) for each in (_LOAD_NUMBER, *_IF_LANDLOCK, _UNKNOWN, _ALLOW))
    Calls().no_new_privileges()
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(_Filter(len(code) // 8, code))) != 0:
        raise OSError(ctypes.get_errno(), "the filter was refused")
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
