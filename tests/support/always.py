"""A collaborator that always gives the same answer."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def always(value: T) -> Callable[[], T]:
    """A function without arguments that returns this."""
    return lambda: value
