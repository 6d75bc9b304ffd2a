"""Results of Deferreds that have already fired: in tests the database writes in the calling thread."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


def at_once(waiting: "Coroutine[Any, Any, T] | Deferred[T]") -> T:
    """The result. Raises what the work raised, and AssertionError when it is not finished."""
    deferred = waiting if isinstance(waiting, Deferred) else Deferred.fromCoroutine(waiting)
    results: list[Any] = []
    deferred.addBoth(results.append)
    if not results:
        raise AssertionError("this was to be done at once")
    if isinstance(results[0], Failure):
        results[0].raiseException()
    return results[0]  # type: ignore[no-any-return]
