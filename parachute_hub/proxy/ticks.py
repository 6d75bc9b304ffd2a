"""When the front looks at its connections: each second while there is something to see, else when something is due."""

import math
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import LoopingCall

from parachute_hub.system.timers import every

_SECONDS = 1.0
# Until then what a crowd took is given back.
_REST_AFTER = 30.0


class Ticks:
    """Calls `look` each second, until for a while it has returned when the next call is due: a time on the clock, or
    infinity. None asks for one in a second.
    """

    def __init__(self, clock: Any, look: Callable[[], float | None]) -> None:
        self._clock = clock
        self._look = look
        self._loop: LoopingCall | None = None
        self._alarm: IDelayedCall | None = None
        self._used_at = 0.0

    def begin(self) -> bool:
        """Something begins. Costs nothing, and returns False, while the calls come each second."""
        if self._loop is not None:
            return False
        self.stop()
        self._used_at = self._clock.seconds()
        self._loop = every(self._clock, _SECONDS, self._turn, "Checking connections")
        return True

    def stop(self) -> None:
        """Call no more until something begins."""
        loop, self._loop = self._loop, None
        if loop is not None and loop.running:
            loop.stop()
        alarm, self._alarm = self._alarm, None
        if alarm is not None and alarm.active():
            alarm.cancel()

    def _turn(self) -> None:
        due, now = self._look(), self._clock.seconds()
        if due is None:
            self._used_at = now
            self.begin()
        elif now - self._used_at >= _REST_AFTER:
            self.stop()
            if due < math.inf:
                self._alarm = self._clock.callLater(max(_SECONDS, due - now), self._turn)
