"""Consents, and the authorization codes and refresh tokens issued from them (hashes only)."""

from collections.abc import Iterable
from sqlite3 import Row

from attrs import asdict, evolve

from parachute_hub.store.database import Database
from parachute_hub.store.rows import Branch, Code, Family, Grant, Refresh


class Grants:
    """The tables `grants`, `families`, `codes`, `refresh_tokens` and `branches`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, user_id: str, client_id: str) -> Grant | None:
        """The user's consent for this client."""
        row = self._database.first("SELECT * FROM grants WHERE user_id = ? AND client_id = ?", (user_id, client_id))
        return None if row is None else _grant(row)

    def of_user(self, user_id: str) -> list[Grant]:
        """All consents of a user, most recently used first."""
        rows = self._database.read("SELECT * FROM grants WHERE user_id = ? ORDER BY last_at DESC", (user_id,))
        return [_grant(row) for row in rows]

    def allow(self, grant: Grant, family: Family, code: Code | None) -> None:
        """Record a consent, and its code if there is one; scopes are added to those granted earlier."""
        with self._database.transaction() as connection:
            before = self.get(grant.user_id, grant.client_id)
            if before is not None:
                scopes = tuple(dict.fromkeys((*before.scopes, *grant.scopes)))
                grant = evolve(grant, scopes=scopes, first_at=before.first_at)
            connection.execute(
                "INSERT OR REPLACE INTO grants (user_id, client_id, scopes, redirect_uri, address, first_at, last_at)"
                " VALUES (:user_id, :client_id, :scopes, :redirect_uri, :address, :first_at, :last_at)",
                {**asdict(grant), "scopes": " ".join(grant.scopes)},
            )
            connection.execute(
                "INSERT INTO families (id, user_id, client_id, scopes, resource, auth_time, created_at)"
                " VALUES (:id, :user_id, :client_id, :scopes, :resource, :auth_time, :created_at)",
                {**asdict(family), "scopes": " ".join(family.scopes)},
            )
            if code is not None:
                connection.execute(
                    "INSERT INTO codes (hash, family_id, redirect_uri, challenge, expires_at)"
                    " VALUES (:hash, :family_id, :redirect_uri, :challenge, :expires_at)",
                    asdict(code),
                )

    def bring(self, grants: Iterable[Grant], families: Iterable[Family], refreshes: Iterable[Refresh]) -> None:
        """Store consents and refresh tokens that another hub gave. Each family is one branch."""
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO grants (user_id, client_id, scopes, redirect_uri, address, first_at, last_at)"
                " VALUES (:user_id, :client_id, :scopes, :redirect_uri, :address, :first_at, :last_at)",
                [{**asdict(grant), "scopes": " ".join(grant.scopes)} for grant in grants],
            )
            connection.executemany(
                "INSERT INTO families (id, user_id, client_id, scopes, resource, auth_time, created_at)"
                " VALUES (:id, :user_id, :client_id, :scopes, :resource, :auth_time, :created_at)",
                [{**asdict(family), "scopes": " ".join(family.scopes)} for family in families],
            )
            for refresh in refreshes:
                self._add(refresh, refresh.created_at, "")
                connection.execute(
                    "UPDATE refresh_tokens SET used_at = ? WHERE hash = ?", (refresh.used_at, refresh.hash)
                )

    def forget(self, user_id: str, client_id: str) -> bool:
        """Delete a consent; False if there is none. Its token families are ended separately."""
        with self._database.transaction() as connection:
            return (
                connection.execute(
                    "DELETE FROM grants WHERE user_id = ? AND client_id = ?", (user_id, client_id)
                ).rowcount
                == 1
            )

    def replace_scopes(self, user_id: str, client_id: str, scopes: tuple[str, ...]) -> None:
        """Reduce the granted scopes."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE grants SET scopes = ? WHERE user_id = ? AND client_id = ?",
                (" ".join(scopes), user_id, client_id),
            )

    def family(self, family_id: str) -> Family | None:
        row = self._database.first("SELECT * FROM families WHERE id = ?", (family_id,))
        return None if row is None else _family(row)

    def live_families(self, user_id: str, client_id: str | None = None) -> list[Family]:
        """A user's active token families, for one client or all."""
        rows = self._database.read(
            "SELECT * FROM families WHERE user_id = ?1 AND ended_at IS NULL AND (?2 IS NULL OR client_id = ?2)",
            (user_id, client_id),
        )
        return [_family(row) for row in rows]

    def connected_clients(self) -> list[str]:
        """The ids of the clients that have an active token family."""
        rows = self._database.read("SELECT DISTINCT client_id FROM families WHERE ended_at IS NULL ORDER BY client_id")
        return [str(row["client_id"]) for row in rows]

    def end_family(self, family_id: str, now: float, why: str | None = None) -> None:
        """Invalidate all codes and refresh tokens of the family. `why` is told to its user."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE families SET ended_at = ?, ended_why = ? WHERE id = ? AND ended_at IS NULL",
                (now, why, family_id),
            )

    def end_everything(self, now: float) -> None:
        """End every family and forget every consent."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE families SET ended_at = ? WHERE ended_at IS NULL", (now,))
            connection.execute("DELETE FROM grants")

    def code(self, code_hash: str) -> Code | None:
        """The code with this hash, used or not."""
        row = self._database.first("SELECT * FROM codes WHERE hash = ?", (code_hash,))
        return None if row is None else Code(**dict(row))

    def refresh(self, token_hash: str) -> Refresh | None:
        """The refresh token with this hash, used or not."""
        row = self._database.first("SELECT * FROM refresh_tokens WHERE hash = ?", (token_hash,))
        return None if row is None else Refresh(**dict(row))

    def children_used(self, token_hash: str) -> bool:
        """True if a token that was given for this one has been used."""
        sql = "SELECT 1 FROM refresh_tokens WHERE parent = ? AND used_at IS NOT NULL LIMIT 1"
        return self._database.first(sql, (token_hash,)) is not None

    def newest_generation(self, branch: str) -> int:
        """How far a branch has come."""
        row = self._database.first("SELECT max(generation) AS newest FROM refresh_tokens WHERE branch = ?", (branch,))
        return 0 if row is None or row["newest"] is None else int(row["newest"])

    def branches(self, family_id: str, now: float) -> list[Branch]:
        """The branches of a family that hold a token that can be used, the last used first."""
        rows = self._database.read(
            "SELECT * FROM branches WHERE family_id = ?1 AND EXISTS (SELECT 1 FROM refresh_tokens AS tokens"
            " WHERE tokens.branch = branches.id AND tokens.used_at IS NULL AND tokens.expires_at > ?2)"
            " ORDER BY last_at DESC",
            (family_id, now),
        )
        return [Branch(**dict(row)) for row in rows]

    def last_trouble(self, user_id: str, client_id: str) -> tuple[float, str] | None:
        """When and why the hub ended a connection by itself, if that was the last thing that happened to it."""
        row = self._database.first(
            "SELECT ended_at, ended_why, max(created_at) FROM families WHERE user_id = ? AND client_id = ?",
            (user_id, client_id),
        )
        return None if row is None or row["ended_why"] is None else (row["ended_at"], row["ended_why"])

    def use_code(self, code_hash: str, first: Refresh, now: float, address: str) -> None:
        """Mark a code as used and store the first refresh token issued for it."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE codes SET used_at = ? WHERE hash = ?", (now, code_hash))
            self.begin(first, now, address)

    def begin(self, first: Refresh, now: float, address: str) -> None:
        """Store the first refresh token of a family."""
        self._add(first, now, address)

    def rotate(self, used: str, successor: Refresh, now: float, address: str) -> None:
        """Store a token that was given for the one with hash `used`, and note the use.

        `used_at` stays the first use: from then on the token counts as superseded.
        """
        with self._database.transaction() as connection:
            connection.execute("UPDATE refresh_tokens SET used_at = coalesce(used_at, ?) WHERE hash = ?", (now, used))
            self._add(successor, now, address)
            connection.execute(
                "UPDATE grants SET last_at = ?1 WHERE (user_id, client_id) ="
                " (SELECT user_id, client_id FROM families WHERE id = ?2)",
                (now, successor.family_id),
            )

    def prune(self, now: float) -> int:
        """Delete expired families. Returns the number deleted.

        Used codes and tokens are kept until they expire, to detect replays.
        """
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM codes WHERE expires_at < ?", (now - 3600,))
            connection.execute("DELETE FROM refresh_tokens WHERE expires_at < ?", (now,))
            return connection.execute(
                "DELETE FROM families WHERE created_at < ?"
                " AND NOT EXISTS (SELECT 1 FROM codes WHERE codes.family_id = families.id)"
                " AND NOT EXISTS (SELECT 1 FROM refresh_tokens WHERE refresh_tokens.family_id = families.id)",
                (now - 3600,),
            ).rowcount

    def _add(self, refresh: Refresh, now: float, address: str) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "INSERT INTO refresh_tokens (hash, family_id, branch, generation, parent, created_at, expires_at)"
                " VALUES (:hash, :family_id, :branch, :generation, :parent, :created_at, :expires_at)",
                asdict(refresh),
            )
            connection.execute(
                "INSERT INTO branches (id, family_id, began_at, last_at, address) VALUES (?1, ?2, ?3, ?3, ?4)"
                " ON CONFLICT (id) DO UPDATE SET last_at = ?3, address = ?4",
                (refresh.branch, refresh.family_id, now, address),
            )


def _grant(row: Row) -> Grant:
    return Grant(**{**dict(row), "scopes": tuple(row["scopes"].split())})


def _family(row: Row) -> Family:
    return Family(**{**dict(row), "scopes": tuple(row["scopes"].split())})
