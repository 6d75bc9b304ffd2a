"""Periodic tasks, and the one place where failures are caught and logged instead of propagating."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeAlias, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger()
T = TypeVar("T")
_Cause: TypeAlias = tuple[str, str, int]


class FailureLog:
    """Logs a persistent failure once, by task name and place of failure.

    A task may alternate between several failures; each is logged once until the task succeeds.
    """

    def __init__(self) -> None:
        self._lasting: dict[str, set[_Cause]] = {}

    def failed(self, task: str, failure: Failure | None = None) -> None:
        """Report a failure; defaults to the exception being handled."""
        failure = failure or Failure()
        cause = _cause(failure)
        known = self._lasting.setdefault(task, set())
        if cause not in known:
            known.add(cause)
            _log.failure("{task} failed. The same failure is not logged again while it lasts", failure, task=task)

    def worked(self, task: str) -> None:
        """Report a success."""
        if self._lasting and self._lasting.pop(task, None) is not None:
            _log.info("{task} works again", task=task)

    def attempt(self, task: str, function: Callable[..., object], *args: Any) -> bool:
        """Call the function, logging any exception. Returns True on success."""
        try:
            function(*args)
        except Exception:
            self.failed(task)
            return False
        self.worked(task)
        return True

    async def wait(self, task: str, function: Callable[..., Awaitable[object]], *args: Any) -> bool:
        """Like `attempt`, for a coroutine function."""
        try:
            await function(*args)
        except Exception:
            self.failed(task)
            return False
        self.worked(task)
        return True

    def each(self, task: str, function: Callable[[T], object], items: Iterable[T]) -> None:
        """Call the function for each item. A failure is logged and does not affect the other items."""
        well = True
        for item in items:
            try:
                function(item)
            except Exception:
                well = False
                self.failed(task)
        if well:
            self.worked(task)


def every(clock: IReactorTime, seconds: float, function: Callable[[], object], task: str = "") -> LoopingCall:
    """Call `function` every `seconds` until the returned call is stopped. It may return a Deferred.

    A failure is logged once while it persists and never ends the loop. `task` names the task in the log. Tasks of
    one period, from a second on, have their turns together: each wake-up of an idle process costs.
    """
    failures, name = FailureLog(), task or getattr(function, "__qualname__", "A periodic task")

    def tick() -> Deferred[object]:
        done = maybeDeferred(function)
        done.addCallbacks(lambda _: failures.worked(name), lambda failure: failures.failed(name, failure))
        return done

    call = LoopingCall(tick)
    call.clock = clock
    call.start(seconds, now=False)
    if seconds >= 1:
        # The first turn comes after `seconds`, the others at multiples of it.
        call.starttime = clock.seconds() // seconds * seconds
    return call


def _cause(failure: Failure) -> _Cause:
    """What failed and where. Error texts may vary between attempts, so they are not part of the key."""
    kind = failure.type.__qualname__ if failure.type is not None else ""
    name, file, line = failure.frames[-1][:3] if failure.frames else ("", "", 0)
    return (kind, f"{file}:{name}", line)
