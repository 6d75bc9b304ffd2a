"""The access log: requests are recorded on the hot path, then formatted, masked and written later."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, lru_cache
from typing import Literal, TypeAlias

from parachute_hub.proxy.access_record import RequestRecord, RequestSummary

Format: TypeAlias = Literal["combined", "json"]
# Lines formatted per batch. This takes about a millisecond; more would be a noticeable pause.
_BATCH = 100


class AccessLog:
    """Collects records and formats them as lines. `mask` removes secrets, `write` receives complete lines."""

    def __init__(self, form: Format, mask: Callable[[str], str], write: Callable[[str], object]) -> None:
        self._form = form
        self._mask = mask
        self._write = write
        self._waiting: list[tuple[RequestRecord, float]] = []

    def add(self, account: RequestRecord, took: float) -> None:
        """Keep a record for the next flush; a full batch is written immediately."""
        self._waiting.append((account, took))
        if len(self._waiting) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Write the collected records."""
        waiting, self._waiting = self._waiting, []
        if waiting:
            # Masking dominates the cost, and addresses, user agents and referrers repeat.
            text = lru_cache(maxsize=None)(self._quoted if self._form == "combined" else self._masked)
            line = combined(text) if self._form == "combined" else as_json(text)
            self._write("".join([line(account, took) for account, took in waiting]))

    def _masked(self, raw: bytes) -> str:
        return self._mask(raw.decode("utf-8", "backslashreplace").strip())

    def _quoted(self, raw: bytes) -> str:
        """Escape a quoted field, so that it cannot end early or manipulate a terminal."""
        text = self._masked(raw)
        if text.isprintable() and '"' not in text and "\\" not in text:
            return text
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in escaped)


Text: TypeAlias = Callable[[bytes], str]
Line: TypeAlias = Callable[[RequestRecord, float], str]


def combined(text: Text) -> Line:
    """Lines in the combined log format of Apache and nginx."""

    # Clients repeat the same few request heads.
    @cache
    def words(asked: RequestSummary) -> tuple[str, str]:
        method, target, minor, referer, agent = asked
        return f'"{text(method)} {text(target)} HTTP/1.{minor}"', f'"{text(referer)}" "{text(agent)}"\n'

    def line(account: RequestRecord, took: float) -> str:
        _, asked, address, began, status, sent, _ = account
        what, said = words(asked)
        return f"{address} - - [{_clock(int(began))}] {what} {status} {sent} {said}"

    return line


def as_json(text: Text) -> Line:
    """One JSON object per line; durations in milliseconds."""

    def line(account: RequestRecord, took: float) -> str:
        asked = account.asked
        told = {
            "time": datetime.fromtimestamp(account.began, UTC).isoformat(timespec="milliseconds"),
            "address": account.address,
            "method": text(asked.method),
            "target": text(asked.target),
            "status": account.status,
            "bytes": account.sent,
            "ms": round(took * 1e3, 3),
            "module": account.module,
            "referer": text(asked.referer),
            "agent": text(asked.agent),
        }
        return json.dumps(told) + "\n"

    return line


@lru_cache(maxsize=4)
def _clock(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%d/%b/%Y:%H:%M:%S %z")
