"""What is made after those who use it, because the start makes first what can be answered first."""

from typing import Generic, TypeVar

T = TypeVar("T")


class Late(Generic[T]):
    """Calling it gives what was kept. RuntimeError before."""

    def __init__(self) -> None:
        self._made: T | None = None

    def keep(self, made: T) -> T:
        """Keep it, and return it."""
        self._made = made
        return made

    def __call__(self) -> T:
        if self._made is None:
            raise RuntimeError("used before it was made")
        return self._made
