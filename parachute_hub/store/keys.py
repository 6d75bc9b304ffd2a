"""The private signing keys. They are nowhere else, and the database file is for its owner's eyes only (0600)."""

from parachute_hub.store.database import Database
from parachute_hub.store.rows import StoredKey


class SigningKeys:
    """The table `signing_keys`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[StoredKey]:
        """Every key that is published, the newest first."""
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
        """Keep a new key; on the disk before anybody hears of it."""
        with self._database.transaction(durable=True) as connection:
            connection.execute(
                "INSERT INTO signing_keys (kid, private_pem, created_at, signs_from) VALUES (?, ?, ?, ?)",
                (key.kid, key.private_pem, key.created_at, key.signs_from),
            )

    def drop_unneeded(self, signer: str, now: float) -> int:
        """Forget keys older than `signer` on which no unexpired token depends; how many went."""
        with self._database.transaction(durable=True) as connection:
            return connection.execute(
                "DELETE FROM signing_keys"
                " WHERE signs_from < (SELECT signs_from FROM signing_keys WHERE kid = ?)"
                " AND NOT EXISTS (SELECT 1 FROM tokens WHERE tokens.kid = signing_keys.kid AND tokens.expires_at > ?)",
                (signer, now),
            ).rowcount
