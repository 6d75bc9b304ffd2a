"""Two log files per module with its latest output, and reading them. Write failures never affect the module."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock

from twisted.logger import Logger

from parachute_hub.system.file_writer import FileWriter
from parachute_hub.system.log_lines import Line, LogQuery, read_line, written

LOG_BYTES = 2 << 20
"""What both files of a log may take together, unless the owner chose another size."""

MOST_WAITING = 1 << 20
"""Bytes that wait for a slow disk; what comes on top is only kept in memory."""


class LogFiles:
    """Appends to `<short>.log`, renamed to `<short>.log.1` when full. Both are mode 0600. `room` is what they may take
    together, in bytes; it is asked before each write.

    Lines are collected while the writer's thread is busy, and written together.
    """

    _log = Logger()

    def __init__(self, folder: Path, short: str, room: Callable[[], int], writer: FileWriter) -> None:
        self._path = folder / f"{short}.log"
        self._older = folder / f"{short}.log.1"
        self._room = room
        self._writer = writer
        self._lock = Lock()
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._under_way = False
        self._lost = 0
        self._failing = False
        # Used by the writer's thread.
        self._file: int | None = None
        self._size = 0

    def write(self, lines: Sequence[Line]) -> None:
        """Append lines, from any thread. Failures are logged once and the lines dropped."""
        data = "".join(f"{written(line)}\n" for line in lines).encode("utf-8", "replace")
        with self._lock:
            if self._bytes + len(data) > MOST_WAITING:
                self._lost += len(lines)
                return
            if self._lost and lines:
                missing = f"{self._lost} lines are missing here, because the disk was too slow."
                data = f"{written(Line(0, lines[0].at, missing, 'warning'))}\n".encode() + data
                self._lost = 0
            self._waiting.append(data)
            self._bytes += len(data)
        self._go_on()

    def through(self, writer: FileWriter) -> None:
        """Write through this one from now on. What an earlier one was given must be written."""
        self._writer, self._under_way = writer, False
        self._go_on()

    def close(self) -> None:
        """Close the file after what was written; the next write reopens it."""
        self._writer(self._close)

    def _go_on(self) -> None:
        with self._lock:
            if self._under_way or not self._waiting:
                return
            parts, self._waiting, self._bytes = self._waiting, [], 0
            self._under_way = True
        self._writer.change(lambda: self._append(parts), self._appended)

    def _appended(self, error: Exception | None) -> None:
        told, self._failing, self._under_way = self._failing, error is not None, False
        if error is not None and not told:
            self._log.warn(
                "{path} cannot be written: {error}. Keeping its lines in memory only.",
                path=str(self._path),
                error=str(error),
            )
        self._go_on()

    # --- on the writer's thread

    def _append(self, parts: list[bytes]) -> Exception | None:
        try:
            for data in parts:
                file = self._open() if self._file is None else self._file
                if self._size and self._size + len(data) > self._room() // 2:
                    file = self._turn()
                self._size += os.write(file, data)
        except (OSError, ValueError) as error:
            self._close()
            return error
        return None

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> int:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._file).st_size
        return self._file

    def _turn(self) -> int:
        self._close()
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
