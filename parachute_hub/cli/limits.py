"""`parachute settings limits`: how much memory and processor time a module may use."""

import re
from argparse import ArgumentTypeError
from typing import Any, Final

from parachute_hub.cli.client import CommandError, module_path
from parachute_hub.cli.request_words import Given
from parachute_hub.cli.tables import percent, size, table
from parachute_hub.cli.terminal import terminal

USUAL: Final = "usual"
_NONE: Final = 0
_WORDS: Final[dict[str, int | str]] = {"usual": USUAL, "none": _NONE}
_MEMORY: Final = re.compile(r"(\d+)\s*([MG]?)(?:I?B)?", re.IGNORECASE)
_UNITS: Final = {"": 1 << 20, "M": 1 << 20, "G": 1 << 30}


def memory(text: str) -> int | str:
    """Bytes. Raises ArgumentTypeError.

    >>> memory("256"), memory("2 GB"), memory("none"), memory("usual")
    (268435456, 2147483648, 0, 'usual')
    """
    found = _MEMORY.fullmatch(text.strip())
    if found:
        return int(found[1]) * _UNITS[found[2].upper()]
    return _word(text, "a size such as 256 (MB) or 2G")


def processor(text: str) -> int | str:
    """Percent of one processor. Raises ArgumentTypeError.

    >>> processor("50%"), processor("none")
    (50, 0)
    """
    number = text.strip().removesuffix("%")
    return int(number) if number.isdecimal() else _word(text, "a percentage such as 50")


def _word(text: str, example: str) -> int | str:
    if text not in _WORDS:
        raise ArgumentTypeError(f"{text!r} is not {example}, none or usual.")
    return _WORDS[text]


def limit(given: Given) -> tuple[dict[str, Any], str]:
    """Change what was asked for, and show what holds. Raises CommandError."""
    short = given.arguments.module
    asked = {"memory_limit": given.arguments.memory, "cpu_limit": given.arguments.cpu}
    changes = {name: None if value == USUAL else value for name, value in asked.items() if value is not None}
    if changes:
        given.client.call("PUT", module_path(short, "settings"), changes)
    listed = given.client.call("GET", "/api/modules")["modules"]
    module = next((one for one in listed if one["short"] == short), None)
    if module is None:
        raise CommandError(f"There is no module {short}.")
    overview = given.client.call("GET", "/api/overview")
    now = {
        "memory": next((one["bytes"] for one in overview["memory"]["modules"] if one["short"] == short), None),
        "share": next((one["share"] for one in overview["processor"]["modules"] if one["short"] == short), None),
    }
    limits = module["limits"]
    rows = [
        ("memory", size(now["memory"]), _size(limits["memory"]), _size(limits["usual_memory"])),
        ("processor", percent(now["share"]), _share(limits["cpu"]), _share(limits["usual_cpu"])),
    ]
    answer = {"short": short, "limits": limits, "now": now}
    return answer, table((short.upper(), "NOW", "LIMIT", "USUALLY"), rows, terminal())


def _size(limit: int | None) -> str:
    return "none" if limit is None else size(limit)


def _share(limit: int | None) -> str:
    return "none" if limit is None else f"{limit}%"
