"""`frozen` and `define` of attrs, with methods that all classes share.

attrs writes and compiles `__repr__`, `__eq__` and `__hash__` for each class, which is half of what a class costs at
import (0.5 ms, 16 KB). Here they are functions that read the fields when called. attrs leaves alone what a class has
already. Of the fields' options, they know `repr` and `eq` as booleans.

What else is left out, because the hub uses none of it, is 4 KB a class: methods for pickling, and the fields by name
(`attrs.fields(cls).name`) beside those in order.
"""

from collections.abc import Callable
from functools import cache
from operator import attrgetter
from reprlib import recursive_repr
from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from attrs import define as define
    from attrs import frozen as frozen


@cache
def _values_of(cls: type) -> Callable[[Any], Any]:
    """Reads the fields that are compared."""
    names = [each.name for each in attrs.fields(cls) if each.eq]
    return attrgetter(*names) if names else lambda record: ()


@cache
def _shown_of(cls: type) -> tuple[str, ...]:
    return tuple(each.name for each in attrs.fields(cls) if each.repr)


@recursive_repr()
def _repr(self: Any) -> str:
    kind: Any = type(self)
    shown = ", ".join(f"{name}={getattr(self, name)!r}" for name in _shown_of(kind))
    return f"{kind.__qualname__.rpartition('>.')[2]}({shown})"


def _eq(self: Any, other: Any) -> Any:
    if other.__class__ is not self.__class__:
        return NotImplemented
    kind: Any = type(self)
    values = _values_of(kind)
    return values(self) == values(other)


def _hash(self: Any) -> int:
    kind: Any = type(self)
    return hash(_values_of(kind)(self))


def _sharing(make: Callable[..., Any], hashing: Callable[[Any], int] | None) -> Callable[..., Any]:
    def decorator(cls: type | None = None, **options: Any) -> Any:
        return decorate(cls, **options) if cls is not None else lambda found: decorate(found, **options)

    def decorate(cls: type, **options: Any) -> type:
        if not issubclass(cls, BaseException):  # Of which attrs compares none.
            own = vars(cls)
            if "__repr__" not in own:
                cls.__repr__ = _repr  # type: ignore[method-assign]
            if options.get("eq") is not False and "__eq__" not in own:
                cls.__eq__, cls.__hash__ = _eq, hashing  # type: ignore[method-assign, assignment]
            options.setdefault("getstate_setstate", False)
        made: Any = make(cls, **options)
        made.__attrs_attrs__ = tuple(made.__attrs_attrs__)  # attrs makes a class of its own for each of them.
        return made  # type: ignore[no-any-return]

    return decorator


if not TYPE_CHECKING:
    frozen = _sharing(attrs.frozen, _hash)
    define = _sharing(attrs.define, None)
