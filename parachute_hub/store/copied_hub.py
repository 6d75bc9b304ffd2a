"""Reads the database of a restored hub, or makes it one of its own, so that two hubs never share keys or tokens."""

import contextlib
import sqlite3
from pathlib import Path

from attrs import asdict

from parachute_hub.store.rows import Act

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

_CONNECTED = """
SELECT DISTINCT name FROM clients JOIN families USING (client_id) WHERE ended_at IS NULL AND same_hub = 0
ORDER BY name LIMIT 100
"""


def clear_credentials(path: Path) -> None:
    """End every session, token, consent and invitation in a database that nobody else uses, and drop its keys.

    Accounts, second factors, apps and settings stay. Blocks. Raises sqlite3.Error.
    """
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.executescript(_CLEAR)


def keep_vaults(path: Path) -> None:
    """Delete no vault, in a database that nobody else uses and that may be of an earlier schema.

    The days of a backup may be long past, and whoever restores it wants the vaults. Blocks. Raises sqlite3.Error.
    """
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'vault_deletions'").fetchone():
            connection.execute("DELETE FROM vault_deletions")


def add_act(path: Path, act: Act) -> None:
    """Add an entry to the audit log of a database that nobody else uses, as far as its schema, which may be an earlier
    one, has room for it. Blocks. Raises sqlite3.Error.
    """
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        columns = {str(row[1]) for row in connection.execute("PRAGMA table_info(audit)")}
        told = {name: value for name, value in asdict(act).items() if name in columns}
        if told:
            named, marks = ", ".join(told), ", ".join(f":{name}" for name in told)
            connection.execute(f"INSERT INTO audit ({named}) VALUES ({marks})", told)  # noqa: S608


def connected_apps(path: Path) -> list[str]:
    """The names of apps that people have connected, for what must be connected again. Blocks; never raises."""
    if not path.is_file():
        return []
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as opened:
            return [str(row[0]) for row in opened.execute(_CONNECTED)]
    except sqlite3.Error:
        return []
