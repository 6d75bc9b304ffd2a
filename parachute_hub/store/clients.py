"""OAuth clients: self-registered ones, and cached client ID metadata documents."""

import json
from sqlite3 import Row

from parachute_hub.store.database import Database
from parachute_hub.store.rows import Client


class Clients:
    """The table `clients`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, client_id: str) -> Client | None:
        row = self._database.first("SELECT * FROM clients WHERE client_id = ?", (client_id,))
        return None if row is None else _client(row)

    def put(self, client: Client) -> None:
        """Insert a client, or update the cached copy of its document."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO clients (client_id, source, status, same_hub, name, redirect_uris, scope, auth_method,"
                " secret_hash, software, vouched_by, created_at, fresh_until)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (client_id) DO UPDATE SET name = excluded.name, redirect_uris = excluded.redirect_uris,"
                " scope = excluded.scope, software = excluded.software, fresh_until = excluded.fresh_until",
                (
                    client.client_id,
                    client.source,
                    client.status,
                    int(client.same_hub),
                    client.name,
                    json.dumps(client.redirect_uris),
                    client.scope,
                    client.auth_method,
                    client.secret_hash,
                    json.dumps(dict(client.software)),
                    client.vouched_by,
                    client.created_at,
                    client.fresh_until,
                ),
            )

    def like(self, client: Client) -> Client | None:
        """An existing registered public client with the same name, redirect URIs, scope and status."""
        row = self._database.first(
            "SELECT * FROM clients WHERE source = 'registered' AND secret_hash IS NULL AND name = ?"
            " AND redirect_uris = ? AND scope = ? AND status = ? AND same_hub = ? LIMIT 1",
            (client.name, json.dumps(client.redirect_uris), client.scope, client.status, int(client.same_hub)),
        )
        return None if row is None else _client(row)

    def approve(self, client_id: str, vouched_by: str) -> None:
        """Approve the client on behalf of `vouched_by`."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE clients SET status = 'approved', vouched_by = ? WHERE client_id = ?", (vouched_by, client_id)
            )

    def distrust_all(self, but: str) -> None:
        """Clients from elsewhere need approval again, except the one with the id `but`."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE clients SET status = 'pending', vouched_by = NULL WHERE NOT same_hub AND client_id != ?", (but,)
            )

    def delete(self, client_id: str) -> bool:
        """Delete the client with its consents, codes and refresh tokens; False if unknown."""
        with self._database.transaction() as connection:
            return connection.execute("DELETE FROM clients WHERE client_id = ?", (client_id,)).rowcount == 1

    def all(self) -> list[Client]:
        """All clients, newest first."""
        return [
            _client(row) for row in self._database.read("SELECT * FROM clients ORDER BY created_at DESC, client_id")
        ]

    def count_waiting(self) -> int:
        """Number of apps that nobody has approved."""
        row = self._database.first("SELECT COUNT(*) FROM clients WHERE status = 'pending'")
        return int(row[0]) if row else 0

    def count_unvouched(self) -> int:
        """Number of unapproved registered clients without a consent: what anonymous registration can fill."""
        row = self._database.first(
            "SELECT COUNT(*) FROM clients WHERE source = 'registered' AND vouched_by IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM grants WHERE grants.client_id = clients.client_id)"
        )
        return int(row[0]) if row else 0

    def delete_oldest_unused(self) -> None:
        """Delete the oldest unapproved client that has no consent.

        The hub's own pages are only evicted when nothing else is left.
        """
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM clients WHERE client_id = (SELECT client_id FROM clients"
                " WHERE source = 'registered' AND vouched_by IS NULL"
                " AND NOT EXISTS (SELECT 1 FROM grants WHERE grants.client_id = clients.client_id)"
                " ORDER BY same_hub, created_at LIMIT 1)"
            )

    def count_documents(self) -> int:
        """Number of cached metadata documents without a consent."""
        row = self._database.first(
            "SELECT COUNT(*) FROM clients WHERE source = 'document'"
            " AND NOT EXISTS (SELECT 1 FROM grants WHERE grants.client_id = clients.client_id)"
        )
        return int(row[0]) if row else 0

    def prune(self, before: float) -> int:
        """Delete unapproved clients without a consent created before this time. Returns the number deleted."""
        with self._database.transaction() as connection:
            return connection.execute(
                "DELETE FROM clients WHERE vouched_by IS NULL AND created_at < ?"
                " AND NOT EXISTS (SELECT 1 FROM grants WHERE grants.client_id = clients.client_id)",
                (before,),
            ).rowcount


def _client(row: Row) -> Client:
    return Client(
        client_id=row["client_id"],
        source=row["source"],
        status=row["status"],
        same_hub=bool(row["same_hub"]),
        name=row["name"],
        redirect_uris=tuple(json.loads(row["redirect_uris"])),
        scope=row["scope"],
        auth_method=row["auth_method"],
        secret_hash=row["secret_hash"],
        software=json.loads(row["software"]),
        vouched_by=row["vouched_by"],
        created_at=row["created_at"],
        fresh_until=row["fresh_until"],
    )
