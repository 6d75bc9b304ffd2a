"""When the next backup is due. Times are in epoch seconds and UTC."""

from parachute_hub.system.records import frozen

DAY = 86400.0
HOUR = 3600.0
UNPACK_EVERY = 7 * DAY
OVERDUE_AFTER = 3 * DAY
_PAUSES = (15 * 60.0, HOUR, 4 * HOUR)
"""How long to wait after the first, second and each later failure in a row."""


@frozen(kw_only=True)
class History:
    """The history of one destination, which was added at `since`. `failures` counts consecutive failures.

    `made_at` is of the newest backup that was verified; `unpacked_at` is when one was last restored for practice.
    """

    since: float = 0.0
    made_at: float | None = None
    unpacked_at: float | None = None
    tried_at: float | None = None
    failures: int = 0


def backup_due(history: History, hour: int, now: float) -> bool:
    """True if a backup is due: once a day after `hour` (0 to 23), also if that time was missed.

    The first one waits for the hour, too: the owner starts one by hand, or none.

    >>> noon = 12 * HOUR
    >>> backup_due(History(), 3, noon), backup_due(History(made_at=4 * HOUR), 3, noon)
    (True, False)
    >>> backup_due(History(since=noon), 3, noon + 1), backup_due(History(since=noon), 3, DAY + 3 * HOUR)
    (False, True)
    >>> backup_due(History(made_at=4 * HOUR), 3, noon + DAY), backup_due(History(made_at=4 * HOUR), 3, DAY + HOUR)
    (True, False)
    """
    if max(history.since, history.made_at or 0.0) >= _last_moment(hour, now):
        return False
    return _may_try(history, now)


def unpacking_due(history: History, now: float) -> bool:
    """True if the newest backup should be restored for practice: a week after the last time, however often it was
    read since.

    >>> unpacking_due(History(made_at=0.0), UNPACK_EVERY), unpacking_due(History(made_at=0.0, unpacked_at=DAY), 7 * DAY)
    (True, False)
    >>> unpacking_due(History(), 30 * DAY)
    False
    """
    if history.made_at is None or now - max(history.since, history.unpacked_at or 0.0) < UNPACK_EVERY:
        return False
    return _may_try(history, now)


def overdue(history: History, since: float, now: float) -> bool:
    """True if the newest verified backup is too old; `since` is when the destination was added.

    Checking an old backup again does not make it newer.

    >>> overdue(History(), 0.0, DAY), overdue(History(), 0.0, 4 * DAY)
    (False, True)
    >>> overdue(History(made_at=DAY, unpacked_at=4 * DAY), 0.0, 5 * DAY)
    True
    """
    return now - max(since, history.made_at or 0.0) > OVERDUE_AFTER


def _last_moment(hour: int, now: float) -> float:
    moment = now // DAY * DAY + hour * HOUR
    return moment if moment <= now else moment - DAY


def _may_try(history: History, now: float) -> bool:
    if history.tried_at is None or not history.failures:
        return True
    # A clock set back must not stop backups for long.
    waited = abs(now - history.tried_at)
    return waited >= _PAUSES[min(history.failures, len(_PAUSES)) - 1]
