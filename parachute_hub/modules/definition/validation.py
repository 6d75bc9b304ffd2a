"""Validates JSON from module authors. Errors name the field and the rule, since the author reads them."""

import re
from collections.abc import Mapping
from typing import Any

from parachute_hub.system import strict_json
from parachute_hub.system.strict_json import BadJson

_CONTROL = re.compile("[\x00-\x1f\x7f]")


class Invalid(ValueError):
    """A value violates a rule: `field` is its location (`startCmd[0]`), `rule` what it must be."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}" if field else rule)
        self.field = field
        self.rule = rule


def parse_object(raw: bytes, what: str, limit: int) -> dict[str, Any]:
    """Parse a JSON object. `what` names it in errors; `limit` is in bytes. Raises Invalid."""
    try:
        value = strict_json.read(raw, limit=limit).value
    except BadJson as error:
        raise Invalid("", f"{what} {error}") from None
    if not isinstance(value, dict):
        raise Invalid("", f"{what} must be a JSON object")
    return value


def text(value: object, field: str) -> str:
    """A non-empty string."""
    if not isinstance(value, str) or not value.strip():
        raise Invalid(field, "must be a non-empty string")
    return value


def path_text(value: object, field: str) -> str:
    """A file path."""
    path = text(value, field)
    if "\0" in path or len(path) > 4096:
        raise Invalid(field, "must be a path of at most 4096 characters without NUL")
    return path


def any_text(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise Invalid(field, "must be a string")
    return value


def port(value: object, field: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 65536:
        raise Invalid(field, "must be a whole number from 1 to 65535")
    return value


def amount(value: object, field: str, least: int, most: int) -> int:
    """A whole number within these bounds."""
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Invalid(field, f"must be a whole number from {least} to {most}")
    return value


def flag(value: object, field: str) -> bool:
    if not isinstance(value, bool):
        raise Invalid(field, "must be true or false")
    return value


def texts(value: object, field: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise Invalid(field, "must be a list of strings")
    return tuple(value)


def mapping(value: object, field: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Invalid(field, "must be an object")
    return value


def rooted(value: object, field: str) -> str:
    """A path starting with a slash, safe to put in a request line."""
    if not isinstance(value, str) or not value.startswith("/"):
        raise Invalid(field, "must be a path that starts with /")
    if _CONTROL.search(value) or len(value) > 2048:
        raise Invalid(field, "must be at most 2048 characters without line ends or other control characters")
    return value


def one_of(value: object, field: str, choices: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in choices:
        raise Invalid(field, f"must be one of {', '.join(choices)}")
    return value
