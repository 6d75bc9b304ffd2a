"""A line for each request, off the hot path: kept as a record, formatted and written later, secrets masked."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from parachute_hub.proxy.account import Account

Format: TypeAlias = Literal["combined", "json"]
# So many lines are formatted in one go: about a millisecond. More at once would be a pause that clients notice.
_BATCH = 100


class Record(NamedTuple):
    """A request that is over; `took` is in seconds."""

    account: Account
    took: float


class AccessLog:
    """Collects records and turns them into lines. `mask` takes secrets out, `write` gets whole lines."""

    def __init__(self, form: Format, mask: Callable[[str], str], write: Callable[[str], object]) -> None:
        self._line = combined if form == "combined" else as_json
        self._mask = mask
        self._write = write
        self._waiting: list[Record] = []

    def add(self, account: Account, took: float) -> None:
        """Keep a record for the next flush; a full batch is written at once."""
        self._waiting.append(Record(account, took))
        if len(self._waiting) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what has come since the last time."""
        waiting, self._waiting = self._waiting, []
        # Masking costs more than all the rest, and agents and referrers repeat.
        text = lru_cache(maxsize=_BATCH)(lambda raw: self._mask(_text(raw)))
        if waiting:
            self._write("".join(self._line(record, text) + "\n" for record in waiting))


Text: TypeAlias = Callable[[bytes], str]


def combined(record: Record, text: Text) -> str:
    """The combined format of Apache and nginx."""
    account, request = record.account, record.account.request
    line = f"{_text(request.method)} {text(request.target)} HTTP/1.{request.minor}" if request else "-"
    agents = (text(_noted(account, name) or b"-") for name in (b"referer", b"user-agent"))
    quoted = " ".join(f'"{_quoted(agent)}"' for agent in agents)
    when = _clock(int(account.began))
    return f'{account.address} - - [{when}] "{_quoted(line)}" {account.status} {account.sent} {quoted}'


def as_json(record: Record, text: Text) -> str:
    """One JSON object on a line; durations in milliseconds."""
    account, request = record.account, record.account.request
    return json.dumps(
        {
            "time": datetime.fromtimestamp(account.began, UTC).isoformat(timespec="milliseconds"),
            "address": account.address,
            "method": _text(request.method) if request else None,
            "target": text(request.target) if request else None,
            "status": account.status,
            "bytes": account.sent,
            "ms": round(record.took * 1e3, 3),
            "module": account.module,
            "referer": text(_noted(account, b"referer")),
            "agent": text(_noted(account, b"user-agent")),
        }
    )


@lru_cache(maxsize=4)
def _clock(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d/%b/%Y:%H:%M:%S %z")


def _noted(account: Account, name: bytes) -> bytes:
    return account.request.noted.get(name, b"").strip() if account.request else b""


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")


def _quoted(text: str) -> str:
    """Nothing in a quoted field may end it or steer a terminal."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in escaped)
