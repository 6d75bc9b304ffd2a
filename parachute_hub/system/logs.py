"""The hub's log: one line per event on stdout, with secrets masked and control characters escaped.

Masking works by pattern (tokens, keys, passwords in URLs) and by value (secrets known to the hub).
"""

import json
import re
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal, TextIO, TypeAlias

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, formatTime
from zope.interface import implementer

from parachute_hub.system.log_lines import Level, level_of, visible

MASK = "***"

# Each pattern comes with a literal that every match contains: a substring test is much cheaper than the pattern.
_SHAPES: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("eyj", re.compile(r"\b(eyJ[\w-]{8,}\.[\w-]{8,})(\.[\w-]*)?"), MASK),
    ("pv", re.compile(r"\b(pv[tk]_)[\w-]{6,}"), rf"\1{MASK}"),
    ("@", re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/@:]+(?::[^\s/@]*)?@"), rf"\1{MASK}@"),
    ("_authtoken", re.compile(r"(?i)(_authToken\s*=\s*)\S+"), rf"\1{MASK}"),
    (
        "authorization",
        re.compile(r"(?i)(\bauthorization\b[\"']?\s*[:=]\s*[\"']?(?:bearer|basic)\s+)[^\s\"']+"),
        rf"\1{MASK}",
    ),
    (
        "=",
        re.compile(r"(?i)([?&](?:code|state|token|key|access_token|refresh_token|password)=)[^&\s\"']+"),
        rf"\1{MASK}",
    ),
    ("sk", re.compile(r"\b(sk-|gsk_)[\w-]{8,}"), rf"\1{MASK}"),
    # An invitation link is a credential.
    ("/account/setup/", re.compile(r"(/account/setup/)[\w-]{20,}"), rf"\1{MASK}"),
)
# Twisted logs these for every client connection; they are noise.
_NOISE = frozenset({"Starting factory {factory!r}", "Stopping factory {factory!r}"})


class Masker:
    """Masks secrets in text before it is stored or shown."""

    def __init__(self) -> None:
        self._known: set[str] = set()

    def know(self, secret: str) -> None:
        """Mask this value wherever it appears. Values under 8 characters are ignored, since they could match ordinary
        words.
        """
        if len(secret) >= 8:
            self._known.add(secret)

    def __call__(self, text: str) -> str:
        for secret in self._known:
            text = text.replace(secret, MASK)
        lower = text.lower()
        for piece, shape, replacement in _SHAPES:
            if piece in lower:
                text = shape.sub(replacement, text)
        return text


Keep: TypeAlias = Callable[[float, Level, str], None]
_LEVELS: dict[Any, Level] = {LogLevel.debug: "debug", LogLevel.info: "info", LogLevel.warn: "warning"}


def finish_output() -> None:
    """Write what standard output still holds. A full disk or closed pipe must not keep the hub from what comes next."""
    with suppress(OSError, ValueError):
        sys.stdout.flush()


@implementer(ILogObserver)
class LineObserver:
    """Writes `time level text` lines, or JSON objects with `time`, `level`, `module` and `text`.

    As text, module output is written without a time, as `[vault] ...`. `keep` receives the hub's own events masked:
    time in epoch seconds, level, text of one or more lines.
    """

    def __init__(
        self,
        mask: Masker,
        out: TextIO | None = None,
        level: Any = LogLevel.info,
        *,
        form: Literal["text", "json"] = "text",
        keep: Keep = lambda at, level, text: None,
    ) -> None:
        self._mask = mask
        self._out = out or sys.stdout
        self._level = level
        self._json = form == "json"
        self._keep = keep

    def __call__(self, event: LogEvent) -> None:
        """Write one event. Never raises."""
        level = event.get("log_level", LogLevel.info)
        if level < self._level or event.get("log_format") in _NOISE:
            return
        when = formatTime(event.get("log_time"), timeFormat="%Y-%m-%dT%H:%M:%SZ") or "-"
        if "module_line" in event:
            self._module_line(when, event.get("module_short"), str(event["module_line"]))
            return
        text = formatEvent(event)
        failure = event.get("log_failure")
        if failure is not None:
            text = f"{text}\n{failure.getTraceback().rstrip()}" if text else failure.getTraceback().rstrip()
        masked = self._mask(text)
        self._keep(float(event.get("log_time") or 0.0), _LEVELS.get(level, "error"), masked)
        if self._json:
            self._object(when, _LEVELS.get(level, "error"), None, masked)
            return
        for line in masked.split("\n"):
            self._write(f"{when} {level.name:<8} {visible(line)}")

    def _module_line(self, when: str, short: str | None, text: str) -> None:
        """A line of a module, or with no `short` one that people read on a terminal."""
        if self._json:
            self._object(when, level_of(text), short, text)
        else:
            self._write(visible(f"[{short}] {text}" if short else text))

    def _object(self, when: str, level: Level, module: str | None, text: str) -> None:
        told = {"time": when, "level": level, **({"module": module} if module else {}), "text": text}
        self._write(json.dumps(told, ensure_ascii=True))

    def _write(self, line: str) -> None:
        try:
            self._out.write(line + "\n")
            self._out.flush()
        except (OSError, ValueError):
            # A full disk or closed pipe must not stop the hub; the next line tries again.
            return
