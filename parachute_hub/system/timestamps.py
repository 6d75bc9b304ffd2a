"""Epoch seconds to ISO 8601 in UTC (RFC 3339), and to a day as people write it."""

from datetime import UTC, datetime

_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_COMPACT = "%Y%m%dT%H%M%SZ"


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


def to_day(seconds: float) -> str:
    """Used in sentences for people, as the admin app writes it.

    >>> to_day(0)
    'Jan 1, 1970'
    """
    day = datetime.fromtimestamp(seconds, UTC)
    return f"{_MONTHS[3 * day.month - 3 : 3 * day.month]} {day.day}, {day.year}"


def to_compact(seconds: float) -> str:
    """Used in file names: the basic format of ISO 8601.

    >>> to_compact(0)
    '19700101T000000Z'
    """
    return datetime.fromtimestamp(seconds, UTC).strftime(_COMPACT)


def from_compact(text: str) -> float:
    """Seconds since the epoch. Raises ValueError.

    >>> from_compact("19700101T000001Z")
    1.0
    """
    return datetime.strptime(text, _COMPACT).replace(tzinfo=UTC).timestamp()


def from_iso(text: str) -> float:
    """Seconds since the epoch of a time with its zone. Raises ValueError.

    >>> from_iso("1970-01-01T00:00:00.500Z")
    0.5
    """
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text!r} names no zone")
    return found.timestamp()


def from_utc(text: str) -> float:
    """The same; without a zone it is UTC.

    >>> from_utc("1970-01-01T00:00:00.500Z"), from_utc("1970-01-02")
    (0.5, 86400.0)
    """
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()


def _iso(seconds: float, precision: str) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec=precision).replace("+00:00", "Z")
