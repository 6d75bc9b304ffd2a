"""For which modules' own settings pages a session may fetch short tokens, and until when.

Such a page shares the hub's origin, so a request of its own looks like one of any other module's page. What tells them
apart is the person, who opened these settings on the hub's page a moment ago and proved to be there.
"""

from collections import OrderedDict
from collections.abc import Sequence

from twisted.internet.interfaces import IReactorTime

LIFETIME = 600
"""Seconds from opening the settings to the last token."""

MOST = 1000


class SettingsGrants:
    """Kept in memory: after a restart the settings are opened once more."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._ends: OrderedDict[tuple[str, str], float] = OrderedDict()

    def open(self, session_id: str, scopes: Sequence[str]) -> float:
        """Let this session have tokens of these scopes from now on; the end, in seconds since the epoch."""
        ends = self._clock.seconds() + LIFETIME
        for scope in scopes:
            self._ends[session_id, scope] = ends
            self._ends.move_to_end((session_id, scope))
        while len(self._ends) > MOST:
            self._ends.popitem(last=False)
        return ends

    def covers(self, session_id: str | None, scope: str) -> bool:
        """Whether this session may have a token of this scope now."""
        return session_id is not None and self._clock.seconds() < self._ends.get((session_id, scope), 0.0)
