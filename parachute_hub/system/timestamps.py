"""Moments as programs read them: epoch seconds in, ISO 8601 in UTC out (RFC 3339)."""

from datetime import UTC, datetime


def to_the_second(seconds: float) -> str:
    """As cards, lists and the lock show a moment.

    >>> to_the_second(0.5)
    '1970-01-01T00:00:00Z'
    """
    return _iso(seconds, "seconds")


def to_the_millisecond(seconds: float) -> str:
    """As the states of modules, jobs and log lines need a moment.

    >>> to_the_millisecond(0.5)
    '1970-01-01T00:00:00.500Z'
    """
    return _iso(seconds, "milliseconds")


def _iso(seconds: float, precision: str) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec=precision).replace("+00:00", "Z")
