"""Relative times for people."""

from collections.abc import Callable

from parachute_hub.system.timestamps import to_day

_UNITS = ((86400.0, "day"), (3600.0, "hour"), (60.0, "minute"))


def ago(clock: Callable[[], float]) -> Callable[[float], str]:
    """Formats how long ago a time was; the date if over a month.

    >>> ago(lambda: 7300.0)(0.0), ago(lambda: 10.0)(0.0)
    ('2 hours ago', 'just now')
    >>> ago(lambda: 40 * 86400.0)(0.0)
    'on Jan 1, 1970'
    """

    def words(seconds: float) -> str:
        passed = clock() - seconds
        if passed > 31 * 86400:
            return "on " + to_day(seconds)
        for length, name in _UNITS:
            count = int(passed // length)
            if count > 0:
                return f"{count} {name}{'' if count == 1 else 's'} ago"
        return "just now"

    return words
