"""A module's settings as a table."""

from collections.abc import Mapping
from typing import Any, Final

from parachute_hub.cli.tables import plain, table
from parachute_hub.cli.terminal import PLAIN, Terminal

_FLAG: Final = "_set"
"""How a module says whether it has a secret: a read-only `<name>_set`."""


def settings_table(answer: Mapping[str, Any], on: Terminal = PLAIN) -> str:
    """What can be set, to what it is set, and what it is. The schema comes from the module and is not trusted.

    >>> told = {"how": {"enum": ["a", "b"], "title": "How"}, "a_key": {"description": "Secret."}, "a_key_set": {}}
    >>> told["b_key"] = {"title": "Another"}
    >>> values = {"how": "a", "a_key_set": True}
    >>> print(settings_table({"schema": {"properties": told}, "values": values}))
    SETTING  VALUE                    WHAT IT IS
    how      a                        How. One of: a, b.
    a_key    (set)                    Secret.
    b_key    (not set, or not shown)  Another.
    """
    listed = answer["schema"].get("properties")
    told = {name: one for name, one in listed.items() if isinstance(one, dict)} if isinstance(listed, dict) else {}
    values = answer["values"]
    rows = [
        (name, _value(name, told, values), _about(one))
        for name, one in told.items()
        if name.removesuffix(_FLAG) not in told or not name.endswith(_FLAG)
    ]
    return table(("SETTING", "VALUE", "WHAT IT IS"), rows, on) if rows else "There is nothing to set."


def _value(name: str, told: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    value = values.get(name)
    if name + _FLAG in told:
        return "(set)" if values.get(name + _FLAG) is True else "-"
    if value is None and told[name].get("writeOnly") is True:
        return "(not shown)"
    if name not in values:
        # The hub leaves out what is a secret by its name.
        return "(not set, or not shown)"
    return plain(None if value == "" else value)


def _about(told: Mapping[str, Any]) -> str:
    texts = [one for one in (told.get("title"), told.get("description")) if isinstance(one, str) and one]
    choices = told.get("enum")
    if isinstance(choices, list) and choices:
        texts.append(f"One of: {', '.join(map(str, choices))}")
    if told.get("readOnly") is True:
        texts.append("Cannot be changed here")
    return " ".join(text if text.endswith((".", "?", "!")) else f"{text}." for text in texts)
