"""Databases of the newest schema for tests, without running the migrations each time."""

import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from parachute_hub.store.database import Database


def new_database(path: Path, **options: Any) -> Database:
    """As `Database.open` makes at a path where there is none. `options` are its own."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        path.write_bytes(_empty())
    return Database.open(path, **options)


@cache
def _empty() -> bytes:
    folder = Path(tempfile.mkdtemp())
    try:
        Database.open(folder / "parachute.db").close()
        return (folder / "parachute.db").read_bytes()
    finally:
        shutil.rmtree(folder)
