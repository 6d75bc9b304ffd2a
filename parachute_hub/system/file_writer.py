"""Writes files beside the reactor, one write after the other, so that a slow disk delays nobody else.

The order of calls is the order on disk: a job's journal entry is written before the change that it precedes, even if
the caller stopped waiting for it.
"""

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from parachute_hub.system.executors import Executor, Immediate

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")


class FileWriter:
    """Runs blocking functions in the order in which they were submitted. Without an executor they run inline."""

    _log = Logger()

    def __init__(self, executor: Executor | None = None) -> None:
        self._executor: Executor = executor or Immediate()

    def __call__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Deferred[T]":
        """Run `work` on the writer's thread; fires with its result. It must not touch what belongs to the reactor."""
        return self._executor.bound(self._submit(partial(work, *args, **kwargs), _unchanged))

    def surely(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Deferred[T]":
        """The same, but waits for as long as the disk takes: for callers that must know whether it was written."""
        return self._submit(partial(work, *args, **kwargs), _unchanged)

    def change(self, work: "Callable[[], T]", then: "Callable[[T], R]") -> "Deferred[R]":
        """Run `work` on the writer's thread, then `then` with its result on the reactor's; fires with what that
        returns.

        Both run even if the Deferred is cancelled, so memory follows the disk. Fails with what either raised, or with
        StorageBusy if the disk does not answer.
        """
        return self._executor.bound(self._submit(work, then))

    def _submit(self, work: "Callable[[], T]", then: "Callable[[T], R]") -> "Deferred[R]":
        waiting: Deferred[R] = Deferred()

        def run() -> None:
            try:
                done = partial(then, work())
            except Exception:
                failure = Failure()
                self._executor.answer(lambda: self._answer(waiting, failure.raiseException))
            else:
                self._executor.answer(lambda: self._answer(waiting, done))

        self._executor.run(run)
        return waiting

    def answer(self, work: Callable[[], None]) -> None:
        """Run `work` on the reactor's thread. For functions that may run on either."""
        self._executor.answer(work)

    def stop(self) -> None:
        """Finish all writes. Blocks."""
        self._executor.stop()

    def _answer(self, waiting: "Deferred[R]", done: "Callable[[], R]") -> None:
        try:
            result = done()
        except Exception:
            if waiting.called:
                self._log.failure("A write that nobody waits for any more failed")
            else:
                waiting.errback()
        else:
            if not waiting.called:
                waiting.callback(result)


def _unchanged(result: T) -> T:
    return result
