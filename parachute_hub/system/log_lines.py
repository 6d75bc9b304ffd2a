"""Lines of a log: their level, their form in a file, and which of them somebody asks for."""

import re
from collections.abc import Iterable
from typing import Any, Final, Literal, TypeAlias, get_args

from parachute_hub.system.records import frozen
from parachute_hub.system.timestamps import from_utc, to_the_millisecond

Level: TypeAlias = Literal["debug", "info", "warning", "error"]
LEVELS: Final[tuple[Level, ...]] = get_args(Level)
_LETTERS: Final[dict[Level, str]] = {"debug": "D", "info": "I", "warning": "W", "error": "E"}
_BY_LETTER: Final[dict[str, Level]] = {letter: level for level, letter in _LETTERS.items()}
_MARK: Final = "="
MARK_LEVELS: Final[dict[str, Level]] = {"crash": "error", "oom": "error"}
"""The levels of marks; all others are `info`."""

# How programs begin a line: perhaps a time, then the level, in brackets or before a colon.
_BEFORE = r"^[\s\d:.,TZ+\-/\[\]()]*"
_WORDS: Final[tuple[tuple[Level, str], ...]] = (
    ("error", r"error|err|fatal|critical|crit|panic|alert|emerg"),
    ("warning", r"warning|warn"),
    ("debug", r"debug|trace|verbose"),
)
_BEGINS = tuple((level, re.compile(rf"{_BEFORE}(?:{words})\b", re.IGNORECASE)) for level, words in _WORDS)
_FIELDS = tuple(
    (level, re.compile(rf"(?:\blevel|\"level\"|\"severity\"|\"lvl\")\s*[=:]\s*\"?(?:{words})\b", re.IGNORECASE))
    for level, words in _WORDS
)
# Exceptions of JavaScript and Python, and the numbers of pino.
_EXCEPTION = re.compile(r"^(?:Uncaught |Unhandled |\w+\.)*(?:\w*Error|\w*Exception|Traceback)\b")
_NUMBERS = re.compile(r"\"level\":\s*(\d0)\b")
_BY_NUMBER: Final[dict[str, Level]] = {
    "10": "debug",
    "20": "debug",
    "40": "warning",
    "50": "error",
    "60": "error",
}
_LOOKED_AT = 300
# C0 and C1 controls and the bidirectional overrides could manipulate a terminal or reorder text.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    r"""Escape control characters, so that a log line cannot manipulate a terminal.

    >>> visible("red \x1b[31mtext")
    'red \\x1b[31mtext'
    """
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


@frozen
class Line:
    """One line: its number in the ring from 1, its time in epoch seconds, text and level.

    A line that the hub wrote about the module's life has a `mark`: `start`, `stop`, `crash`, `oom`, or the kind of an
    operation such as `upgrade`.
    """

    number: int
    at: float
    text: str
    level: Level = "info"
    mark: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The form of the API."""
        return {"at": to_the_millisecond(self.at), "level": self.level, "mark": self.mark, "text": self.text}


def level_of(text: str) -> Level:
    """The level that a program's line names, `info` if none.

    >>> level_of("2026-01-01 10:00:00 [WARN] slow"), level_of('{"level":50,"msg":"x"}'), level_of("no errors found")
    ('warning', 'error', 'info')
    """
    start = text[:_LOOKED_AT]
    for level, begins in _BEGINS:
        if begins.match(start):
            return level
    if _EXCEPTION.match(start):
        return "error"
    if "evel" in start or "severity" in start or "lvl" in start:
        for level, named in _FIELDS:
            if named.search(start):
                return level
        number = _NUMBERS.search(start)
        return _BY_NUMBER.get(number[1], "info") if number else "info"
    return "info"


def written(line: Line) -> str:
    """The form in a file, without the line end: time, a letter for the level, text."""
    flag = f"{_MARK} {line.mark}" if line.mark else _LETTERS[line.level]
    return f"{to_the_millisecond(line.at)} {flag} {line.text}"


def read_line(text: str) -> Line | None:
    """A line of a file; None if it does not begin with a time.

    >>> read_line("1970-01-01T00:00:00.500Z E broken"), read_line("1970-01-01T00:00:00.500Z = oom It was killed.").mark
    (Line(number=0, at=0.5, text='broken', level='error', mark=None), 'oom')
    """
    time, _, rest = text.partition(" ")
    try:
        at = from_utc(time)
    except ValueError:
        return None
    flag, _, said = rest.partition(" ")
    if flag == _MARK:
        mark, _, said = said.partition(" ")
        return Line(0, at, said, MARK_LEVELS.get(mark, "info"), mark)
    if flag in _BY_LETTER:
        return Line(0, at, said, _BY_LETTER[flag])
    # Written by an earlier version of the hub.
    return Line(0, at, rest, level_of(rest))


@frozen(kw_only=True)
class LogQuery:
    """Which lines somebody asks for: from and until epoch seconds, from a level on, with a text in them, the last few.

    Marks are always of interest, whatever the level.
    """

    since: float | None = None
    until: float | None = None
    level: Level = "debug"
    text: str = ""
    count: int | None = None

    def wants(self, line: Line) -> bool:
        """True if this line is asked for."""
        if self.since is not None and line.at < self.since:
            return False
        if self.until is not None and line.at > self.until:
            return False
        if line.mark is None and LEVELS.index(line.level) < LEVELS.index(self.level):
            return False
        return self.text.lower() in line.text.lower()

    def select(self, lines: Iterable[Line]) -> list[Line]:
        """The lines asked for, in their order."""
        found = [line for line in lines if self.wants(line)]
        return found if self.count is None else found[max(0, len(found) - self.count) :]
