"""Detects a blocked reactor and logs what blocked it."""

import sys
import threading
import traceback
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from parachute_hub.system.timers import every

_PERIOD = 0.05
_OURS = 4
# The innermost frame of an idle reactor, for epoll and the other implementations.
_WAITING = frozenset({"doPoll", "doSelect", "doKEvent"})


class LagProbe(Service):
    """Logs a stack trace each time the reactor is late by more than `threshold` seconds.

    The reactor updates a heartbeat on a timer. A thread checks the heartbeat and samples the reactor's stack when it is
    overdue. `worst` is the largest delay so far, in seconds.
    """

    _log = Logger()

    def __init__(self, *, clock: Any, now: Callable[[], float], threshold: float = 0.05) -> None:
        self._now = now
        self._threshold = threshold
        self._clock = clock
        self._beat: LoopingCall | None = None
        self._at = 0.0
        self._where: str | None = None
        self._ended = threading.Event()
        self._reactor_thread = 0
        self.worst = 0.0

    def startService(self) -> None:
        """Start measuring. Call in the reactor thread."""
        super().startService()
        self._at = self._now()
        self._reactor_thread = threading.get_ident()
        self._ended.clear()
        self._beat = every(self._clock, _PERIOD, self._lives, "Measuring reactor lag")
        threading.Thread(target=self._look, name="lag probe", daemon=True).start()

    def stopService(self) -> None:
        super().stopService()
        self._ended.set()
        if self._beat is not None and self._beat.running:
            self._beat.stop()

    def _lives(self) -> None:
        """Heartbeat, called in the reactor thread."""
        now = self._now()
        late, self._at = now - self._at - _PERIOD, now
        where, self._where = self._where, None
        if late > self._threshold:
            self.worst = max(self.worst, late)
            # Without a captured stack, the machine itself was short of CPU time.
            tell = self._log.warn if where else self._log.debug
            tell("The reactor was blocked for {late} ms by {where}", late=round(late * 1000), where=where)

    def _look(self) -> None:
        """Check the heartbeat, called in the watcher thread."""
        while not self._ended.wait(_PERIOD):
            if self._where is None and self._now() - self._at > _PERIOD + self._threshold:
                self._where = _stack(self._reactor_thread)


def _stack(thread: int) -> str | None:
    """The thread's innermost calls, innermost last; None if it is idle in the reactor's poll."""
    frame = sys._current_frames().get(thread)
    if frame is None or frame.f_code.co_name in _WAITING:
        return None
    calls = traceback.extract_stack(frame)[-_OURS:]
    return " > ".join(f"{call.filename.rpartition('/')[2]}:{call.lineno} {call.name}" for call in calls)
