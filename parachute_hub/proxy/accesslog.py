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
        self._form = form
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
    module, request, address, began, status, sent, _ = record.account
    what, referer, agent = "-", "-", "-"
    if request is not None:
        what = f"{text(request.method)} {text(request.target)} HTTP/1.{request.minor}"
        referer = text(request.noted.get(b"referer", b"-"))
        agent = text(request.noted.get(b"user-agent", b"-"))
    return f'{address} - - [{_clock(int(began))}] "{what}" {status} {sent} "{referer}" "{agent}"'


def as_json(record: Record, text: Text) -> str:
    """One JSON object on a line; durations in milliseconds."""
    module, request, address, began, status, sent, _ = record.account
    asked = {}
    if request is not None:
        asked = {
            "method": text(request.method),
            "target": text(request.target),
            "referer": text(request.noted.get(b"referer", b"")),
            "agent": text(request.noted.get(b"user-agent", b"")),
        }
    when = datetime.fromtimestamp(began, UTC).isoformat(timespec="milliseconds")
    took = round(record.took * 1e3, 3)
    return json.dumps(
        {"time": when, "address": address, "status": status, "bytes": sent, "ms": took, "module": module, **asked}
    )


@lru_cache(maxsize=4)
def _clock(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d/%b/%Y:%H:%M:%S %z")
