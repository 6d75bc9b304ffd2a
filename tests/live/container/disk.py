"""The disk that a platform attaches: an ext4 file system of its own, which outlives containers."""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import mkdtemp

MEBIBYTE = 1 << 20


class Disk:
    """A new, empty, root-owned file system of `size` bytes, mounted at `path` until `remove`."""

    def __init__(self, size: int = 1024 * MEBIBYTE) -> None:
        self._folder = Path(mkdtemp(prefix="parachute-disk-"))
        backing = self._folder / "disk.ext4"
        with backing.open("wb") as file:
            file.truncate(size)
        self.path = self._folder / "mounted"
        self.path.mkdir()
        subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(backing)], check=True, stdin=subprocess.DEVNULL)
        subprocess.run(["mount", "-o", "loop,noatime", str(backing), str(self.path)], check=True)

    def owners(self) -> set[tuple[int, int]]:
        """Every pair of user and group id that owns anything on the disk."""
        return {(found.lstat().st_uid, found.lstat().st_gid) for found in (self.path, *self.path.rglob("*"))}

    def used(self) -> int:
        """Bytes in use, what is not yet written out included."""
        os.sync()
        return shutil.disk_usage(self.path).used

    def remove(self) -> None:
        """Unmount and forget. Containers that use it must have ended."""
        subprocess.run(["umount", str(self.path)], check=True)
        shutil.rmtree(self._folder)
