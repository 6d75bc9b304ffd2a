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
    """What a line says of a request; not the request itself, whose memory the next one uses. `took` is in seconds."""

    module: str
    address: str
    began: float
    took: float
    status: int
    sent: int
    method: bytes
    target: bytes
    minor: int
    referer: bytes
    agent: bytes


_NO_REQUEST = (b"-", b"-", 1, b"-", b"-")


class AccessLog:
    """Collects records and turns them into lines. `mask` takes secrets out, `write` gets whole lines."""

    def __init__(self, form: Format, mask: Callable[[str], str], write: Callable[[str], object]) -> None:
        self._form = form
        self._mask = mask
        self._write = write
        self._waiting: list[Record] = []

    def add(self, account: Account, took: float) -> None:
        """Keep a record for the next flush; a full batch is written at once."""
        module, request, address, began, status, sent, _ = account
        asked = _NO_REQUEST
        if request is not None:
            noted = request.noted
            referer, agent = noted.get(b"referer", b"-"), noted.get(b"user-agent", b"-")
            asked = (request.method, request.target, request.minor, referer, agent)
        self._waiting.append(Record(module, address, began, took, status, sent, *asked))
        if len(self._waiting) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write what has come since the last time."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            # Masking costs more than all the rest, and addresses, agents and referrers repeat.
            text = lru_cache(maxsize=None)(self._quoted if self._form == "combined" else self._masked)
            line = combined if self._form == "combined" else as_json
            self._write("".join(line(record, text) + "\n" for record in waiting))

    def _masked(self, raw: bytes) -> str:
        return self._mask(raw.decode("utf-8", "backslashreplace").strip())

    def _quoted(self, raw: bytes) -> str:
        """Nothing in a quoted field may end it or steer a terminal."""
        text = self._masked(raw)
        if text.isprintable() and '"' not in text and "\\" not in text:
            return text
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in escaped)


Text: TypeAlias = Callable[[bytes], str]


def combined(record: Record, text: Text) -> str:
    """The combined format of Apache and nginx."""
    what = f"{text(record.method)} {text(record.target)} HTTP/1.{record.minor}"
    said = f'"{text(record.referer)}" "{text(record.agent)}"'
    return f'{record.address} - - [{_clock(int(record.began))}] "{what}" {record.status} {record.sent} {said}'


def as_json(record: Record, text: Text) -> str:
    """One JSON object on a line; durations in milliseconds."""
    return json.dumps(
        {
            "time": datetime.fromtimestamp(record.began, UTC).isoformat(timespec="milliseconds"),
            "address": record.address,
            "method": text(record.method),
            "target": text(record.target),
            "status": record.status,
            "bytes": record.sent,
            "ms": round(record.took * 1e3, 3),
            "module": record.module,
            "referer": text(record.referer),
            "agent": text(record.agent),
        }
    )


@lru_cache(maxsize=4)
def _clock(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d/%b/%Y:%H:%M:%S %z")
