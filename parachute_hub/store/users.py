"""Users and their vault roles."""

import json
from collections.abc import Iterable, Mapping
from sqlite3 import IntegrityError, Row

from parachute_hub.store.database import Database
from parachute_hub.store.rows import Role, User, VaultRole


class UsernameTaken(Exception):
    """The name is taken, ignoring case."""


class LastAdmin(Exception):
    """The only admin cannot be deleted or demoted."""


class Users:
    """The tables `users` and `user_vaults`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self) -> int:
        """How many people there are; 0 means the hub is not set up."""
        row = self._database.first("SELECT COUNT(*) FROM users")
        return int(row[0]) if row else 0

    def by_id(self, user_id: str) -> User | None:
        """The person with this id."""
        return self._one("SELECT * FROM users WHERE id = ?", user_id)

    def by_name(self, username: str) -> User | None:
        """The person with this name; case does not matter.

        New names are ASCII, which SQLite compares without case. One from an older hub may have other letters.
        """
        found = self._one("SELECT * FROM users WHERE username = ?", username)
        if found is not None:
            return found
        others = map(self._user, self._database.read("SELECT * FROM users WHERE username GLOB '*[^ -~]*'"))
        return next((user for user in others if user.username.casefold() == username.casefold()), None)

    def all(self) -> list[User]:
        """All users, oldest account first."""
        return [self._user(row) for row in self._database.read("SELECT * FROM users ORDER BY created_at, id")]

    def add(self, user: User) -> None:
        """Add a user with vault roles. Raises UsernameTaken."""
        with self._database.transaction() as connection:
            try:
                connection.execute(
                    "INSERT INTO users (id, username, password_hash, role, must_change_password, email, created_at,"
                    " password_changed_at, display_name) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (
                        user.id,
                        user.username,
                        user.password_hash,
                        user.role,
                        int(user.must_change_password),
                        user.email,
                        user.created_at,
                        user.password_changed_at,
                        user.display_name,
                    ),
                )
            except IntegrityError:
                raise UsernameTaken(user.username) from None
            self._put_vaults(user.id, user.vaults, user.own)

    def add_first(self, user: User) -> bool:
        """Add the first user; False if one already exists. Of two concurrent calls only one succeeds."""
        with self._database.transaction():
            if self.count():
                return False
            self.add(user)
            return True

    def set_password(self, user_id: str, password_hash: str, *, must_change: bool, now: float) -> None:
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE users SET password_hash = ?, must_change_password = ?, password_changed_at = ? WHERE id = ?",
                (password_hash, int(must_change), now, user_id),
            )

    def rehash(self, user_id: str, old: str, new: str) -> None:
        """Upgrade the hash to newer parameters, unless the password was changed in between."""
        with self._database.transaction() as connection:
            connection.execute(
                "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?", (new, user_id, old)
            )

    def set_display_name(self, user_id: str, name: str) -> None:
        with self._database.transaction() as connection:
            connection.execute("UPDATE users SET display_name = ? WHERE id = ?", (name, user_id))

    def set_role(self, user_id: str, role: Role) -> None:
        """Change a user's role. Raises LastAdmin."""
        with self._database.transaction() as connection:
            if role != "admin":
                self.need_another_admin(user_id)
            connection.execute("UPDATE users SET role = ? WHERE id = ?", (role, user_id))

    def set_vaults(self, user_id: str, vaults: Mapping[str, VaultRole], own: Iterable[str] | None = None) -> None:
        """Replace a user's vault roles. `own` are theirs from now on, and nobody else's; None keeps what is.

        Only a vault that they may write to is theirs.
        """
        with self._database.transaction() as connection:
            connection.execute(
                "DELETE FROM user_vaults WHERE user_id = ? AND vault NOT IN (SELECT value FROM json_each(?))",
                (user_id, json.dumps([*vaults])),
            )
            theirs = self._own(user_id) if own is None else [*own]
            connection.execute(
                "UPDATE user_vaults SET own = 0 WHERE vault IN (SELECT value FROM json_each(?)) AND user_id != ?",
                (json.dumps(theirs), user_id),
            )
            self._put_vaults(user_id, vaults, theirs)

    def set_quota(self, user_id: str, size: int) -> None:
        """How many bytes the user's own vaults may take together; 0 for no limit."""
        with self._database.transaction() as connection:
            connection.execute("UPDATE users SET quota = ? WHERE id = ?", (size, user_id))

    def delete(self, user_id: str) -> None:
        """Delete a user and all dependent rows. Raises LastAdmin."""
        with self._database.transaction() as connection:
            self.need_another_admin(user_id)
            connection.execute("DELETE FROM users WHERE id = ?", (user_id,))

    def need_another_admin(self, leaving: str) -> None:
        """Raise LastAdmin if no other admin would remain."""
        others = self._database.first("SELECT 1 FROM users WHERE role = 'admin' AND id != ?", (leaving,))
        if others is None:
            raise LastAdmin(leaving)

    def _put_vaults(self, user_id: str, vaults: Mapping[str, VaultRole], own: Iterable[str]) -> None:
        theirs = set(own)
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO user_vaults (user_id, vault, role, own) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (user_id, vault) DO UPDATE SET role = excluded.role, own = excluded.own",
                [(user_id, vault, role, int(vault in theirs and role == "write")) for vault, role in vaults.items()],
            )

    def _own(self, user_id: str) -> list[str]:
        rows = self._database.read("SELECT vault FROM user_vaults WHERE user_id = ? AND own = 1", (user_id,))
        return [row["vault"] for row in rows]

    def _one(self, sql: str, key: str) -> User | None:
        row = self._database.first(sql, (key,))
        return None if row is None else self._user(row)

    def _user(self, row: Row) -> User:
        vaults = self._database.read(
            "SELECT vault, role, own, EXISTS (SELECT 1 FROM user_vaults AS others WHERE others.vault = mine.vault"
            " AND others.own = 1 AND others.user_id != mine.user_id) AS borrowed"
            " FROM user_vaults AS mine WHERE user_id = ? ORDER BY vault",
            (row["id"],),
        )
        return User(
            id=row["id"],
            username=row["username"],
            password_hash=row["password_hash"],
            role=row["role"],
            must_change_password=bool(row["must_change_password"]),
            email=row["email"],
            created_at=row["created_at"],
            password_changed_at=row["password_changed_at"],
            vaults={found["vault"]: found["role"] for found in vaults},
            display_name=row["display_name"],
            own=tuple(found["vault"] for found in vaults if found["own"]),
            borrowed=tuple(found["vault"] for found in vaults if found["borrowed"]),
            quota=row["quota"],
        )
