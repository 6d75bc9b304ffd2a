"""Notices when the reactor was kept from its work, and by what."""

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
# The innermost function of an idle reactor: epoll's, and the other reactors'.
_WAITING = frozenset({"doPoll", "doSelect", "doKEvent"})


class LagProbe(Service):
    """Logs each time that the reactor was late by more than `threshold` seconds, with the stack of what ran.

    A timer on the reactor says that it lives; a thread looks whether it said so lately and, if not, where it is.
    `worst` is the largest delay seen, in seconds.
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
        """Begin to look; called in the reactor's thread."""
        super().startService()
        self._at = self._now()
        self._reactor_thread = threading.get_ident()
        self._ended.clear()
        self._beat = every(self._clock, _PERIOD, self._lives, "Measuring the reactor's delay")
        threading.Thread(target=self._look, name="lag probe", daemon=True).start()

    def stopService(self) -> None:
        """Look no more."""
        super().stopService()
        self._ended.set()
        if self._beat is not None and self._beat.running:
            self._beat.stop()

    def _lives(self) -> None:
        """On the reactor."""
        now = self._now()
        late, self._at = now - self._at - _PERIOD, now
        where, self._where = self._where, None
        if late > self._threshold:
            self.worst = max(self.worst, late)
            # Without a culprit it was the machine that had no time for us.
            tell = self._log.warn if where else self._log.debug
            tell("The reactor was kept from its work for {late} ms, by {where}", late=round(late * 1000), where=where)

    def _look(self) -> None:
        """In a thread."""
        while not self._ended.wait(_PERIOD):
            if self._where is None and self._now() - self._at > _PERIOD + self._threshold:
                self._where = _stack(self._reactor_thread)


def _stack(thread: int) -> str | None:
    """Its innermost calls, innermost last; None when it only waits for news from the system."""
    frame = sys._current_frames().get(thread)
    if frame is None or frame.f_code.co_name in _WAITING:
        return None
    calls = traceback.extract_stack(frame)[-_OURS:]
    return " > ".join(f"{call.filename.rpartition('/')[2]}:{call.lineno} {call.name}" for call in calls)
