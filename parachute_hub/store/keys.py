"""Private signing keys. They are stored only here, and the database file is private to its owner (0600)."""

from parachute_hub.store.database import Database
from parachute_hub.store.rows import StoredKey


class SigningKeys:
    """The table `signing_keys`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[StoredKey]:
        """All published keys, newest first."""
        rows = self._database.read("SELECT * FROM signing_keys ORDER BY signs_from DESC, kid")
        return [
            StoredKey(
                kid=row["kid"],
                private_pem=row["private_pem"],
                created_at=row["created_at"],
                signs_from=row["signs_from"],
            )
            for row in rows
        ]

    def add(self, key: StoredKey) -> None:
        """Store a new key durably before it is published."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO signing_keys (kid, private_pem, created_at, signs_from) VALUES (?, ?, ?, ?)",
                (key.kid, key.private_pem, key.created_at, key.signs_from),
            )

    def replace_all(self, key: StoredKey) -> None:
        """Store a key in place of all others."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM signing_keys")
            self.add(key)

    def drop_unneeded(self, signer: str, now: float) -> int:
        """Delete keys older than `signer` that no unexpired token depends on. Returns the number deleted."""
        with self._database.transaction() as connection:
            return connection.execute(
                "DELETE FROM signing_keys"
                " WHERE signs_from < (SELECT signs_from FROM signing_keys WHERE kid = ?)"
                " AND NOT EXISTS (SELECT 1 FROM tokens WHERE tokens.kid = signing_keys.kid AND tokens.expires_at > ?)",
                (signer, now),
            ).rowcount
