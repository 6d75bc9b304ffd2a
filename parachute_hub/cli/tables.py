"""Plain tables for a terminal."""

from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell, without trailing blanks.

    >>> print(table(("A", "B"), [("1", "two"), ("three", "4")]))
    A      B
    1      two
    three  4
    """
    everything = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(row[column]) for row in everything) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in everything
    )


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
