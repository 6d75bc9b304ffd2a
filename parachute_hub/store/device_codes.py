"""Devices that wait to be signed in (RFC 8628)."""

from attrs import asdict

from parachute_hub.store.database import Database
from parachute_hub.store.rows import DeviceCode


class DeviceCodes:
    """The table `device_codes`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, code_hash: str) -> DeviceCode | None:
        """The code with this hash, in any state."""
        row = self._database.first("SELECT * FROM device_codes WHERE hash = ?", (code_hash,))
        return None if row is None else DeviceCode(**dict(row))

    def waiting(self, now: float) -> list[DeviceCode]:
        """The codes that a person may still type."""
        rows = self._database.read(
            "SELECT * FROM device_codes WHERE state = 'waiting' AND expires_at > ? ORDER BY created_at", (now,)
        )
        return [DeviceCode(**dict(row)) for row in rows]

    def put(self, code: DeviceCode) -> None:
        """Insert a code, or replace it by what it has become."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO device_codes (hash, user_code, client_id, scope, resource, address, created_at,"
                " expires_at, interval, polled_at, tries, state, family_id) VALUES (:hash, :user_code, :client_id,"
                " :scope, :resource, :address, :created_at, :expires_at, :interval, :polled_at, :tries, :state,"
                " :family_id)",
                asdict(code),
            )

    def prune(self, now: float) -> int:
        """Delete codes that ended an hour ago: until then a second use is noticed. Returns the number deleted."""
        with self._database.transaction() as connection:
            return connection.execute("DELETE FROM device_codes WHERE expires_at < ?", (now - 3600,)).rowcount
