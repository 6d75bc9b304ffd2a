"""Second factors: authenticator apps, passkeys in their place, and recovery codes."""

from collections.abc import Iterable

from parachute_hub.store.database import Database
from parachute_hub.store.rows import Totp


class Factors:
    """The tables `second_factors` and `recovery_codes`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def totp(self, user_id: str) -> Totp | None:
        """The user's confirmed authenticator app, if any."""
        return self._find(user_id, confirmed=True)

    def unconfirmed(self, user_id: str) -> Totp | None:
        """An authenticator app that is not confirmed yet."""
        return self._find(user_id, confirmed=False)

    def passkeys_since(self, user_id: str) -> float | None:
        """Since when passkeys are the user's second factor; None if they are not."""
        row = self._database.first(
            "SELECT confirmed_at FROM second_factors WHERE user_id = ? AND kind = 'passkey'", (user_id,)
        )
        return None if row is None else float(row["confirmed_at"])

    def by_passkeys(self, user_id: str, row_id: str, *, now: float, codes: Iterable[str]) -> None:
        """Make the user's passkeys the second factor, with these (hashed) recovery codes, in one transaction."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO second_factors (id, user_id, kind, secret, created_at, confirmed_at)"
                " VALUES (?, ?, 'passkey', x'', ?, ?)",
                (row_id, user_id, now, now),
            )
            self.replace_codes(user_id, codes)

    def begin(self, totp: Totp) -> None:
        """Store an unconfirmed app, replacing an earlier one."""
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM second_factors WHERE user_id = ? AND kind = 'totp' AND confirmed_at IS NULL",
                (totp.user_id,),
            )
            connection.execute(
                "INSERT INTO second_factors (id, user_id, kind, secret, created_at) VALUES (?, ?, 'totp', ?, ?)",
                (totp.id, totp.user_id, totp.secret, totp.created_at),
            )

    def confirm(self, totp: Totp, *, step: int, now: float, codes: Iterable[str]) -> None:
        """Enable the second factor together with its (hashed) recovery codes, in one transaction."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE second_factors SET confirmed_at = ?, last_step = ? WHERE id = ?", (now, step, totp.id)
            )
            self.replace_codes(totp.user_id, codes)

    def use_step(self, totp_id: str, step: int) -> bool:
        """Consume a time step; False if this or a later step was already used."""
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE second_factors SET last_step = ?1 WHERE id = ?2 AND last_step < ?1", (step, totp_id)
            )
            return changed.rowcount == 1

    def replace_codes(self, user_id: str, codes: Iterable[str]) -> None:
        """Replace all recovery codes (hashes)."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM recovery_codes WHERE user_id = ?", (user_id,))
            connection.executemany(
                "INSERT INTO recovery_codes (user_id, hash) VALUES (?, ?)", [(user_id, code) for code in codes]
            )

    def use_code(self, user_id: str, code: str) -> bool:
        """Consume a recovery code (hash); False if there is no such code."""
        with self._database.transaction() as connection:
            changed = connection.execute("DELETE FROM recovery_codes WHERE user_id = ? AND hash = ?", (user_id, code))
            return changed.rowcount == 1

    def older_codes(self, user_id: str) -> list[str]:
        """The unused recovery codes (argon2id hashes) that came from an older hub."""
        rows = self._database.read(
            "SELECT hash FROM recovery_codes WHERE user_id = ? AND hash LIKE '$argon2%' ORDER BY hash", (user_id,)
        )
        return [row["hash"] for row in rows]

    def codes_left(self, user_id: str) -> int:
        """Number of unused recovery codes."""
        row = self._database.first("SELECT COUNT(*) FROM recovery_codes WHERE user_id = ?", (user_id,))
        return int(row[0]) if row else 0

    def off(self, user_id: str) -> None:
        """Remove the user's second factors and recovery codes."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM second_factors WHERE user_id = ?", (user_id,))
            connection.execute("DELETE FROM recovery_codes WHERE user_id = ?", (user_id,))

    def _find(self, user_id: str, *, confirmed: bool) -> Totp | None:
        row = self._database.first(
            "SELECT id, user_id, secret, created_at, confirmed_at, last_step FROM second_factors"
            " WHERE user_id = ? AND kind = 'totp' AND (confirmed_at IS NOT NULL) = ?",
            (user_id, confirmed),
        )
        return None if row is None else Totp(**dict(row))
