"""Two log files per module with its latest output, and reading them. Write failures never affect the module."""

import os
from collections.abc import Sequence
from pathlib import Path

from twisted.logger import Logger

from parachute_hub.system.log_lines import Line, LogQuery, read_line, written


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

    def write(self, lines: Sequence[Line]) -> None:
        """Append lines. Failures are logged once and the lines dropped."""
        data = "".join(f"{written(line)}\n" for line in lines).encode("utf-8", "replace")
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


def read_log(folder: Path, name: str, query: LogQuery) -> list[Line] | None:
    """The lines of both files that are asked for, the oldest first; None without a file. Blocks. Raises OSError."""
    newest = _content(folder / f"{name}.log")
    older = _content(folder / f"{name}.log.1")
    if newest is None and older is None:
        return None
    # The files may be turned between the two reads; then the same file was read twice.
    parts = [content for content in (older, newest) if content] if older != newest else [newest or b""]
    texts = (text for part in parts for text in part.decode("utf-8", "replace").split("\n"))
    return query.select(line for text in texts if (line := read_line(text)) is not None)


def last_mark(folder: Path, name: str) -> str | None:
    """The newest mark in the newest file; None without one. Blocks. Raises OSError."""
    content = _content(folder / f"{name}.log") or b""
    at = content.rfind(b"Z = ")
    return content[at + 4 :].split(None, 1)[0].decode("utf-8", "replace") if at >= 0 else None


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
