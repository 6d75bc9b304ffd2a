"""People's passkeys."""

from sqlite3 import IntegrityError, Row

from attrs import asdict

from parachute_hub.store.database import Database
from parachute_hub.store.rows import Passkey


class PasskeyTaken(Exception):
    """There is such a credential already."""


class Passkeys:
    """The table `passkeys`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, passkey: Passkey) -> None:
        """Raises PasskeyTaken."""
        with self._database.transaction() as connection:
            try:
                connection.execute(
                    "INSERT INTO passkeys (id, user_id, name, rp_id, public_key, sign_count, synced, created_at,"
                    " last_used_at, blocked_at) VALUES (:id, :user_id, :name, :rp_id, :public_key, :sign_count,"
                    " :synced, :created_at, :last_used_at, :blocked_at)",
                    asdict(passkey) | {"synced": int(passkey.synced)},
                )
            except IntegrityError:
                raise PasskeyTaken(passkey.id) from None

    def get(self, passkey_id: str) -> Passkey | None:
        row = self._database.first("SELECT * FROM passkeys WHERE id = ?", (passkey_id,))
        return None if row is None else _passkey(row)

    def of_user(self, user_id: str) -> list[Passkey]:
        """A user's passkeys, oldest first."""
        rows = self._database.read("SELECT * FROM passkeys WHERE user_id = ? ORDER BY created_at, id", (user_id,))
        return [_passkey(row) for row in rows]

    def all(self) -> list[Passkey]:
        """Everybody's passkeys."""
        return [_passkey(row) for row in self._database.read("SELECT * FROM passkeys ORDER BY created_at, id")]

    def used(self, passkey_id: str, *, sign_count: int, now: float) -> None:
        """Note a sign-in and the counter that came with it."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE passkeys SET sign_count = ?, last_used_at = ? WHERE id = ?", (sign_count, now, passkey_id)
            )

    def block(self, passkey_id: str, now: float) -> None:
        """Refuse it from now on."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE passkeys SET blocked_at = ? WHERE id = ?", (now, passkey_id))

    def rename(self, passkey_id: str, name: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("UPDATE passkeys SET name = ? WHERE id = ?", (name, passkey_id))

    def remove(self, passkey_id: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM passkeys WHERE id = ?", (passkey_id,))

    def remove_all(self, user_id: str) -> None:
        """Remove all of a user's passkeys."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM passkeys WHERE user_id = ?", (user_id,))


def _passkey(row: Row) -> Passkey:
    return Passkey(**dict(row) | {"synced": bool(row["synced"])})
