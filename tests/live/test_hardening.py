"""The hub process against other processes of the same user."""

import ctypes
import os
import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.live.harness import hub, packed_examples


class HardeningTests(SynchronousTestCase):
    def test_the_hub_is_not_dumpable(self) -> None:
        """An unprivileged process of the same user cannot read its environment or memory."""
        one = hub(self).start()
        assert one.process is not None
        self.assertTrue(dumpable_is_off(one.process.pid))

    def test_no_file_of_the_home_is_for_others(self) -> None:
        """Whatever umask the hub was started with; a package's files are as bun unpacked them, in a private folder."""
        before = os.umask(0)
        try:
            one = hub(self, catalog=packed_examples()).start()
        finally:
            os.umask(before)
        one.client.call("POST", "/api/users", {"username": "grace", "password": "her own first password"})
        one.install("vault")
        one.stop()
        found = {path.relative_to(one.home): path.lstat().st_mode for path in one.home.rglob("*")}
        self.assertIn(Path("parachute.db"), found)
        self.assertEqual(one.home.stat().st_mode & 0o777, 0o700)
        packages = Path("modules")
        loose = [
            f"{path} {stat.filemode(mode)}"
            for path, mode in found.items()
            if not stat.S_ISLNK(mode) and mode & 0o077 and packages not in path.parents
        ]
        self.assertEqual(loose, [])


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
