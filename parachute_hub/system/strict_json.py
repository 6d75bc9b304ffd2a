"""Parses JSON from untrusted sources, and writes JSON that every parser accepts.

The json module accepts NaN, returns text that cannot be encoded (lone surrogates), and fails in several ways
(RecursionError, the limit on digits). This parser raises one error, and everything it returns can be serialized again.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from attrs import field

from parachute_hub.system.records import frozen

DEPTH = 32
"""Maximum nesting depth."""

_DIGITS = 308
"""Digits of the largest integer a double can hold (IEEE 754), which every parser accepts."""
_LONE = re.compile("[\ud800-\udfff]")
_ESCAPED = re.compile(r"\\u[dD][89a-fA-F]")
_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_REPLACEMENT = "\ufffd"
_TWICE = "a key stands twice in an object, and only the last one counts"
_NOT_FINITE = "NaN, Infinity or a number too large for any reader was read as null"
_BROKEN_TEXT = "half of a character (a lone surrogate) was read as U+FFFD"


class BadJson(ValueError):
    """Unusable content. The text completes a sentence: `is not valid JSON: ...`."""


@frozen
class Reading:
    """A JSON value and the repairs made while parsing it.

    `lossy` is true if the value lacks something the content had, such as the first of two equal keys.
    """

    value: Any
    repairs: tuple[str, ...] = field(default=())

    @property
    def lossy(self) -> bool:
        """True if serializing the value would lose content."""
        return _TWICE in self.repairs


def read(content: bytes | str, *, limit: int, depth: int = DEPTH) -> Reading:
    """Parse leniently what a module may have written. `limit` is in bytes. Raises BadJson and nothing else.

    Repairs what JavaScript would repair (duplicate keys, out-of-range numbers) or never write (NaN, lone surrogates).
    """
    text = _text(content, limit)
    return _Reader().read(text, depth)


def read_strictly(content: bytes | str, *, limit: int, depth: int = DEPTH) -> Any:
    """Like `read`, but reject what `read` would repair: for requests and tokens (RFC 7493, I-JSON). Raises BadJson."""
    reading = read(content, limit=limit, depth=depth)
    if reading.repairs:
        raise BadJson(f"is not valid JSON: {reading.repairs[0]}")
    return reading.value


def objects_in(text: str, *, depth: int = DEPTH) -> Iterator[dict[str, Any]]:
    """Every complete JSON object in damaged text, outermost first, in time linear in its length."""
    reader = _Reader()
    at, budget = max(0, text.find("[")), 4 * len(text) + 65536
    while budget > 0:
        at = text.find("{", at)
        if at < 0:
            return
        try:
            value, end = reader.decode_from(text, at)
        except RecursionError:
            skipped = _end_of(text, at)
            budget -= 4 * ((skipped or len(text)) - at)
            at = skipped or at + 1
            continue
        except json.JSONDecodeError as error:
            at, budget = at + 1, budget - max(64, error.pos - at)
            continue
        budget -= end - at
        at = end
        if isinstance(value, dict) and not _deeper(value, depth):
            yield value if _is_plain(text) else _well_formed(value)


def _end_of(text: str, at: int) -> int | None:
    """The index after the object that starts here, found without recursion; None if it is incomplete."""
    open_ones = 0
    for found in _BRACKET.finditer(text, at):
        token = found[0]
        if token in "[{":
            open_ones += 1
        elif token in "]}":
            open_ones -= 1
            if open_ones == 0:
                return found.end()
    return None


def write(value: object, *, indent: int | None = None) -> bytes:
    """Serialize to UTF-8. Content that JSON cannot represent is repaired as in `read`.

    Raises TypeError for unsupported Python types.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent).encode()
    except (ValueError, RecursionError):
        return json.dumps(_plain(value, 4 * DEPTH), ensure_ascii=False, allow_nan=False, indent=indent).encode()


class _Reader:
    """A decoder that records its repairs."""

    def __init__(self) -> None:
        self._repairs: dict[str, None] = {}
        self._decoder = json.JSONDecoder(
            object_pairs_hook=self._object,
            parse_float=self._float,
            parse_int=self._int,
            parse_constant=self._constant,
        )

    def read(self, text: str, depth: int) -> Reading:
        try:
            value = self._decoder.decode(text)
        except RecursionError:
            raise BadJson(f"is nested more than {depth} deep") from None
        except ValueError as error:
            raise BadJson(f"is not valid JSON: {error}") from None
        if _deeper(value, depth):
            raise BadJson(f"is nested more than {depth} deep")
        if not _is_plain(text):
            repaired = _well_formed(value)
            if repaired != value:
                self._repairs[_BROKEN_TEXT] = None
                if _count(repaired) != _count(value):
                    self._repairs[_TWICE] = None
            value = repaired
        return Reading(value, tuple(self._repairs))

    def decode_from(self, text: str, at: int) -> tuple[Any, int]:
        """The value that starts here, and the index after it. Raises JSONDecodeError or RecursionError."""
        return self._decoder.raw_decode(text, at)

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            self._repairs[_TWICE] = None
        return found

    def _int(self, digits: str) -> int | None:
        if len(digits) > _DIGITS:
            self._constant(digits)
            return None
        return int(digits)

    def _float(self, digits: str) -> float | None:
        value = float(digits)
        if math.isfinite(value):
            return value
        self._constant(digits)
        return None

    def _constant(self, word: str) -> None:
        self._repairs[_NOT_FINITE] = None


def _text(content: bytes | str, limit: int) -> str:
    if len(content) > limit:
        raise BadJson(f"is larger than {limit // 1024} KiB")
    if isinstance(content, str):
        return content.removeprefix("\ufeff")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise BadJson("is not UTF-8 text") from None


def _deeper(value: object, depth: int) -> bool:
    """True if the value is nested deeper than `depth`, checked without recursion."""
    layer = [value]
    for _ in range(depth):
        layer = [child for item in layer if isinstance(item, dict | list) for child in _children(item)]
        if not layer:
            return False
    return True


def _children(value: dict[str, Any] | list[Any]) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else value


def _is_plain(text: str) -> bool:
    """True if the text cannot contain a lone surrogate, literal or escaped."""
    return _ESCAPED.search(text) is None and _LONE.search(text) is None


def _well_formed(value: Any) -> Any:
    """Replace lone surrogates with U+FFFD. The caller has checked the depth."""
    match value:
        case str():
            return well_formed(value)
        case dict():
            return {well_formed(name): _well_formed(item) for name, item in value.items()}
        case list():
            return [_well_formed(item) for item in value]
        case _:
            return value


def well_formed(text: str) -> str:
    r"""Replace lone surrogates, so that the text can be encoded.

    >>> well_formed("a\ud800b")
    'a\ufffdb'
    """
    return _LONE.sub(_REPLACEMENT, text)


def _count(value: Any) -> int:
    match value:
        case dict():
            return 1 + sum(map(_count, value.values()))
        case list():
            return 1 + sum(map(_count, value))
        case _:
            return 1


def _plain(value: Any, depth: int) -> Any:
    """A JSON-compatible copy, cut off below `depth`."""
    if depth == 0:
        return None
    match value:
        case str():
            return well_formed(value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {
                well_formed(name) if isinstance(name, str) else name: _plain(item, depth - 1)
                for name, item in value.items()
                if not isinstance(name, float) or math.isfinite(name)
            }
        case list() | tuple():
            return [_plain(item, depth - 1) for item in value]
        case _:
            return value
