"""The hub process against other processes of the same user."""

import ctypes
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import hub


class HardeningTests(SynchronousTestCase):
    def test_the_hub_is_not_dumpable(self) -> None:
        """An unprivileged process of the same user cannot read its environment or memory."""
        one = hub(self).start()
        assert one.process is not None
        self.assertTrue(dumpable_is_off(one.process.pid))


def dumpable_is_off(pid: int) -> bool:
    """Whether an unprivileged child of the same user can attach, tried in a process that drops privileges."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        library = ctypes.CDLL(None)
        # Drop every capability: CAP_SYS_PTRACE would open everything.
        header = (ctypes.c_uint32 * 2)(0x20080522, 0)
        library.capset(header, (ctypes.c_uint32 * 6)(0, 0, 0, 0, 0, 0))
        try:
            Path(f"/proc/{pid}/environ").read_bytes()
            os.write(writer, b"read")
        except PermissionError:
            os.write(writer, b"kept")
        os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)
    with os.fdopen(reader, "rb") as answer:
        return answer.read() == b"kept"
