"""Publishes the newest log line of each module about once a second: a preview that stays cheap under a flood."""

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from parachute_hub.events import LogHead

EVERY_SECONDS: Final = 1.0
LENGTH: Final = 200
"""Maximum length of a published line."""


class LogHeads:
    """Receives every line and publishes the newest per module, once a second."""

    def __init__(self, clock: IReactorTime, emit: Callable[[LogHead], None]) -> None:
        self._clock = clock
        self._emit = emit
        self._newest: dict[str, str] = {}
        self._timer: IDelayedCall | None = None

    def heard(self, short: str, line: str) -> None:
        """A module logged a line. Secrets are already masked."""
        self._newest[short] = line
        if self._timer is None:
            self._timer = self._clock.callLater(EVERY_SECONDS, self._tell)

    def _tell(self) -> None:
        self._timer = None
        newest, self._newest = self._newest, {}
        for short, line in newest.items():
            self._emit(LogHead(short, line[:LENGTH]))
