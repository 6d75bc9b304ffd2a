"""Invitation links. The id is the hash of the token in the link."""

import json
from sqlite3 import Row

from parachute_hub.store.database import Database
from parachute_hub.store.rows import Invite


class Invites:
    """The table `invites`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, invite: Invite) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO invites (id, created_by, username, vaults, max_uses, created_at, expires_at, name, note,"
                " own_vault, sealed_token) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    invite.id,
                    invite.created_by,
                    invite.username,
                    json.dumps(dict(invite.vaults)),
                    invite.max_uses,
                    invite.created_at,
                    invite.expires_at,
                    invite.name,
                    invite.note,
                    int(invite.own_vault),
                    invite.sealed_token,
                ),
            )

    def get(self, invite_id: str) -> Invite | None:
        row = self._database.first("SELECT * FROM invites WHERE id = ?", (invite_id,))
        return None if row is None else _invite(row)

    def all(self) -> list[Invite]:
        """All invitations, newest first."""
        return [_invite(row) for row in self._database.read("SELECT * FROM invites ORDER BY created_at DESC, id")]

    def use(self, invite_id: str, now: float) -> bool:
        """Count one use; False if the link is no longer valid."""
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE invites SET used_count = used_count + 1"
                " WHERE id = ? AND revoked_at IS NULL AND used_count < max_uses AND expires_at > ?",
                (invite_id, now),
            )
            return changed.rowcount == 1

    def revoke(self, invite_id: str, now: float) -> bool:
        """Revoke the link; False if unknown."""
        with self._database.transaction() as connection:
            changed = connection.execute(
                "UPDATE invites SET revoked_at = COALESCE(revoked_at, ?) WHERE id = ?", (now, invite_id)
            )
            return changed.rowcount == 1

    def revoke_all(self, now: float) -> None:
        """Revoke every link."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE invites SET revoked_at = ? WHERE revoked_at IS NULL", (now,))

    def prune(self, ended_before: float) -> None:
        """Delete links that expired before this time."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM invites WHERE expires_at <= ?", (ended_before,))


def _invite(row: Row) -> Invite:
    return Invite(**{**dict(row), "vaults": json.loads(row["vaults"]), "own_vault": bool(row["own_vault"])})
