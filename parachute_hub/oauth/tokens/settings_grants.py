"""Which modules' settings pages may fetch short-lived tokens in a session, and until when.

Such a page shares the hub's origin, so its requests look like those of any other module's page. The difference is that
the user just opened these settings on the hub's page, with a step-up proof.
"""

from collections import OrderedDict
from collections.abc import Sequence

from twisted.internet.interfaces import IReactorTime

LIFETIME = 600
"""Seconds from opening the settings to the last token."""

MOST = 1000


class SettingsGrants:
    """Kept in memory; after a restart the settings have to be opened again."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._ends: OrderedDict[tuple[str, str], float] = OrderedDict()

    def open(self, session_id: str, scopes: Sequence[str]) -> float:
        """Allow tokens with these scopes in this session. Returns the end, in epoch seconds."""
        ends = self._clock.seconds() + LIFETIME
        for scope in scopes:
            self._ends[session_id, scope] = ends
            self._ends.move_to_end((session_id, scope))
        while len(self._ends) > MOST:
            self._ends.popitem(last=False)
        return ends

    def covers(self, session_id: str | None, scope: str) -> bool:
        """True if this session may have a token with this scope now."""
        return session_id is not None and self._clock.seconds() < self._ends.get((session_id, scope), 0.0)
