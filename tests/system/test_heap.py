"""What the hub gives back, and that it goes on working."""

import ctypes
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from parachute_hub.system import heap

_SIZES = "Rss: {rss} kB\nAnonymous: {anonymous} kB\nSwap: {swap} kB\nLocked: {locked} kB\nVmFlags: rd ex mr mw me"
_CODE = "7f0000000000-7f0000100000 {mode} 00001000 fe:00 1234                       {file}"


def _mapped(mode: str = "r-xp", file: str = "/lib/libcrypto.so.3", rss: int = 512, **sizes: int) -> list[str]:
    given = {"anonymous": 0, "swap": 0, "locked": 0, **sizes}
    return [_CODE.format(mode=mode, file=file), *_SIZES.format(rss=rss, **given).splitlines()]


class UnchangedCodeTests(SynchronousTestCase):
    def test_only_what_is_as_in_the_file_is_released(self) -> None:
        """Each other mapping would lose what is in it, or gains nothing."""
        for mapping, released in (
            (_mapped(), True),
            (_mapped(mode="r--p"), True),
            (_mapped(file="/opt/my hub/_rust.abi3.so"), True),
            (_mapped(file="/usr/bin/python3.11"), True),
            (_mapped(file="/usr/bin/git"), False),
            (_mapped(mode="rw-p"), False),
            (_mapped(mode="r--s"), False),
            (_mapped(anonymous=4), False),
            (_mapped(swap=4), False),
            (_mapped(locked=4), False),
            (_mapped(rss=64), False),
            (_mapped(file="/parachute/hub/hub.db"), False),
            (_mapped(file=""), False),
        ):
            with self.subTest(mapping):
                expected = [(0x7F0000000000, 0x100000)] if released else []
                self.assertEqual(list(heap.unchanged_code(mapping, "/usr/bin/python3.11")), expected)

    def test_each_mapping_is_judged_by_its_own_sizes(self) -> None:
        lines = [*_mapped(anonymous=4), *_mapped(), *_mapped(swap=4)]
        self.assertEqual(len(list(heap.unchanged_code(lines, "/usr/bin/python3.11"))), 1)


_USING = """
import sqlite3, hashlib
from cryptography.hazmat.primitives.asymmetric import ec
from parachute_hub.system import heap
key = ec.generate_private_key(ec.SECP256R1())
heap._WORKING_SET = 0
files = lambda: int(open("/proc/self/statm").read().split()[2])
before = files()
heap.give_back()
print(before, files())
assert key.private_numbers().public_numbers == key.public_key().public_numbers()
assert sqlite3.connect(":memory:").execute("select 6 * 7").fetchone() == (42,)
assert hashlib.sha256(b"").hexdigest().startswith("e3b0c442")
"""


class GiveBackTests(SynchronousTestCase):
    def test_libraries_are_released_and_go_on_working(self) -> None:
        if not Path("/proc/self/smaps").exists() or not hasattr(ctypes.CDLL(None), "malloc_trim"):
            raise SkipTest("Linux with glibc alone can")
        done = subprocess.run([sys.executable, "-c", _USING], capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        before, after = map(int, done.stdout.split())
        self.assertLess(after, before / 2)
