"""What the hub itself keeps of vaults: deletions to come, and quotas."""

from collections.abc import Mapping

from attrs import asdict

from parachute_hub.store.database import Database
from parachute_hub.store.rows import VaultDeletion


class VaultDeletionRows:
    """The table `vault_deletions`. Giving a vault to somebody ends its deletion, by a trigger.

    `removing` are the vaults whose removal has begun; it ends with the process, as the removal does.
    """

    def __init__(self, database: Database) -> None:
        self.removing: set[str] = set()
        self._database = database

    def all(self) -> list[VaultDeletion]:
        """All deletions to come, the first due first."""
        rows = self._database.read("SELECT * FROM vault_deletions ORDER BY due_at, vault")
        return [VaultDeletion(**dict(row)) for row in rows]

    def get(self, vault: str) -> VaultDeletion | None:
        row = self._database.first("SELECT * FROM vault_deletions WHERE vault = ?", (vault,))
        return None if row is None else VaultDeletion(**dict(row))

    def add(self, deletion: VaultDeletion) -> None:
        """Add a deletion, unless there is one of this vault already."""
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT OR IGNORE INTO vault_deletions"
                " (vault, whose, asked_by, asked_at, due_at, warned_at, failed_at, failure)"
                " VALUES (:vault, :whose, :asked_by, :asked_at, :due_at, :warned_at, :failed_at, :failure)",
                asdict(deletion),
            )

    def drop(self, vault: str) -> bool:
        """Remove it; False if there is none."""
        with self._database.transaction() as connection:
            return connection.execute("DELETE FROM vault_deletions WHERE vault = ?", (vault,)).rowcount == 1

    def renew(self, vault: str, due_at: float) -> None:
        """Put it off until `due_at`, and warn again."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE vault_deletions SET due_at = ?, warned_at = NULL WHERE vault = ?", (due_at, vault)
            )

    def warned(self, vault: str, now: float) -> None:
        with self._database.transaction() as connection:
            connection.execute("UPDATE vault_deletions SET warned_at = ? WHERE vault = ?", (now, vault))

    def failed(self, vault: str, now: float, why: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE vault_deletions SET failed_at = ?, failure = ? WHERE vault = ?", (now, why, vault)
            )


class VaultQuotas:
    """The table `vault_quotas`, in bytes. A vault without a quota has no row."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Mapping[str, int]:
        """The quota of each vault that has one."""
        return {row["vault"]: row["bytes"] for row in self._database.read("SELECT vault, bytes FROM vault_quotas")}

    def put(self, vault: str, size: int) -> None:
        """Set a quota; 0 removes it."""
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM vault_quotas WHERE vault = ?", (vault,))
            if size:
                connection.execute("INSERT INTO vault_quotas (vault, bytes) VALUES (?, ?)", (vault, size))
