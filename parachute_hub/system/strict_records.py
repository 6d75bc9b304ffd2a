"""attrs records as JSON and back, for what one process of the hub tells the next. Every field is checked.

Fields are `int`, `float`, `str`, `bool`, `bytes`, literals and enums of text, other records, `X | None` and
`tuple[X, ...]`.
"""

import base64
import binascii
from enum import Enum
from types import UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import attrs

T = TypeVar("T")
_PLAIN = (int, float, str, bool)


class BadRecord(ValueError):
    """The JSON value is not such a record. The text names the field."""


def plain(value: Any) -> Any:
    """The record as a value for JSON."""
    match value:
        case bytes():
            return base64.b64encode(value).decode()
        case Enum():
            return value.value
        case tuple():
            return [plain(one) for one in value]
    if attrs.has(type(value)):
        return {field.name: plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
    return value


def record(kind: type[T], value: Any) -> T:
    """The record of this kind; the opposite of `plain`. Raises BadRecord."""
    built: T = _read(kind, value, kind.__name__)
    return built


def _read(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is UnionType:
        [inner] = [one for one in arguments if one is not type(None)]
        return None if value is None else _read(inner, value, where)
    if origin is tuple:
        if isinstance(value, list):
            return tuple(_read(arguments[0], one, where) for one in value)
    elif origin is Literal:
        if value in arguments:
            return value
    elif kind is bytes:
        return _bytes(value, where)
    elif kind in _PLAIN:
        if type(value) is kind or (kind is float and type(value) is int):
            return kind(value)
    elif issubclass(kind, Enum):
        if value in list(kind):
            return kind(value)
    elif isinstance(value, dict):
        return _built(kind, value, where)
    raise BadRecord(f"{where} is not what it must be")


def _built(kind: Any, value: dict[str, Any], where: str) -> Any:
    hints = get_type_hints(kind)
    names = {field.name for field in attrs.fields(kind)}
    if value.keys() != names:
        raise BadRecord(f"{where} has other fields: {', '.join(sorted(value.keys() ^ names))}")
    return kind(**{name: _read(hints[name], value[name], f"{where}.{name}") for name in names})


def _bytes(value: Any, where: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise BadRecord(f"{where} is not base64") from None
