"""Finding the whole rows in a services.json that is cut or damaged."""

import json
from typing import Any

_ATTEMPTS = 10_000


def salvage(content: bytes) -> list[dict[str, Any]]:
    """Every JSON object in these bytes that looks like a row, in order.

    >>> salvage(b'{"services": [{"name": "a", "port": 1}, {"name": "b", "po')
    [{'name': 'a', 'port': 1}]
    """
    text = content.decode("utf-8", "replace")
    decoder = json.JSONDecoder()
    rows: list[dict[str, Any]] = []
    at = max(0, text.find("["))
    for _ in range(_ATTEMPTS):
        at = text.find("{", at)
        if at < 0:
            break
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            at += 1
            continue
        if isinstance(value, dict) and "name" in value and "port" in value:
            rows.append(value)
    return rows
