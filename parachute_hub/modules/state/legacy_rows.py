"""Removes rows left behind by older hubs and modules, before anything else reads them."""

from collections.abc import Iterable, Set
from typing import Any

_RETIRED = frozenset({"agent", "channel", "parachute-agent", "parachute-channel"})


def heal(rows: Iterable[object]) -> tuple[list[Any], list[tuple[str, str]]]:
    """The rows to keep, and name and reason for each removed one. Rows may be any JSON."""
    kept: list[Any] = []
    notes: list[tuple[str, str]] = []
    everything = list(rows)
    held = {(name, port) for name, port in map(_name_and_port, everything) if name is not None}
    for row in everything:
        reason = _reason(row, held) if isinstance(row, dict) else None
        if reason is None:
            kept.append(row)
        else:
            notes.append((f'row "{_name_and_port(row)[0]}"', reason))
    return kept, notes


def _name_and_port(row: object) -> tuple[str | None, int | None]:
    """What the rules go by, None where it is not of its type."""
    raw = row if isinstance(row, dict) else {}
    name, port = raw.get("name"), raw.get("port")
    return (name if isinstance(name, str) else None, port if isinstance(port, int) else None)


def _reason(row: dict[str, Any], held: Set[tuple[str | None, int | None]]) -> str | None:
    name, port = _name_and_port(row)
    if name is None:
        return None
    paths = row.get("paths")
    first = paths[0] if isinstance(paths, list) and paths and isinstance(paths[0], str) else ""
    if name in ("app", "parachute-app") and (_below(first, "/surface") or (port == 1946 and not _below(first, "/app"))):
        return "is the surface's old row and was left out"
    if "installDir" not in row and (name in _RETIRED or (name == "claw" and first == "/claw")):
        return "belongs to a retired module of which no package is known, and was left out"
    twin = f"parachute-{name}"
    if port is not None and (twin, port) in held:
        return f'is a second row for "{twin}" on the same port and was left out'
    return None


def _below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix + "/")
