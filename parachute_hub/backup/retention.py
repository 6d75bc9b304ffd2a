"""The retention policy: the newest backup, then 7 daily, 4 weekly and 6 monthly ones."""

from collections.abc import Callable, Iterable

from parachute_hub.system.records import frozen
from parachute_hub.system.timestamps import to_the_second

DAILY, WEEKLY, MONTHLY = 7, 4, 6
_DAY = 86400.0
# 1970-01-05 was a Monday.
_FIRST_MONDAY = 4 * _DAY


@frozen
class Kept:
    """A backup at a destination. `at` is in epoch seconds; only a verified one may replace another."""

    name: str
    at: float
    verified: bool


def to_prune(backups: Iterable[Kept]) -> list[str]:
    """Names of backups to delete, oldest first.

    The newest of each period is kept. Backups newer than the newest verified one are never deleted, and without a
    verified one nothing is.
    """
    newest_first = sorted(backups, key=lambda one: one.at, reverse=True)
    verified = [one for one in newest_first if one.verified]
    if not verified:
        return []
    keep = {verified[0].name}
    for number, period in _PERIODS:
        seen: set[str] = set()
        for one in verified:
            if len(seen) == number:
                break
            if period(one.at) not in seen:
                seen.add(period(one.at))
                keep.add(one.name)
    older = [one for one in newest_first if one.at < verified[0].at and one.name not in keep]
    return [one.name for one in reversed(older)]


_PERIODS: tuple[tuple[int, Callable[[float], str]], ...] = (
    (DAILY, lambda at: to_the_second(at)[:10]),
    (WEEKLY, lambda at: str(int((at - _FIRST_MONDAY) // (7 * _DAY)))),
    (MONTHLY, lambda at: to_the_second(at)[:7]),
)
