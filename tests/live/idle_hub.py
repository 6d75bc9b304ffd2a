"""A hub whose clock can run ahead: `python -m tests.live.idle_hub` for `python -m parachute_hub`.

From `SIGUSR2` on, time leaps to the next timer whenever nothing is under way: no event of a file, no connection of the
hub's own, no thread. After QUIET + SPAN seconds of that, IDLE names a file that gets how often each timer had its turn
in the last SPAN seconds, by name, and how often the reactor woke up.
"""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.task import LoopingCall
from twisted.internet.tcp import Client
from twisted.python.threadpool import ThreadPool

from parachute_hub.__main__ import main as main_of_hub
from parachute_hub.system import timers

QUIET = 120.0
"""Seconds until a hub that was used rests: connections to modules have ended, and those of clients are left alone."""
SPAN = 300.0

_reactor: Any = installed


def name_of(function: Any) -> str:
    """What to call a timer without a name."""
    while hasattr(function, "func"):
        function = function.func
    return str(getattr(function, "__qualname__", type(function).__name__))


class Ahead:
    """The clock, and what happens on it."""

    def __init__(self, told: Path) -> None:
        self._told = told
        self._monotonic, self._seconds, self._poll = time.monotonic, _reactor.seconds, _reactor.doIteration
        self._ahead = 0.0
        self._until: float | None = None
        self._counts: Counter[str] = Counter()
        self._events = self._in_threads = 0
        time.monotonic = lambda: self._monotonic() + self._ahead
        _reactor.seconds = lambda: self._seconds() + self._ahead
        self._watch(_reactor, "_doReadOrWrite", self._happened)
        self._count_timers()
        self._count_threads()
        _reactor.doIteration = self._iterate

    def begin(self, *_: Any) -> None:
        """From now on time leaps."""
        _reactor.callFromThread(lambda: setattr(self, "_until", _reactor.seconds() + QUIET + SPAN))

    def _happened(self) -> None:
        self._events += 1

    @staticmethod
    def _watch(owner: Any, name: str, before: Callable[[], None]) -> None:
        real = getattr(owner, name)

        def call(*arguments: Any, **named: Any) -> Any:
            before()
            return real(*arguments, **named)

        setattr(owner, name, call)

    def _count(self, name: str) -> None:
        if self._until is not None and _reactor.seconds() >= self._until - SPAN:
            self._counts[name] += 1

    def _count_timers(self) -> None:
        every, call_later = timers.every, _reactor.callLater

        def counted(name: str, function: Any) -> Callable[..., Any]:
            def call(*arguments: Any, **named: Any) -> Any:
                self._count(name)
                return function(*arguments, **named)

            return call

        def counted_every(clock: Any, seconds: float, function: Any, task: str = "") -> LoopingCall:
            return every(clock, seconds, counted(task or name_of(function), function), task)

        def later(delay: float, function: Any, *arguments: Any, **named: Any) -> Any:
            if not isinstance(function, LoopingCall):
                function = counted(name_of(function), function)
            return call_later(delay, function, *arguments, **named)

        timers.every, _reactor.callLater = counted_every, later

    def _count_threads(self) -> None:
        pools: Any = ThreadPool
        submit = pools.callInThreadWithCallback

        def call(pool: ThreadPool, on_result: Any, function: Any, *arguments: Any, **named: Any) -> None:
            self._in_threads += 1

            def ended(*result: Any) -> None:
                if on_result is not None:
                    on_result(*result)
                # Behind what that has asked of the reactor.
                _reactor.callFromThread(lambda: setattr(self, "_in_threads", self._in_threads - 1))

            submit(pool, ended, function, *arguments, **named)

        pools.callInThreadWithCallback = call

    def _iterate(self, timeout: float | None) -> None:
        if self._until is None or not timeout:
            self._poll(timeout)
            return
        if _reactor.seconds() >= self._until:
            self._told.write_text(json.dumps(self._counts))
            self._until = None
        before = self._events
        self._poll(min(timeout, 0.002))
        under_way = self._in_threads or any(isinstance(one, Client) for one in _reactor.getReaders())
        leaps = before == self._events and not under_way and not _reactor.getWriters()
        if leaps:
            self._ahead += timeout
        if leaps or before != self._events:
            self._count("wake-ups")


def main() -> None:
    """Take the clock, then be the hub."""
    ahead = Ahead(Path(os.environ["IDLE"]))
    signal.signal(signal.SIGUSR2, ahead.begin)
    main_of_hub()


if __name__ == "__main__":
    main()
