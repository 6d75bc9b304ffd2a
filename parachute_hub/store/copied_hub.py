"""Turns the database of a restored hub into one of its own, so that two hubs never share keys or tokens."""

import contextlib
import sqlite3
from pathlib import Path

# Children go with their parents: codes and refresh tokens with their family.
_CLEAR = """
PRAGMA foreign_keys = ON;
BEGIN IMMEDIATE;
DELETE FROM sessions;
DELETE FROM pending_logins;
DELETE FROM devices;
DELETE FROM families;
DELETE FROM grants;
DELETE FROM tokens;
DELETE FROM signing_keys;
DELETE FROM invites;
COMMIT;
"""


def clear_credentials(path: Path) -> None:
    """End every session, token, consent and invitation in a database that nobody else uses, and drop its keys.

    Accounts, second factors, apps and settings stay. Blocks. Raises sqlite3.Error.
    """
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(_CLEAR)
