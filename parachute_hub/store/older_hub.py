"""Reads the older hub's `hub.db` without writing anything next to it, and stores what came from it here."""

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from parachute_hub.store.clients import Clients
from parachute_hub.store.database import Database
from parachute_hub.store.factors import Factors
from parachute_hub.store.grants import Grants
from parachute_hub.store.keys import SigningKeys
from parachute_hub.store.rows import Arrivals, SecondFactorArrival, Totp
from parachute_hub.store.settings import StoredSettings
from parachute_hub.store.tokens import Tokens
from parachute_hub.store.users import Users

SCHEMA = 16
"""The schema of the older hub 0.7.15."""

_MOST_BYTES = 1 << 30
_PENDING = ("-wal", "-journal")
# The columns that are read. Tokens are never pruned there, so only those that count are.
_QUERIES = {
    "users": "SELECT id, username, password_hash, created_at, updated_at, password_changed, totp_secret,"
    " totp_backup_codes, totp_enrolled_at, email FROM users",
    "user_vaults": "SELECT user_id, vault_name, role FROM user_vaults",
    "clients": "SELECT client_id, client_secret_hash, redirect_uris, scopes, client_name, registered_at, status,"
    " same_hub FROM clients",
    "grants": "SELECT user_id, client_id, scopes, granted_at FROM grants",
    "tokens": "SELECT jti, user_id, client_id, scopes, refresh_token_hash, family_id, expires_at, revoked_at,"
    " created_at, permissions, created_via, subject FROM tokens WHERE expires_at > :now",
    "signing_keys": "SELECT kid, private_key_pem, algorithm, created_at, retired_at FROM signing_keys",
    "hub_settings": "SELECT key, value FROM hub_settings",
    "invites": "SELECT used_at, revoked_at FROM invites WHERE expires_at > :now",
    "vault_caps": "SELECT vault_name FROM vault_caps",
}


class OlderHubUnreadable(Exception):
    """`hub.db` cannot be taken over. The text says why and what to do."""


def read(path: Path, now: str) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The rows of each table that matters; `now` is a time in ISO 8601. Raises OlderHubUnreadable. Blocks."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise OlderHubUnreadable(f"{path} is larger than 1 GiB, which is not the database of a hub.")
        with _settled(path) as settled, contextlib.closing(_open(settled)) as opened:
            _check(path, opened)
            return {table: [dict(row) for row in opened.execute(sql, {"now": now})] for table, sql in _QUERIES.items()}
    except OSError as error:
        raise OlderHubUnreadable(f"{path} cannot be read: {error.strerror}. Check who owns it.") from None
    except sqlite3.Error as error:
        raise OlderHubUnreadable(
            f"{path} is damaged ({error}). Put back a copy that the older hub can open, then try again."
        ) from None


@contextlib.contextmanager
def _settled(path: Path) -> Iterator[Path]:
    """The file, or a private copy when it was not closed in good order: SQLite would finish that work in place."""
    pending = [name for name in _PENDING if _size(Path(f"{path}{name}"))]
    if not pending:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="parachute-move-in-") as folder:
        copy = Path(folder) / path.name
        for name in ("", *pending):
            shutil.copyfile(f"{path}{name}", f"{copy}{name}")
        with contextlib.closing(sqlite3.connect(copy)) as opened:
            opened.execute("PRAGMA journal_mode = DELETE")
        yield copy


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _open(path: Path) -> sqlite3.Connection:
    opened = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    opened.row_factory = sqlite3.Row
    return opened


def _check(path: Path, opened: sqlite3.Connection) -> None:
    found = [str(row[0]) for row in opened.execute("PRAGMA quick_check(1)")]
    if found != ["ok"]:
        raise sqlite3.DatabaseError(found[0])
    try:
        version = opened.execute("SELECT max(version) FROM schema_version").fetchone()[0]
    except sqlite3.OperationalError:
        raise OlderHubUnreadable(f"{path} is not the database of a Parachute hub.") from None
    if version != SCHEMA:
        remedy = (
            "Update the older hub to 0.7.15, start it once and stop it, then try again."
            if isinstance(version, int) and version < SCHEMA
            else "Update this hub, then try again."
        )
        raise OlderHubUnreadable(f"{path} has the schema {version}, and this hub knows {SCHEMA}. {remedy}")


class MoveInStore:
    """Stores arrivals in one transaction. `seal` encrypts a seed for a row, `new_id` names rows."""

    def __init__(self, database: Database, *, seal: Callable[[str, str], bytes], new_id: Callable[[], str]) -> None:
        self._seal = seal
        self._new_id = new_id
        self._users, self._factors = Users(database), Factors(database)
        self._clients, self._grants = Clients(database), Grants(database)
        self._tokens, self._keys = Tokens(database), SigningKeys(database)
        self._settings = StoredSettings(database)

    def add(self, arrivals: Arrivals, now: float) -> bool:
        """Store everything; False, and nothing, if there is an owner already. Call within a transaction."""
        if self._users.count():
            return False
        for user in arrivals.users:
            self._users.add(user)
        for factor in arrivals.factors:
            self._enrol(factor)
        for client in arrivals.clients:
            self._clients.put(client)
        self._grants.bring(arrivals.grants, arrivals.families, arrivals.refreshes)
        for key in arrivals.keys:
            self._keys.add(key)
        for record in arrivals.tokens:
            self._tokens.add(record)
        for name, value in arrivals.settings.items():
            self._settings.put(name, value, now)
        return True

    def _enrol(self, factor: SecondFactorArrival) -> None:
        row = self._new_id()
        totp = Totp(
            id=row,
            user_id=factor.user_id,
            secret=self._seal(factor.secret, row),
            created_at=factor.enrolled_at,
            confirmed_at=None,
            last_step=0,
        )
        self._factors.begin(totp)
        self._factors.confirm(totp, step=0, now=factor.enrolled_at, codes=factor.codes)
