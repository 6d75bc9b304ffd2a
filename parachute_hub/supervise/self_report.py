"""What a module says is wrong with itself: in its health response, and in its log while it starts."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from parachute_hub.system.records import define
from parachute_hub.system.strict_json import BadJson, read

BODY_LIMIT: Final = 64 * 1024
STARTING: Final = 60.0
"""Seconds after the spawn in which log lines count as lines of the start."""

_MOST = 5
_LONGEST = 200
_BAD = frozenset(
    "broken critical degraded disabled down error fail failed failing failure misconfigured missing offline "
    "unavailable unhealthy unreachable warn warning".split()
)
_FLAGS = ("ok", "healthy")
_WHY = ("reason", "message", "error", "detail", "description", "output")
# Objects that hold parts by name or in a list, as in the draft of health+json.
_PARTS = ("checks", "components", "services")
_COUNT = re.compile(r"(skipped|failed|failing|broken)(?=[A-Z_]|$)")
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])|[_-]+")
_TROUBLE = re.compile(r"\b(errors?|failed|failure|fatal|cannot|could not|unable to|unreachable)\b", re.IGNORECASE)
_NO_TROUBLE = re.compile(r"\b(0|no|without) (errors?|failures?|failed)\b", re.IGNORECASE)
_UNPRINTABLE = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x1f\x7f-\x9f]")


def complaints(body: bytes) -> tuple[str, ...]:
    """Phrases for what is wrong according to a health response; empty if nothing is, or it is not JSON.

    >>> complaints(b'{"status": "degraded", "reason": "notes-ui could not be installed"}')
    ('degraded: notes-ui could not be installed',)
    >>> complaints(b'{"status": "ok", "skippedUis": 2, "dependencies": {"ok": false, "missing": ["rg", "claude"]}}')
    ('2 skipped uis', 'dependencies: missing rg, claude')
    """
    try:
        told = read(body, limit=BODY_LIMIT).value
    except BadJson:
        return ()
    return tuple(dict.fromkeys(_short(text) for text in _of(told)))[:_MOST] if isinstance(told, dict) else ()


def _of(told: Mapping[str, Any]) -> Iterator[str]:
    own = _wrong(told)
    if own:
        yield own
    for name, part in told.items():
        counted = _COUNT.match(name)
        count = len(part) if isinstance(part, list) else part
        if counted and isinstance(count, int) and not isinstance(count, bool) and count > 0:
            yield f"{count} {_WORD.sub(' ', name).lower()}"
        elif name in _PARTS:
            yield from _of_parts(part)
        elif isinstance(part, dict):
            yield from _of_part(name, part)


def _of_parts(parts: Any) -> Iterator[str]:
    named = parts.items() if isinstance(parts, dict) else ()
    listed = parts if isinstance(parts, list) else ()
    for name, part in (*named, *((_name(part), part) for part in listed)):
        for one in part if isinstance(part, list) else (part,):
            yield from _of_part(name, one)


def _of_part(name: str, part: Any) -> Iterator[str]:
    wrong = _wrong(part) if isinstance(part, dict) else None
    if wrong:
        yield f"{_WORD.sub(' ', name)}: {wrong}"


def _name(part: Any) -> str:
    names = (part.get(key) for key in ("name", "id", "key", "component")) if isinstance(part, dict) else ()
    return next((name for name in names if isinstance(name, str) and name), "a part")


def _wrong(part: Mapping[str, Any]) -> str | None:
    """What is wrong with an object that has a status or a flag."""
    status = part.get("status")
    bad = isinstance(status, str) and status.lower() in _BAD
    if not bad and not any(part.get(flag) is False for flag in _FLAGS):
        return None
    why = next((text for key in _WHY if isinstance(text := part.get(key), str) and text), None)
    missing = [one for one in part.get("missing") or () if isinstance(one, str)]
    said = why or (f"missing {', '.join(missing)}" if missing else None)
    if not bad:
        return said or "it says that it is not well"
    return f"{status}: {said}" if said else str(status)


def is_trouble(line: str) -> bool:
    """True if a log line reads like a failure.

    >>> is_trouble("[app] bootstrap: bun add failed (exit 1)"), is_trouble("0 errors, 3 warnings")
    (True, False)
    """
    start = line[:500]
    return bool(_TROUBLE.search(start)) and not _NO_TROUBLE.search(start)


def _short(text: str) -> str:
    clean = " ".join(_UNPRINTABLE.sub(" ", text).split())
    return clean if len(clean) <= _LONGEST else f"{clean[: _LONGEST - 1].rstrip()}…"


@define
class SelfReport:
    """Collects what one process says. `reports` is from its health response, `warnings` are lines of its start.

    Times are monotonic seconds. `last` is the last line of the process.
    """

    reports: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    last: str = ""
    _body: bytes = b""
    _until: float = 0.0

    def begin(self, now: float) -> None:
        """A process was spawned."""
        self.reports, self.warnings, self.last, self._body = (), (), "", b""
        self._until = now + STARTING

    def answered(self, body: bytes) -> bool:
        """Read a health response. True if the reports changed."""
        if body == self._body:
            return False
        before, self._body, self.reports = self.reports, body, complaints(body)
        return self.reports != before

    def wrote(self, line: str, now: float) -> bool:
        """Read a log line. True if the warnings changed."""
        self.last = _short(line[:500]) or self.last
        if now > self._until or len(self.warnings) >= _MOST or not is_trouble(line) or self.last in self.warnings:
            return False
        self.warnings = (*self.warnings, self.last)
        return True
