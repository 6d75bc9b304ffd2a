"""A line for each request, off the hot path: kept as a record, formatted and written later, secrets masked."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Literal, NamedTuple, TypeAlias

Format: TypeAlias = Literal["combined", "json"]
# Records waiting to be written. When the disk is too slow the log loses lines, not the hub its memory.
_WAITING_LIMIT = 10_000


class Record(NamedTuple):
    """One request. `seconds` is the time of day it came, `took` the duration, `sent` the bytes of the answer's body."""

    seconds: float
    address: str
    method: bytes
    target: bytes
    minor: int
    status: int
    sent: int
    took: float
    module: str
    noted: Mapping[bytes, bytes]


class AccessLog:
    """Collects records; `flush` turns them into lines. `mask` takes secrets out, `write` gets whole lines."""

    def __init__(self, form: Format, mask: Callable[[str], str], write: Callable[[str], object]) -> None:
        self._line = combined if form == "combined" else as_json
        self._mask = mask
        self._write = write
        self._waiting: list[Record] = []
        self.lost = 0

    def add(self, record: Record) -> None:
        """Keep a record for the next flush."""
        if len(self._waiting) < _WAITING_LIMIT:
            self._waiting.append(record)
        else:
            self.lost += 1

    def flush(self) -> None:
        """Write what has come since the last time."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._write("".join(self._line(record, self._mask) + "\n" for record in waiting))


def combined(record: Record, mask: Callable[[str], str]) -> str:
    """The combined format of Apache and nginx."""
    when = datetime.fromtimestamp(record.seconds, UTC).strftime("%d/%b/%Y:%H:%M:%S %z")
    line = f"{_text(record.method)} {mask(_text(record.target))} HTTP/1.{record.minor}"
    referer, agent = (_quoted(mask(_noted(record, name) or "-")) for name in (b"referer", b"user-agent"))
    return f'{record.address} - - [{when}] "{_quoted(line)}" {record.status} {record.sent} "{referer}" "{agent}"'


def as_json(record: Record, mask: Callable[[str], str]) -> str:
    """One JSON object on a line; durations in milliseconds."""
    return json.dumps(
        {
            "time": datetime.fromtimestamp(record.seconds, UTC).isoformat(timespec="milliseconds"),
            "address": record.address,
            "method": _text(record.method),
            "target": mask(_text(record.target)),
            "status": record.status,
            "bytes": record.sent,
            "ms": round(record.took * 1e3, 3),
            "module": record.module,
            "referer": mask(_noted(record, b"referer")),
            "agent": mask(_noted(record, b"user-agent")),
        }
    )


def _noted(record: Record, name: bytes) -> str:
    return _text(record.noted.get(name, b"")).strip()


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _quoted(text: str) -> str:
    """Nothing in a quoted field may end it or steer a terminal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in escaped)
