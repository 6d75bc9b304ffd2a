"""What is made after those who use it, because the start makes first what can be answered first."""

from typing import Generic, TypeVar

from twisted.internet.defer import Deferred, succeed

T = TypeVar("T")


class Late(Generic[T]):
    """Calling it gives what was kept. RuntimeError before."""

    def __init__(self) -> None:
        self._made: T | None = None
        self._waiting: list[Deferred[T]] = []

    def keep(self, made: T) -> T:
        """Keep it, and return it."""
        self._made = made
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(made)
        return made

    def soon(self) -> "Deferred[T]":
        """Fires once it is there."""
        if self._made is not None:
            return succeed(self._made)
        self._waiting.append(Deferred())
        return self._waiting[-1]

    def __call__(self) -> T:
        if self._made is None:
            raise RuntimeError("used before it was made")
        return self._made
