"""Settings changed at runtime, as named strings."""

from parachute_hub.store.database import Database


class StoredSettings:
    """The table `settings`; a missing key reads as None."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> str | None:
        row = self._database.first("SELECT value FROM settings WHERE key = ?", (key,))
        return None if row is None else str(row["value"])

    def put(self, key: str, value: str, now: float) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO settings (key, value, updated_at) VALUES (?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
                (key, value, now),
            )

    def drop(self, key: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM settings WHERE key = ?", (key,))
