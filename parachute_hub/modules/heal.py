"""Repairs of rows that older hubs and modules left behind, applied before anything else reads them (modules.md 1.5)."""

from collections.abc import Iterable
from typing import Any

_RETIRED = frozenset({"agent", "channel", "parachute-agent", "parachute-channel"})


def heal(rows: Iterable[object]) -> tuple[list[Any], list[tuple[str, str]]]:
    """The rows that stay, and for each that goes its name and the reason."""
    kept: list[Any] = []
    notes: list[tuple[str, str]] = []
    everything = list(rows)
    for row in everything:
        reason = _reason(row, everything) if isinstance(row, dict) else None
        if reason is None:
            kept.append(row)
        else:
            notes.append((f'row "{row["name"]}"', reason))  # type: ignore[index]
    return kept, notes


def _reason(row: dict[str, Any], rows: list[object]) -> str | None:
    name, port, paths = row.get("name"), row.get("port"), row.get("paths")
    first = paths[0] if isinstance(paths, list) and paths and isinstance(paths[0], str) else ""
    if name in ("app", "parachute-app") and (_below(first, "/surface") or (port == 1946 and not _below(first, "/app"))):
        return "is the surface's old row and was left out"
    if "installDir" not in row and (name in _RETIRED or (name == "claw" and first == "/claw")):
        return "belongs to a retired module of which no package is known, and was left out"
    twin = f"parachute-{name}"
    if any(isinstance(other, dict) and other.get("name") == twin and other.get("port") == port for other in rows):
        return f'is a second row for "{twin}" on the same port and was left out'
    return None


def _below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(prefix + "/")
