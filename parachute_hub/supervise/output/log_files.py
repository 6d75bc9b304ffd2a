"""Two log files per module with its latest output. Write failures never affect the module."""

import os
from pathlib import Path

from twisted.logger import Logger

from parachute_hub.supervise.model import timestamp


class LogFiles:
    """Appends to `<short>.log`, renamed to `<short>.log.1` when full. Both are mode 0600."""

    _log = Logger()

    def __init__(self, folder: Path, short: str, limit: int) -> None:
        self._path = folder / f"{short}.log"
        self._older = folder / f"{short}.log.1"
        self._limit = limit
        self._file: int | None = None
        self._size = 0
        self._failing = False

    def write(self, at: float, lines: list[str]) -> None:
        """Append lines from time `at` (epoch seconds). Failures are logged once and the lines dropped."""
        when = timestamp(at)
        data = "".join(f"{when} {line}\n" for line in lines).encode("utf-8", "replace")
        try:
            file = self._open() if self._file is None else self._file
            if self._size and self._size + len(data) > self._limit:
                file = self._turn()
            self._size += os.write(file, data)
            self._failing = False
        except (OSError, ValueError) as error:
            if not self._failing:
                self._log.warn(
                    "{path} cannot be written: {error}. Keeping its lines in memory only.",
                    path=str(self._path),
                    error=str(error),
                )
            self._failing = True
            self.close()

    def close(self) -> None:
        """Close the file; the next write reopens it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size
        return self._file

    def _turn(self) -> int:
        self.close()
        os.replace(self._path, self._older)
        return self._open()
