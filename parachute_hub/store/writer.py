"""The type of `Database.write`, for its callers."""

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred

P = ParamSpec("P")
T = TypeVar("T")


class Write(Protocol):
    """`Database.write`: runs a function as one transaction, and returns its result once it is durable."""

    def __call__(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> "Deferred[T]":
        """Like `deferToThread`; the function may call the stores freely."""
