"""What runs before the hub is composed, and how it is stopped if the hub is told to stop by then."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

# For what is being composed when the hub is told to stop.
COMPOSING_SECONDS = 5.0


class Leaves(Exception):
    """The hub was told to stop while it started."""


class Begun:
    """Keeps how to stop what was started. `is_leaving` tells whether the hub stops."""

    def __init__(self, is_leaving: Callable[[], bool], clock: IReactorTime) -> None:
        self._is_leaving = is_leaving
        self._clock = clock
        self._stops: list[Callable[[], Awaitable[object]]] = []

    def keep(self, stop: Callable[[], Awaitable[object]]) -> None:
        """Something is about to start; `stop` stops it, and may be called more than once. Raises Leaves."""
        if self._is_leaving():
            raise Leaves
        self._stops.append(stop)

    async def stop(self) -> None:
        """Resolves once everything has stopped."""
        for stop in self._stops:
            await stop()

    async def end(self, start: Deferred[None]) -> None:
        """`stop`, and let the start end: what it composes meanwhile stops itself, and notes that it did not crash."""
        await self.stop()
        ended: Deferred[None] = Deferred()
        start.addBoth(lambda _: None if ended.called else ended.callback(None))
        with suppress(TimeoutError):
            await ended.addTimeout(COMPOSING_SECONDS, self._clock)
