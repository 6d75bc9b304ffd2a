"""Tries this hub's migrations on a copy of a database that another hub uses."""

from pathlib import Path

from parachute_hub.store.database import Database, DatabaseUnusable
from parachute_hub.store.newer import known_schema, schema_of
from parachute_hub.store.sqlite_files import DatabaseUnreadable, copy_database

_NAME = "rehearsal.db"


def rehearse(database: Path, scratch: Path) -> None:
    """Migrate a copy in `scratch`, and remove it. Without migrations or a database there is nothing to do. Blocks.

    Raises DatabaseUnusable or OSError.
    """
    if schema_of(database) in (None, known_schema()):
        return
    copy = scratch / _NAME
    try:
        copy_database(database, copy)
        Database.open(copy).close()
    except DatabaseUnreadable as error:
        raise DatabaseUnusable(str(error)) from None
    finally:
        for left in scratch.glob(f"{_NAME}*"):
            left.unlink(missing_ok=True)
