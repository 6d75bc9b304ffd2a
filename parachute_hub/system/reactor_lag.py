"""Detects a blocked reactor and logs what blocked it."""

import contextlib
import faulthandler
import fcntl
import os
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from parachute_hub.system.timers import ClockSteps, every

_PERIOD = 0.05
# In seconds. A tenth is when people begin to notice, and what the kernel may hold back at once from a container with a
# limit of the processor, whose time it gives out in periods of that length.
THRESHOLD = 0.1
# Between heartbeats while nobody uses the hub, so that an idle one wakes up rarely.
_QUIET_PERIOD = 10.0
# The share of a processor above which the reactor works, though no request began: streams and jobs.
_WORKING = 0.03
_OURS = 4
# What faulthandler writes at most, about: 100 threads with 100 calls each.
_PIPE_BYTES = 1 << 20
_THREAD = re.compile(r"\w[\w ]* 0x([0-9a-f]+) ")
_CALL = re.compile(r'  File "(?P<file>.*)", line (?P<line>.*) in (?P<name>.*)')
# The innermost frame of an idle reactor, for epoll and the other implementations.
_WAITING = frozenset({"doPoll", "doSelect", "doKEvent"})


class LagProbe(Service):
    """Logs a stack trace each time the reactor is late by more than `threshold` seconds.

    The reactor updates a heartbeat on a timer. A thread waits until it is overdue, and samples the reactor's stack.
    `worst` is the largest delay so far, in seconds. After `quiet_after` seconds without `attend` or other work the
    heartbeat slows down; until the next call only delays over ten seconds are sure to be seen. `used` returns the
    processor time of the reactor thread.

    A heartbeat is overdue, too, when the clock was put back. Then all timers are moved.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        clock: Any,
        now: Callable[[], float],
        threshold: float = THRESHOLD,
        quiet_after: float = 5.0,
        used: Callable[[], float] = time.thread_time,
    ) -> None:
        self._now = now
        self._threshold = threshold
        self._quiet_after = quiet_after
        self._used = used
        self._clock = clock
        self._steps = ClockSteps(clock, now)
        self._beat: LoopingCall | None = None
        self._period = _PERIOD
        self._at = 0.0
        self._attended = False
        # When the present stretch of quiet_after seconds began, and the processor time then.
        self._since = (0.0, 0.0)
        self._where: str | None = None
        self._woken = threading.Event()
        self._reactor_thread = 0
        self.worst = 0.0

    def startService(self) -> None:
        """Start measuring. Call in the reactor thread."""
        super().startService()
        self._reactor_thread = threading.get_ident()
        self._woken = threading.Event()
        self._pace(_PERIOD)
        threading.Thread(target=self._look, args=(self._woken,), name="lag probe", daemon=True).start()

    def stopService(self) -> None:
        super().stopService()
        self._woken.set()
        if self._beat is not None and self._beat.running:
            self._beat.stop()

    def attend(self) -> None:
        """A request begins. Call in the reactor thread."""
        self._attended = True
        if self._period != _PERIOD and self.running:
            self._pace(_PERIOD)

    def _pace(self, period: float) -> None:
        if self._beat is not None and self._beat.running:
            self._beat.stop()
        self._at, self._period = self._now(), period
        self._since = (self._at, self._used())
        self._woken.set()
        self._beat = every(self._clock, period, self._lives, "Measuring reactor lag")

    def _lives(self) -> None:
        """Heartbeat, called in the reactor thread."""
        now = self._now()
        late, self._at = now - self._at - self._period, now
        where, self._where = self._where, None
        if late > self._threshold:
            self.worst = max(self.worst, late)
            # Without a captured stack, the machine itself was short of CPU time.
            tell = self._log.warn if where else self._log.debug
            tell("The reactor was blocked for {late} ms by {where}", late=round(late * 1000), where=where)
        began, used = self._since
        if self._period == _QUIET_PERIOD or now - began >= self._quiet_after:
            self._since = (now, self._used())
            working = self._attended or self._since[1] - used > _WORKING * (now - began)
            self._attended = False
            period = _PERIOD if working else _QUIET_PERIOD
            if period != self._period:
                self._pace(period)

    def _look(self, woken: threading.Event) -> None:
        """Watch the heartbeat, called in the watcher thread. It wakes up when the next one would be overdue."""
        while woken is self._woken and self.running:
            overdue = self._at + self._period + self._threshold - self._now()
            if woken.wait(max(overdue, 0.001) if self._where is None and overdue > 0 else _PERIOD):
                woken.clear()
            elif self._now() - self._at > self._period + self._threshold:
                if self._where is None:
                    self._where = stack_of(self._reactor_thread)
                if self._steps.put_back:
                    self._clock.callFromThread(self._steps.look)


def stack_of(thread: int) -> str | None:
    """A thread's innermost calls, innermost last; None if it is gone, idle in the reactor's poll, or cannot be read.

    faulthandler reads all frames in one call. Reading `frame.f_back` of a thread that goes on meanwhile can crash
    CPython 3.11: a suspended coroutine still refers to the frame that called it.
    """
    try:
        reading, writing = os.pipe()
    except OSError:  # No descriptor is left.
        return None
    with os.fdopen(reading, "rb") as pipe:
        try:
            with contextlib.suppress(OSError, AttributeError):  # Linux only, and within the user's limit.
                fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            # What does not fit is left out; waiting for room would block the whole process.
            os.set_blocking(writing, False)
            faulthandler.dump_traceback(writing, all_threads=True)
        finally:
            os.close(writing)
        text = pipe.read().decode(errors="replace")
    calls = _calls_of(thread, text)
    if not calls or calls[0].rpartition(" ")[2] in _WAITING:
        return None
    return " > ".join(reversed(calls[:_OURS]))


def _calls_of(thread: int, dump: str) -> list[str]:
    """The calls of one thread in faulthandler's output, innermost first, as "file.py:12 name"."""
    for part in dump.split("\n\n"):
        header, *lines = part.strip().splitlines() or [""]
        found_in = _THREAD.match(header)
        if found_in and int(found_in[1], 16) == thread:
            found = map(_CALL.fullmatch, lines)
            return [f"{call['file'].rpartition('/')[2]}:{call['line']} {call['name']}" for call in found if call]
    return []
