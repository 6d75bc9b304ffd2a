"""Recovers complete rows from a truncated or damaged services.json."""

from typing import Any

from parachute_hub.system import strict_json


def salvage(content: bytes) -> list[dict[str, Any]]:
    """Every JSON object in these bytes that looks like a row, in order.

    >>> salvage(b'{"services": [{"name": "a", "port": 1}, {"name": "b", "po')
    [{'name': 'a', 'port': 1}]
    """
    text = content.decode("utf-8", "replace")
    return [found for found in strict_json.objects_in(text) if "name" in found and "port" in found]
