"""Epoch seconds to ISO 8601 in UTC (RFC 3339)."""

from datetime import UTC, datetime


def to_the_second(seconds: float) -> str:
    """Used for cards, lists and the lock file.

    >>> to_the_second(0.5)
    '1970-01-01T00:00:00Z'
    """
    return _iso(seconds, "seconds")


def to_the_millisecond(seconds: float) -> str:
    """Used for module states, jobs and log lines.

    >>> to_the_millisecond(0.5)
    '1970-01-01T00:00:00.500Z'
    """
    return _iso(seconds, "milliseconds")


def _iso(seconds: float, precision: str) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec=precision).replace("+00:00", "Z")
