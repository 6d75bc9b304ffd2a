"""Times as people and programs read them."""

from collections.abc import Callable
from datetime import UTC, datetime

_UNITS = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"))


def iso(seconds: float) -> str:
    """Epoch seconds as ISO 8601 in UTC.

    >>> iso(0.0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def ago(clock: Callable[[], float]) -> Callable[[float], str]:
    """Words for how long ago something was; the date when it is more than a month.

    >>> ago(lambda: 7300.0)(0.0), ago(lambda: 10.0)(0.0)
    ('2 hours ago', 'just now')
    """

    def words(seconds: float) -> str:
        passed = clock() - seconds
        if passed > 31 * 86400:
            return "on " + iso(seconds)[:10]
        for length, name in _UNITS:
            count = int(passed // length)
            if count > 0:
                return f"{count} {name}{'' if count == 1 else 's'} ago"
        return "just now"

    return words
