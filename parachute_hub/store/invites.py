"""Links by which an owner lets people in. The id is the hash of the token in the link."""

import json
from collections.abc import Mapping
from sqlite3 import Row
from typing import Literal

from attrs import frozen

from parachute_hub.store.database import Database
from parachute_hub.store.users import VaultRole

Status = Literal["pending", "redeemed", "expired", "revoked"]


@frozen(kw_only=True)
class Invite:
    """One link. `username` is fixed by the owner or None for a free choice; `vaults` is what the person will get."""

    id: str
    created_by: str
    username: str | None
    vaults: Mapping[str, VaultRole]
    max_uses: int
    used_count: int
    created_at: float
    expires_at: float
    revoked_at: float | None

    def status(self, now: float) -> Status:
        """Whether the link still lets somebody in (`pending`), or why not."""
        if self.revoked_at is not None:
            return "revoked"
        if self.used_count >= self.max_uses:
            return "redeemed"
        return "expired" if now >= self.expires_at else "pending"


class Invites:
    """The table `invites`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, invite: Invite) -> None:
        """Remember a new link."""
        with self._database.transaction(durable=True) as connection:
            connection.execute(
                "INSERT INTO invites (id, created_by, username, vaults, max_uses, created_at, expires_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    invite.id,
                    invite.created_by,
                    invite.username,
                    json.dumps(dict(invite.vaults)),
                    invite.max_uses,
                    invite.created_at,
                    invite.expires_at,
                ),
            )

    def get(self, invite_id: str) -> Invite | None:
        """The link with this hashed id."""
        row = self._database.first("SELECT * FROM invites WHERE id = ?", (invite_id,))
        return None if row is None else _invite(row)

    def all(self) -> list[Invite]:
        """Every link, the newest first."""
        return [_invite(row) for row in self._database.read("SELECT * FROM invites ORDER BY created_at DESC, id")]

    def use(self, invite_id: str, now: float) -> bool:
        """Count one use; False when the link lets nobody in any more, or another request was faster."""
        with self._database.transaction(durable=True) as connection:
            changed = connection.execute(
                "UPDATE invites SET used_count = used_count + 1"
                " WHERE id = ? AND revoked_at IS NULL AND used_count < max_uses AND expires_at > ?",
                (invite_id, now),
            )
            return changed.rowcount == 1

    def revoke(self, invite_id: str, now: float) -> bool:
        """Make the link worth nothing; False when there is no such link."""
        with self._database.transaction(durable=True) as connection:
            changed = connection.execute(
                "UPDATE invites SET revoked_at = COALESCE(revoked_at, ?) WHERE id = ?", (now, invite_id)
            )
            return changed.rowcount == 1

    def prune(self, ended_before: float) -> None:
        """Drop links that ended by time long ago."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM invites WHERE expires_at <= ?", (ended_before,))


def _invite(row: Row) -> Invite:
    return Invite(**{**dict(row), "vaults": json.loads(row["vaults"])})
