"""The shape of JSON values: the types of their members, in the notation of docs/command.md.

A name of a type, a list with the shape of its items, or an object. `?` ends the name of a member that may be missing,
`<name>` stands for any name, and `{"either": [...]}` lists several shapes.
"""

from collections.abc import Iterator
from typing import Any

_TYPES = {str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
# Members whose names are data.
MAPS = frozenset({"vaults", "found", "versions"})


def shape(value: Any, name: str = "") -> Any:
    """The shape of a value; `name` is the member that holds it.

    >>> shape({"a": [1, None], "vaults": {"home": "read"}})
    {'a': ['null | number'], 'vaults': {'<name>': 'string'}}
    """
    if isinstance(value, list):
        return [merged([shape(one) for one in value])] if value else ["any"]
    if isinstance(value, dict):
        if name in MAPS:
            return {"<name>": merged([shape(one) for one in value.values()])} if value else {"<name>": "any"}
        return {key: shape(one, key) for key, one in value.items()}
    return _TYPES[type(value)]


def opened(shape: Any) -> Any:
    """The same, with `any` where only null was seen: somebody has to say what else it can be."""
    if isinstance(shape, dict):
        return {name: opened(one) for name, one in shape.items()}
    if isinstance(shape, list):
        return [opened(one) for one in shape]
    return "any" if shape == "null" else shape


def merged(shapes: list[Any]) -> Any:
    """One shape for several values."""
    result = shapes[0]
    for other in shapes[1:]:
        result = _both(result, other)
    return result


def _both(one: Any, other: Any) -> Any:
    if one == other or other == "any":
        return one
    if one == "any":
        return other
    if isinstance(one, str) and isinstance(other, str):
        return " | ".join(sorted({*one.split(" | "), *other.split(" | ")}))
    if isinstance(one, list) and isinstance(other, list):
        return [_both(one[0], other[0])] if one and other else one or other
    if isinstance(one, dict) and isinstance(other, dict) and "either" not in one and "either" not in other:
        return dict(_members(one, other))
    kinds = [kind for each in (one, other) for kind in (each["either"] if "either" in each else [each])]
    return {"either": [kind for number, kind in enumerate(kinds) if kind not in kinds[:number]]}


def _members(one: dict[str, Any], other: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name in dict.fromkeys(key.rstrip("?") for key in (*one, *other)):
        found = [each[key] for each in (one, other) for key in (name, f"{name}?") if key in each]
        sure = name in one and name in other
        yield (name if sure else f"{name}?"), merged(found)


def unlike(value: Any, documented: Any, place: str = "it") -> Iterator[str]:
    """What in a value is not as documented, in sentences.

    >>> [*unlike({"a": 1, "b": None}, {"a": "string", "c": "null", "d?": "null"})]
    ['it.a is number, not string', 'it.b is not documented', 'it.c is missing']
    """
    if isinstance(documented, dict) and "either" in documented:
        tries = [[*unlike(value, one, place)] for one in documented["either"]]
        if all(tries):
            yield from tries[0]
    elif isinstance(documented, str):
        kind = shape(value) if not isinstance(value, dict | list) else type(value).__name__
        if documented != "any" and kind not in documented.split(" | "):
            yield f"{place} is {kind}, not {documented}"
    elif isinstance(documented, list):
        if not isinstance(value, list):
            yield f"{place} is not a list"
        elif value and not documented:
            yield f"{place} has items, which are not documented"
        else:
            for number, one in enumerate(value):
                yield from unlike(one, documented[0], f"{place}[{number}]")
    elif not isinstance(value, dict):
        yield f"{place} is not an object"
    else:
        yield from _unlike_members(value, documented, place)


def _unlike_members(value: dict[str, Any], documented: dict[str, Any], place: str) -> Iterator[str]:
    anything = documented.get("<name>")
    for name, one in value.items():
        known = documented.get(name, documented.get(f"{name}?", anything))
        if known is None:
            yield f"{place}.{name} is not documented"
        else:
            yield from unlike(one, known, f"{place}.{name}")
    for name in documented:
        if not name.endswith("?") and name != "<name>" and name not in value:
            yield f"{place}.{name} is missing"
