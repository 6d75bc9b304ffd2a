"""Browser sessions, sign-ins waiting for a second factor, and known browsers. Ids are hashes."""

from sqlite3 import Row

from attrs import asdict

from parachute_hub.store.database import Database
from parachute_hub.store.rows import PendingLogin, Session

DEVICES_PER_USER = 20


class Sessions:
    """The tables `sessions`, `pending_logins` and `devices`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, session: Session) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO sessions (id, user_id, created_at, authenticated_at, last_seen_at, expires_at, methods,"
                " address, user_agent) VALUES (:id, :user_id, :created_at, :authenticated_at, :last_seen_at,"
                " :expires_at, :methods, :address, :user_agent)",
                asdict(session),
            )

    def get(self, session_id: str) -> Session | None:
        """The session with this id, expired or not."""
        row = self._database.first("SELECT * FROM sessions WHERE id = ?", (session_id,))
        return None if row is None else _session(row)

    def of_user(self, user_id: str) -> list[Session]:
        """A user's sessions, most recently used first."""
        rows = self._database.read("SELECT * FROM sessions WHERE user_id = ? ORDER BY last_seen_at DESC", (user_id,))
        return [_session(row) for row in rows]

    def touch(self, session_id: str, now: float, address: str) -> None:
        """Update the last use, and the place if it is known. Not called on every request."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE sessions SET last_seen_at = ?, address = coalesce(nullif(?, ''), address) WHERE id = ?",
                (now, address, session_id),
            )

    def end(self, session_id: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM sessions WHERE id = ?", (session_id,))

    def end_all(self, user_id: str, *, except_id: str | None = None) -> int:
        """End a user's sessions and pending sign-ins. Returns the number of sessions ended."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM pending_logins WHERE user_id = ?", (user_id,))
            ended = connection.execute(
                "DELETE FROM sessions WHERE user_id = ? AND id IS NOT ?", (user_id, except_id)
            ).rowcount
        return int(ended)

    def end_everything(self) -> None:
        """Sign everybody out, and know no device any more."""
        with self._database.transaction() as connection:
            for table in ("sessions", "pending_logins", "devices"):
                connection.execute(f"DELETE FROM {table}")  # noqa: S608

    def add_pending(self, pending: PendingLogin) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO pending_logins (id, user_id, next, expires_at) VALUES (:id, :user_id, :next, :expires_at)",
                asdict(pending),
            )

    def pending(self, pending_id: str, now: float) -> PendingLogin | None:
        """The pending sign-in with this id, unless it has expired."""
        row = self._database.first("SELECT * FROM pending_logins WHERE id = ? AND expires_at > ?", (pending_id, now))
        if row is None:
            return None
        return PendingLogin(id=row["id"], user_id=row["user_id"], next=row["next"], expires_at=row["expires_at"])

    def end_pending(self, pending_id: str) -> bool:
        """Consume a pending sign-in; False if another request already did."""
        with self._database.transaction() as connection:
            return connection.execute("DELETE FROM pending_logins WHERE id = ?", (pending_id,)).rowcount == 1

    def know_device(self, device_id: str, user_id: str, now: float) -> None:
        """Remember a browser that a user signed in with; the oldest over the limit is dropped."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO devices (id, user_id, last_seen_at) VALUES (?, ?, ?)"
                " ON CONFLICT (id, user_id) DO UPDATE SET last_seen_at = excluded.last_seen_at",
                (device_id, user_id, now),
            )
            connection.execute(
                "DELETE FROM devices WHERE user_id = ?1 AND id NOT IN"
                " (SELECT id FROM devices WHERE user_id = ?1 ORDER BY last_seen_at DESC LIMIT ?2)",
                (user_id, DEVICES_PER_USER),
            )

    def knows_device(self, device_id: str, user_id: str) -> bool:
        """True if the user signed in with this browser before."""
        return (
            self._database.first("SELECT 1 FROM devices WHERE id = ? AND user_id = ?", (device_id, user_id)) is not None
        )

    def forget_devices(self, user_id: str, *, except_id: str | None = None) -> None:
        """Forget all known browsers of the user except one."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM devices WHERE user_id = ? AND id IS NOT ?", (user_id, except_id))

    def prune(self, *, now: float, idle_since: float, devices_since: float) -> int:
        """Delete expired rows. Returns the number of sessions deleted."""
        with self._database.transaction() as connection:
            ended = connection.execute(
                "DELETE FROM sessions WHERE expires_at <= ? OR last_seen_at <= ?", (now, idle_since)
            ).rowcount
            connection.execute("DELETE FROM pending_logins WHERE expires_at <= ?", (now,))
            connection.execute("DELETE FROM devices WHERE last_seen_at <= ?", (devices_since,))
        return int(ended)


def _session(row: Row) -> Session:
    return Session(**dict(row))
