"""Failure counts that survive a restart. Keys are hashes, so nothing a user typed is stored."""

from parachute_hub.store.database import Database
from parachute_hub.store.rows import FailureCount

MOST_ROWS = 20_000


class Throttles:
    """The table `throttles`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str) -> FailureCount | None:
        row = self._database.first("SELECT failures, last_at FROM throttles WHERE key = ?", (key,))
        return None if row is None else FailureCount(row["failures"], row["last_at"])

    def put(self, key: str, failures: FailureCount) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO throttles (key, failures, last_at) VALUES (?, ?, ?)"
                " ON CONFLICT (key) DO UPDATE SET failures = excluded.failures, last_at = excluded.last_at",
                (key, failures.count, failures.last_at),
            )

    def drop(self, key: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM throttles WHERE key = ?", (key,))

    def prune(self, before: float) -> None:
        """Delete entries older than this, and the oldest over the limit."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM throttles WHERE last_at <= ?", (before,))
            connection.execute(
                "DELETE FROM throttles WHERE key IN"
                " (SELECT key FROM throttles ORDER BY last_at DESC LIMIT -1 OFFSET ?)",
                (MOST_ROWS,),
            )
