"""Records of unexpired tokens and their revocation state. The tokens themselves are not stored."""

import json
from collections.abc import Sequence
from sqlite3 import Row
from typing import Any

from parachute_hub.store.database import Database
from parachute_hub.store.rows import TokenRecord

PAGE = 50


class Tokens:
    """The table `tokens`. `revocations` increases with each revocation, so that caches can tell when to refresh."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.revocations = 0

    def add(self, record: TokenRecord) -> None:
        """Record a token before it is issued."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO tokens (jti, kid, subject, user_id, client_id, family_id, scopes, permissions,"
                " created_via, created_at, expires_at, revoked_at, name)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    record.jti,
                    record.kid,
                    record.subject,
                    record.user_id,
                    record.client_id,
                    record.family_id,
                    " ".join(record.scopes),
                    None if record.permissions is None else json.dumps(record.permissions),
                    record.created_via,
                    record.created_at,
                    record.expires_at,
                    record.revoked_at,
                    record.name,
                ),
            )

    def get(self, jti: str) -> TokenRecord | None:
        row = self._database.first("SELECT * FROM tokens WHERE jti = ?", (jti,))
        return None if row is None else _record(row)

    def is_live(self, jti: str) -> bool:
        """True if the token was issued by this hub and not revoked. Expiry is not checked."""
        return self._database.first("SELECT 1 FROM tokens WHERE jti = ? AND revoked_at IS NULL", (jti,)) is not None

    def used(self, jti: str, now: float) -> None:
        """Record that a token was used."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE tokens SET last_used_at = ? WHERE jti = ?", (now, jti))

    def revoked(self, now: float) -> list[str]:
        """Ids of revoked tokens that have not expired."""
        rows = self._database.read(
            "SELECT jti FROM tokens WHERE revoked_at IS NOT NULL AND expires_at > ? ORDER BY jti", (now,)
        )
        return [row["jti"] for row in rows]

    def revoke(self, jti: str, now: float) -> float | None:
        """Revoke a token. Returns the time of its (first) revocation, None for an unknown id."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE tokens SET revoked_at = ? WHERE jti = ? AND revoked_at IS NULL", (now, jti))
            self.changed()
        row = self._database.first("SELECT revoked_at FROM tokens WHERE jti = ?", (jti,))
        return None if row is None else float(row["revoked_at"])

    def revoke_family(self, family_id: str, now: float) -> None:
        """Revoke all access tokens of one consent."""
        self._revoke_where("family_id = ?", (family_id,), now)

    def revoke_user(self, user_id: str, now: float) -> None:
        """Revoke all tokens that carry this user's authority."""
        self._revoke_where("user_id = ?", (user_id,), now)

    def revoke_all(self, now: float) -> None:
        self._revoke_where("1", (), now)

    def of_user(self, user_id: str, now: float) -> list[TokenRecord]:
        """A user's active tokens."""
        rows = self._database.read(
            "SELECT * FROM tokens WHERE user_id = ? AND revoked_at IS NULL AND expires_at > ?", (user_id, now)
        )
        return [_record(row) for row in rows]

    def page(
        self,
        now: float,
        *,
        revoked: bool | None = None,
        user_id: str | None = None,
        subject: str | None = None,
        created_via: str | None = None,
        before: tuple[float, str] | None = None,
    ) -> list[TokenRecord]:
        """Up to 50 unexpired tokens, newest first. `before` is the (created_at, jti) of the previous page's last token.

        `revoked` None returns both kinds.
        """
        clauses = ["expires_at > ?"]
        args: list[Any] = [now]
        if revoked is not None:
            clauses.append("revoked_at IS NOT NULL" if revoked else "revoked_at IS NULL")
        for column, value in (("user_id", user_id), ("subject", subject), ("created_via", created_via)):
            if value is not None:
                clauses.append(f"{column} = ?")
                args.append(value)
        if before is not None:
            clauses.append("(created_at, jti) < (?, ?)")
            args.extend(before)
        where = " AND ".join(clauses)
        rows = self._database.read(
            f"SELECT * FROM tokens WHERE {where} ORDER BY created_at DESC, jti DESC LIMIT {PAGE}",  # noqa: S608
            args,
        )
        return [_record(row) for row in rows]

    def expiring(self, now: float, until: float, lifetime: float) -> list[TokenRecord]:
        """Active tokens that a user or script made for at least `lifetime` seconds and that expire before `until`."""
        rows = self._database.read(
            "SELECT * FROM tokens WHERE created_via = 'cli_mint' AND revoked_at IS NULL AND expires_at > ?"
            " AND expires_at < ? AND expires_at - created_at >= ? ORDER BY expires_at LIMIT 50",
            (now, until, lifetime),
        )
        return [_record(row) for row in rows]

    def changed(self) -> None:
        """Invalidate caches once this transaction is committed."""
        self._database.after_commit(self._count)

    def _count(self) -> None:
        self.revocations += 1

    def prune(self, now: float) -> int:
        """Delete expired tokens. Returns the number deleted."""
        with self._database.transaction() as connection:
            return connection.execute("DELETE FROM tokens WHERE expires_at <= ?", (now,)).rowcount

    def _revoke_where(self, clause: str, args: Sequence[str], now: float) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                f"UPDATE tokens SET revoked_at = ? WHERE revoked_at IS NULL AND {clause}",  # noqa: S608
                (now, *args),
            )
            self.changed()


def _record(row: Row) -> TokenRecord:
    permissions = row["permissions"]
    return TokenRecord(
        jti=row["jti"],
        kid=row["kid"],
        subject=row["subject"],
        user_id=row["user_id"],
        client_id=row["client_id"],
        family_id=row["family_id"],
        scopes=tuple(row["scopes"].split()),
        permissions=None if permissions is None else json.loads(permissions),
        created_via=row["created_via"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        revoked_at=row["revoked_at"],
        name=row["name"],
        last_used_at=row["last_used_at"],
    )
