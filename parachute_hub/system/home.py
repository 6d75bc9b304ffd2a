"""The home folder: private to the user, locked by one hub at a time, announced to local programs."""

import contextlib
import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Any

from parachute_hub.system import strict_json
from parachute_hub.system.atomic_files import atomic_write, private_folder, read_bounded
from parachute_hub.system.strict_json import BadJson

DATABASE = "parachute.db"
FOLDER_MODE = 0o700
FILE_MODE = 0o600
_NOTE_LIMIT = 16 * 1024


class HomeError(Exception):
    """The home cannot be used. The text says why and what to do."""


class HomeTooNew(HomeError):
    """A newer hub has used the home."""


class HomeTaken(HomeError):
    """Another hub has locked the home."""


class Home:
    """A home folder and its lock.

    The lock is an flock on `hub/lock`. The kernel releases it when the process exits, so a leftover file cannot block a
    start. The file's text is informational.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hub_folder = path / "hub"
        self._lock_file = self.hub_folder / "lock"
        self._descriptor: int | None = None
        self.is_announced = False

    def prepare(self) -> None:
        """Create the hub's folders with mode 0700. Raises HomeError."""
        try:
            for folder in (
                self.path,
                self.hub_folder,
                self.hub_folder / "installer",
                self.path / "tmp",
                self.path / "modules",
            ):
                private_folder(folder)
            if self.path.stat().st_uid == os.geteuid():
                self.path.chmod(FOLDER_MODE)
        except OSError as error:
            if error.errno in (errno.EEXIST, errno.ENOTDIR):
                raise HomeError(
                    f"The home folder {self.path} cannot be used: there is a file in the place of a folder. "
                    "Choose another with --home."
                ) from None
            raise HomeError(
                f"The home folder {self.path} cannot be used: {error.strerror}. "
                "Choose another with --home, or give it to the user that runs the hub."
            ) from None

    def lock(self, holder: str) -> None:
        """Lock the home; `holder` describes this process to people. Raises HomeTaken, naming the current holder."""
        try:
            descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        except OSError as error:
            raise self._cannot_lock(error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            other = os.read(descriptor, 500).decode("utf-8", "replace").strip() or "another process"
            os.close(descriptor)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise self._cannot_lock(error) from None
            raise HomeTaken(
                f"Another hub already uses {self.path}: {other}. Stop it first, or start this one with another --home."
            ) from None
        self._descriptor = descriptor
        # The lock works without the text, and a full disk may refuse the write.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, holder.encode())

    def inherit(self, descriptor: int, holder: str) -> None:
        """Go on with the lock of an earlier hub in this process. Raises HomeTaken if it is not that of this home."""
        if not os.path.samestat(os.fstat(descriptor), os.stat(self._lock_file)):
            raise HomeTaken(f"The lock that the former hub left is not that of {self.path}.")
        self._descriptor = descriptor
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, holder.encode(), 0)

    @property
    def lock_descriptor(self) -> int:
        """The open file that holds the lock. Raises HomeError if the home is not locked."""
        if self._descriptor is None:
            raise HomeError(f"The home folder {self.path} is not locked.")
        return self._descriptor

    def _cannot_lock(self, error: OSError) -> HomeError:
        return HomeError(
            f"The home folder {self.path} cannot be locked: {error.strerror}. Check the disk and who owns the folder."
        )

    @property
    def locked(self) -> bool:
        """True while this process holds the lock."""
        return self._descriptor is not None

    def release(self) -> None:
        """Unlock the home."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def announce(self, instance: str, port: int, started_at: str) -> None:
        """Write `hub-instance.json`, which tells local programs where this hub listens. Raises OSError."""
        text = json.dumps({"instance": instance, "pid": os.getpid(), "port": port, "startedAt": started_at})
        # Not durable: after a power cut it would tell of a hub that is gone.
        atomic_write(self.path / "hub-instance.json", f"{text}\n".encode(), mode=0o644, durable=False)
        self.is_announced = True

    def withdraw(self) -> None:
        """Remove our `hub-instance.json` on a clean stop; leave another hub's alone."""
        if self.is_announced:
            self.is_announced = False
            (self.path / "hub-instance.json").unlink(missing_ok=True)

    def announced(self) -> dict[str, Any] | None:
        """The announcement of a running hub; None if missing or malformed."""
        try:
            content = read_bounded(self.path / "hub-instance.json", _NOTE_LIMIT)
            value = strict_json.read(content, limit=_NOTE_LIMIT).value
        except (OSError, BadJson):
            return None
        port = value.get("port") if isinstance(value, dict) else None
        return value if isinstance(port, int) and not isinstance(port, bool) and 0 < port < 65536 else None
