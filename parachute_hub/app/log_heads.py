"""The newest line of each module's log as news, now and then: enough to see what a module says, cheap in a flood."""

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from parachute_hub.events import LogHead

EVERY_SECONDS: Final = 1.0
LENGTH: Final = 200
"""Characters of a line that are told."""


class LogHeads:
    """Takes every line; tells the newest of each module that said something, once a second."""

    def __init__(self, clock: IReactorTime, emit: Callable[[LogHead], None]) -> None:
        self._clock = clock
        self._emit = emit
        self._newest: dict[str, str] = {}
        self._timer: IDelayedCall | None = None

    def heard(self, short: str, line: str) -> None:
        """A module wrote a line; secrets in it are masked already."""
        self._newest[short] = line
        if self._timer is None:
            self._timer = self._clock.callLater(EVERY_SECONDS, self._tell)

    def _tell(self) -> None:
        self._timer = None
        newest, self._newest = self._newest, {}
        for short, line in newest.items():
            self._emit(LogHead(short, line[:LENGTH]))
