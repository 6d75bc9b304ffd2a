"""Tells a hub that is older than its database, before anything is opened or changed."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from parachute_hub.system import strict_json
from parachute_hub.system.atomic_files import atomic_write, read_bounded

NOTE = "last-version.json"
_LIMIT = 4096
# SQLite's file format, 1.3: `user_version` is at offset 60 of the header.
_HEADER = b"SQLite format 3\0"
_VERSION = slice(60, 64)


def known_schema() -> int:
    """The newest schema that this hub knows: the number of its migrations."""
    folder = files("parachute_hub.store").joinpath("migrations")
    return sum(1 for entry in folder.iterdir() if entry.name.endswith(".sql"))


def too_new(database: Path, note: Path) -> str | None:
    """Why this hub must not start with that database, None if it may. Reads two files and changes nothing. Blocks."""
    at = schema_of(database) or 0
    return explain(database, at, known_schema(), note) if at > known_schema() else None


def schema_of(database: Path) -> int | None:
    """The schema of a database, which may be in use; None if there is none. Blocks."""
    try:
        with database.open("rb") as file:
            header = file.read(100)
    except OSError:
        return None
    return int.from_bytes(header[_VERSION], "big") if header.startswith(_HEADER) else None


def explain(database: Path, at: int, known: int, note: Path) -> str:
    """A sentence for the owner: the version to use, and the copy if there is one."""
    version = noted(note, at)
    by = f"Parachute Hub {version}" if version else "a newer Parachute Hub"
    run = f"Run version {version} or a newer one" if version else "Run the newer version"
    copy = database.with_name(f"{database.name}.v{known}")
    other = f", or replace {database.name} by its copy {copy.name} from before the update" if copy.exists() else ""
    return (
        f"{database} was written by {by} (schema {at}; this hub knows {known}). Nothing was changed. "
        f"{run}{other}. A backup from before the update works, too."
    )


def noted(note: Path, schema: int) -> str | None:
    """The hub's version that last wrote this schema here."""
    try:
        told: Any = strict_json.read(read_bounded(note, _LIMIT), limit=_LIMIT).value
        return str(told["version"]) if told["schema"] == schema else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def remember(note: Path, version: str) -> None:
    """Note this hub's version and schema. Blocks. Raises OSError."""
    schema = known_schema()
    if noted(note, schema) != version:
        atomic_write(note, json.dumps({"version": version, "schema": schema}).encode(), durable=False)
