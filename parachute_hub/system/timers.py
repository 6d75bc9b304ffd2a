"""Periodic tasks, and the one place where a failure that must not reach anybody else is caught and logged."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger()
T = TypeVar("T")
_Cause: TypeAlias = tuple[str, str, int]


class Failures:
    """Logs each failure once while it lasts, however often the task is tried: by the task's name and where it failed.

    A task may fail in several ways by turns; each is logged once, until the task goes well.
    """

    def __init__(self) -> None:
        self._lasting: dict[str, set[_Cause]] = {}

    def failed(self, task: str, failure: Failure | None = None) -> None:
        """The task failed; without `failure` by the exception that is being handled."""
        failure = failure or Failure()
        cause = _cause(failure)
        known = self._lasting.setdefault(task, set())
        if cause not in known:
            known.add(cause)
            _log.failure("{task} failed. The same failure is not logged again while it lasts", failure, task=task)

    def worked(self, task: str) -> None:
        """The task went well."""
        if self._lasting and self._lasting.pop(task, None) is not None:
            _log.info("{task} works again", task=task)

    def attempt(self, task: str, function: Callable[..., object], *args: Any) -> bool:
        """Call the function; whether it went well. What it raises is logged and goes no further."""
        try:
            function(*args)
        except Exception:
            self.failed(task)
            return False
        self.worked(task)
        return True

    def each(self, task: str, function: Callable[[T], object], items: Iterable[T]) -> None:
        """Call the function for each item; one that fails is logged and keeps none of the others from their turn."""
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
    """Call `function` every so many seconds until the answer is stopped. It may give a Deferred.

    A failure is logged once while it lasts, and the next call comes all the same: a full disk passes, and the hub must
    be tended after it. `task` names it in the log.
    """
    failures, name = Failures(), task or getattr(function, "__qualname__", "A periodic task")

    def tend() -> Deferred[object]:
        done = maybeDeferred(function)
        done.addCallbacks(lambda _: failures.worked(name), lambda failure: failures.failed(name, failure))
        return done

    call = LoopingCall(tend)
    call.clock = clock
    call.start(seconds, now=False)
    return call


def _cause(failure: Failure) -> _Cause:
    """What failed and where; texts may differ each time, so they do not count."""
    kind = failure.type.__qualname__ if failure.type is not None else ""
    name, file, line = failure.frames[-1][:3] if failure.frames else ("", "", 0)
    return (kind, f"{file}:{name}", line)
