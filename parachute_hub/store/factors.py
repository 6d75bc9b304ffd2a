"""Second factors: authenticator apps and recovery codes."""

from collections.abc import Iterable

from parachute_hub.store.database import Database
from parachute_hub.store.rows import Totp


class Factors:
    """The tables `second_factors` and `recovery_codes`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def totp(self, user_id: str) -> Totp | None:
        """The working authenticator app of a person; None when second factors are off."""
        return self._find(user_id, confirmed=True)

    def unconfirmed(self, user_id: str) -> Totp | None:
        """An authenticator app that still has to be shown to work."""
        return self._find(user_id, confirmed=False)

    def begin(self, totp: Totp) -> None:
        """Remember an unconfirmed app in place of an earlier one."""
        with self._database.transaction(durable=True) as connection:
            connection.execute(
                "DELETE FROM second_factors WHERE user_id = ? AND kind = 'totp' AND confirmed_at IS NULL",
                (totp.user_id,),
            )
            connection.execute(
                "INSERT INTO second_factors (id, user_id, kind, secret, created_at) VALUES (?, ?, 'totp', ?, ?)",
                (totp.id, totp.user_id, totp.secret, totp.created_at),
            )

    def confirm(self, totp: Totp, *, step: int, now: float, codes: Iterable[str]) -> None:
        """Switch the second factor on, together with its recovery codes (hashes): never one without the other."""
        with self._database.transaction(durable=True) as connection:
            connection.execute(
                "UPDATE second_factors SET confirmed_at = ?, last_step = ? WHERE id = ?", (now, step, totp.id)
            )
            self.replace_codes(totp.user_id, codes)

    def use_step(self, totp_id: str, step: int) -> bool:
        """Use up a time step; False when it, or a later one, was used before."""
        with self._database.transaction(durable=True) as connection:
            changed = connection.execute(
                "UPDATE second_factors SET last_step = ?1 WHERE id = ?2 AND last_step < ?1", (step, totp_id)
            )
            return changed.rowcount == 1

    def replace_codes(self, user_id: str, codes: Iterable[str]) -> None:
        """New recovery codes (hashes); the old ones are worth nothing."""
        with self._database.transaction(durable=True) as connection:
            connection.execute("DELETE FROM recovery_codes WHERE user_id = ?", (user_id,))
            connection.executemany(
                "INSERT INTO recovery_codes (user_id, hash) VALUES (?, ?)", [(user_id, code) for code in codes]
            )

    def use_code(self, user_id: str, code: str) -> bool:
        """Use up a recovery code (its hash); False when there is no such code."""
        with self._database.transaction(durable=True) as connection:
            changed = connection.execute("DELETE FROM recovery_codes WHERE user_id = ? AND hash = ?", (user_id, code))
            return changed.rowcount == 1

    def codes_left(self, user_id: str) -> int:
        """How many recovery codes are unused."""
        row = self._database.first("SELECT COUNT(*) FROM recovery_codes WHERE user_id = ?", (user_id,))
        return int(row[0]) if row else 0

    def off(self, user_id: str) -> None:
        """Remove every second factor and recovery code of a person."""
        with self._database.transaction(durable=True) as connection:
            connection.execute("DELETE FROM second_factors WHERE user_id = ?", (user_id,))
            connection.execute("DELETE FROM recovery_codes WHERE user_id = ?", (user_id,))

    def _find(self, user_id: str, *, confirmed: bool) -> Totp | None:
        row = self._database.first(
            "SELECT id, user_id, secret, created_at, confirmed_at, last_step FROM second_factors"
            " WHERE user_id = ? AND kind = 'totp' AND (confirmed_at IS NOT NULL) = ?",
            (user_id, confirmed),
        )
        return None if row is None else Totp(**dict(row))
