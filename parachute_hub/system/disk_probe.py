"""Tests every minute whether the disk accepts writes, since reads prove nothing."""

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from twisted.internet.interfaces import IReactorTime

from parachute_hub.system.storage_trouble import storage_trouble

PROBE_SECONDS = 60.0
# Seconds after which a write is reported as hanging; it continues in its thread.
PATIENCE = 20.0
_SIZE = 4096


class DiskProbe:
    """Writes, syncs and removes `path`. `in_thread` runs blocking calls."""

    def __init__(self, path: Path, *, in_thread: Callable[..., Awaitable[Any]], clock: IReactorTime) -> None:
        self._path = path
        self._in_thread = in_thread
        self._clock = clock
        self._found = "ok"
        self._since: float | None = None

    def state(self) -> str:
        """For /health: `ok`, or `error:` with a word of `storage_trouble` or `not_answering`."""
        if self._since is not None and self._clock.seconds() - self._since > PATIENCE:
            return "error: not_answering"
        return self._found

    async def look(self) -> None:
        """Write once. Only one write at a time, so that a hanging disk cannot use up the threads."""
        if self._since is not None:
            return
        self._since = self._clock.seconds()
        try:
            await self._in_thread(self._write)
            self._found = "ok"
        except OSError as error:
            trouble = storage_trouble(error)
            self._found = f"error: {trouble.error if trouble else error.strerror}"
        finally:
            self._since = None

    def _write(self) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.write(descriptor, b"\1" * _SIZE)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            self._path.unlink(missing_ok=True)
