"""Tables, sizes and durations for a terminal."""

import re
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Final

from parachute_hub.cli.terminal import BOLD, PLAIN, TINTS, Terminal
from parachute_hub.system.log_lines import visible

_NARROWEST: Final = 8
_GAP: Final = "  "
_TO_A_MARK: Final = re.compile(r".*[-/:.,]")


def table(head: Sequence[str], rows: Sequence[Sequence[str]], on: Terminal = PLAIN) -> str:
    """Columns padded to their widest cell, without trailing blanks. Where a terminal is narrower, the widest fold.

    >>> print(table(("A", "B"), [("1", "two"), ("three", "4")]))
    A      B
    1      two
    three  4
    >>> print(table(("A", "B"), [("1", "two or more words")], Terminal(12)))
    A  B
    1  two or
       more
       words
    """
    everything = [tuple(visible(cell.replace("\n", " ")) for cell in row) for row in (head, *rows)]
    widths = _fitted([*zip(*everything, strict=True)], on.width)
    return "\n".join(line for number, row in enumerate(everything) for line in _lines(row, widths, on, number == 0))


def _fitted(columns: Sequence[Sequence[str]], width: int | None) -> list[int]:
    """The widths of columns. The widest give way: between their words as long as that is enough, then within them."""
    widths = [max(map(cells, column)) for column in columns]
    words = [max(cells(word) for cell in column for word in cell.split(" ")) for column in columns]
    for least in ([max(word, _NARROWEST) for word in words], [_NARROWEST] * len(words)):
        while width is not None and sum(widths) + len(_GAP) * (len(widths) - 1) > width:
            wide = [place for place, least_here in enumerate(least) if widths[place] > least_here]
            if not wide:
                break
            widths[max(wide, key=widths.__getitem__)] -= 1
    return widths


def _lines(row: Sequence[str], widths: Sequence[int], on: Terminal, head: bool) -> Iterator[str]:
    tints = [BOLD if head else TINTS.get(cell) if place else None for place, cell in enumerate(row)]
    for parts in zip_longest(*(fold(cell, width) for cell, width in zip(row, widths, strict=True)), fillvalue=""):
        last = max((place for place, part in enumerate(parts) if part), default=-1)
        painted = (
            on.paint(part, tint) + " " * (width - cells(part) if place < last else 0)
            for place, (part, width, tint) in enumerate(zip(parts, widths, tints, strict=True))
            if place <= last
        )
        yield _GAP.join(painted)


def cells(text: str) -> int:
    """The columns that a text takes in a terminal.

    >>> cells("Groß"), cells("\u65e5\u672c"), cells("e\u0301")
    (4, 4, 1)
    """
    if text.isascii():
        return len(text)
    from unicodedata import category, east_asian_width

    wide = sum(east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(category(letter) in ("Mn", "Me", "Cf") for letter in text)


def fold(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, broken between words where there are some, else after a mark.

    >>> fold("one two", 5), fold("abcdefg", 3), fold("", 3), fold("module-config", 10)
    (['one', 'two'], ['abc', 'def', 'g'], [''], ['module-', 'config'])
    """
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if cells(joined) <= width:
            lines[-1] = joined
            continue
        lines += [""] if lines[-1] else []
        for letter in word:
            if cells(lines[-1] + letter) > width:
                found = _TO_A_MARK.match(lines[-1])
                kept = found[0] if found else lines[-1]
                lines[-1:] = [kept, lines[-1][len(kept) :]]
            lines[-1] += letter
    return lines


def size(count: float | None) -> str:
    """A human-readable size.

    >>> size(None), size(900), size(1536), size(59 * 1024 * 1024)
    ('-', '900 B', '1.5 KB', '59 MB')
    """
    if count is None:
        return "-"
    units = ("B", "KB", "MB", "GB")
    value = float(count)
    unit = 0
    while value >= 1024 and unit < len(units) - 1:
        value /= 1024
        unit += 1
    return f"{value:.1f} {units[unit]}" if unit and value < 10 else f"{value:.0f} {units[unit]}"


def lasting(seconds: float) -> str:
    """A duration, roughly.

    >>> [lasting(one) for one in (1, 59, 90, 3600 * 5, 86400 * 9)]
    ['1 second', '59 seconds', '2 minutes', '5 hours', '9 days']
    """
    unit, length = next((unit, length) for unit, length, below in _UNITS if seconds < below)
    count = max(1, round(seconds / length))
    return f"{count} {unit}{'' if count == 1 else 's'}"


_UNITS = (("second", 1, 60), ("minute", 60, 2700), ("hour", 3600, 79_200), ("day", 86_400, float("inf")))


def ago(seconds: float) -> str:
    """How long ago something was, as people say it.

    >>> [ago(one) for one in (5, 60, 3600 * 5, 86400, 86400 * 9)]
    ['just now', '1 minute ago', '5 hours ago', 'yesterday', '9 days ago']
    """
    if seconds < 45:
        return "just now"
    words = lasting(max(60.0, seconds))
    return "yesterday" if words == "1 day" else f"{words} ago"


def percent(share: float | None) -> str:
    """A share in percent.

    >>> percent(None), percent(0.034)
    ('-', '3%')
    """
    return "-" if share is None else f"{share * 100:.0f}%"


def plain(value: object) -> str:
    """A value of JSON as people write it.

    >>> plain(None), plain(True), plain(["a", 1]), plain("text")
    ('-', 'yes', 'a, 1', 'text')
    """
    match value:
        case None | []:
            return "-"
        case True | False:
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value))
        case _:
            return str(value)
