"""What the owner changes while the hub runs: a few named texts."""

from parachute_hub.store.database import Database


class StoredSettings:
    """The table `settings`. Values are texts; a missing key is None."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> str | None:
        """The value under this key."""
        row = self._database.first("SELECT value FROM settings WHERE key = ?", (key,))
        return None if row is None else str(row["value"])

    def put(self, key: str, value: str, now: float) -> None:
        """Set or replace a value."""
        with self._database.transaction(durable=True) as connection:
            connection.execute(
                "INSERT INTO settings (key, value, updated_at) VALUES (?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
                (key, value, now),
            )

    def drop(self, key: str) -> None:
        """Remove a value."""
        with self._database.transaction(durable=True) as connection:
            connection.execute("DELETE FROM settings WHERE key = ?", (key,))
