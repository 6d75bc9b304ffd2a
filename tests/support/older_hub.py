"""A home as the older hub leaves it, made small: its tables by their columns, throw-away secrets, two vaults' folders.

`PARACHUTE_OLDER_HOME` names a folder with a real one (`older-home.tar.gz`, `older-home.expected.json`) to test instead.
"""

import hashlib
import json
import os
import sqlite3
import tarfile
import time
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from attrs import field, frozen
from joserfc import jwt
from joserfc.jwk import RSAKey

from parachute_hub.oauth.tokens.keys import load_private_pem, make_private_pem
from parachute_hub.system.timestamps import to_the_millisecond

OWNER, FRIEND, CLIENT, SURFACE = (f"{digit * 8}-0000-4000-8000-000000000000" for digit in "1234")
KID = "older-hubs-key"
ORIGIN = "http://127.0.0.1:1939"
CODES = ("abcde-fghjk", "mnpqr-stuvw")
_OPERATORS = "hub:admin parachute:host:admin parachute:host:auth"
_SCHEMA = """
CREATE TABLE schema_version (version, applied_at);
CREATE TABLE users (id, username UNIQUE, password_hash, created_at, updated_at, password_changed, totp_secret,
    totp_backup_codes, totp_enrolled_at, email);
CREATE TABLE user_vaults (user_id, vault_name, role, created_at);
CREATE TABLE clients (client_id, client_secret_hash, redirect_uris, scopes, client_name, registered_at, status,
    same_hub);
CREATE TABLE grants (user_id, client_id, scopes, granted_at);
CREATE TABLE tokens (jti, user_id, client_id, scopes, refresh_token_hash, family_id, expires_at, revoked_at, created_at,
    permissions, created_via, subject, rotated_to);
CREATE TABLE signing_keys (kid, public_key_pem, private_key_pem, algorithm, created_at, retired_at);
CREATE TABLE hub_settings (key, value, updated_at);
CREATE TABLE invites (token, created_by, vault_name, expires_at, used_at, revoked_at, created_at);
CREATE TABLE vault_caps (vault_name, cap_bytes, created_at, updated_at);
"""
_ROW = {
    "name": "parachute-vault",
    "port": 1940,
    "paths": ["/vault/default", "/vault/second"],
    "health": "/health",
    "version": "0.3.9",
}


@frozen(kw_only=True)
class OlderHome:
    """A home and what people know about it. `codes` are recovery codes, empty where nobody wrote them down."""

    home: Path
    owner_password: str = field(repr=False)
    totp_secret: str = field(repr=False)
    friend_password: str = field(repr=False)
    client_id: str
    refresh_token: str = field(repr=False)
    scope: str
    kid: str
    codes: tuple[str, ...] = ()
    operator_token: str = field(default="", repr=False)


def older_home(home: Path) -> OlderHome:
    """The generated home, or the real one."""
    given = os.environ.get("PARACHUTE_OLDER_HOME")
    return _unpacked(Path(given), home) if given else make(home)


def _unpacked(given: Path, home: Path) -> OlderHome:
    home.mkdir(parents=True)
    with tarfile.open(given / "older-home.tar.gz") as archive:
        archive.extractall(home, filter="data")
    told = json.loads((given / "older-home.expected.json").read_text())
    with closing(sqlite3.connect(home / "hub.db")) as opened:
        kid = opened.execute("SELECT kid FROM signing_keys").fetchone()[0]
    return OlderHome(
        home=home,
        owner_password=told["users"]["owner"]["password"],
        totp_secret=told["users"]["owner"]["totp_secret"],
        friend_password=told["users"]["friend"]["password"],
        client_id=told["client_id"],
        refresh_token=told["refresh_token"],
        scope=told["scope"],
        kid=kid,
        operator_token=(home / "operator.token").read_text().strip(),
    )


def make(home: Path, *, now: float | None = None, changes: str = "") -> OlderHome:
    """A new home. `changes` are SQL statements that run at the end."""
    now = time.time() if now is None else now
    home.mkdir(parents=True, exist_ok=True)
    (home / "services.json").write_text(json.dumps({"services": [_ROW]}, indent=2) + "\n")
    (home / "services.json").chmod(0o644)
    scope = "vault:default:read vault:default:write"
    operator = _token(now, sub=OWNER, aud="operator", jti="operators", scope=_OPERATORS)
    (home / "operator.token").write_text(operator)
    (home / "operator.token").chmod(0o600)
    for name in ("default", "second"):
        folder = home / "vault" / "data" / name
        folder.mkdir(parents=True)
        (folder / "vault.yaml").write_text(f"name: {name}\n")
    (home / "vault" / "config.yaml").write_text("port: 1940\ndefault_vault: default\n")
    refresh = "a-refresh-token-of-the-older-hub"
    with closing(sqlite3.connect(home / "hub.db")) as opened:
        opened.executescript(_SCHEMA)
        _fill(opened, now, scope, refresh)
        opened.executescript(changes)
        opened.commit()
    return OlderHome(
        home=home,
        owner_password="correct-horse-battery",
        totp_secret="S3FW4RY356WCV2X4F4MDFTZJQWLO6AGI",
        friend_password="friend-password-123",
        client_id=CLIENT,
        refresh_token=refresh,
        scope=scope,
        kid=KID,
        codes=CODES,
        operator_token=operator,
    )


def _fill(opened: sqlite3.Connection, now: float, scope: str, refresh: str) -> None:
    began, soon = to_the_millisecond(now - 3600), to_the_millisecond(now + 30 * 86400)
    codes = json.dumps([hash_of(code.replace("-", "")) for code in CODES])
    owner = (OWNER, "owner", hash_of("correct-horse-battery"), began, began, 1, "S3FW4RY356WCV2X4F4MDFTZJQWLO6AGI")
    friend = (FRIEND, "friend", hash_of("friend-password-123"), to_the_millisecond(now - 1800), began, 0, None)
    hashed = hashlib.sha256(refresh.encode()).hexdigest()
    rows: dict[str, list[tuple[Any, ...]]] = {
        "schema_version": [(number, began) for number in range(1, 17)],
        "users": [(*owner, codes, began, None), (*friend, None, None, "friend@example.com")],
        "user_vaults": [(FRIEND, "default", "write", began)],
        "clients": [
            (CLIENT, None, '["http://127.0.0.1:33418/callback"]', scope, "lab", began, "approved", 0),
            (SURFACE, None, f'["{ORIGIN}/surface/notes/"]', "vault:*:read", "Notes", began, "approved", 1),
        ],
        "grants": [(OWNER, CLIENT, scope, began)],
        "tokens": [
            (
                "operators",
                None,
                "parachute-hub",
                "hub:admin parachute:host:admin parachute:host:auth",
                None,
                None,
                soon,
                None,
                began,
            )
            + (None, "operator_mint", "operator", None),
            ("first", OWNER, CLIENT, scope, "0" * 64, "family", soon, began, began)
            + (None, "oauth_refresh", None, "second"),
            ("second", OWNER, CLIENT, scope, hashed, "family", soon, None, to_the_millisecond(now - 60))
            + (None, "oauth_refresh", None, None),
        ],
        "signing_keys": [(KID, "", private_pem(), "RS256", began, None)],
        "hub_settings": [
            ("setup_vault_name", "default", began),
            ("module_install_channel", "latest", began),
            ("setup_expose_mode", "localhost", began),
        ],
    }
    for table, found in rows.items():
        marks = ", ".join("?" * len(found[0]))
        opened.executemany(f"INSERT INTO {table} VALUES ({marks})", found)


@cache
def private_pem() -> str:
    return make_private_pem()


@cache
def hash_of(text: str, passes: int = 2) -> str:
    """argon2id with the older hub's parameters."""
    return PasswordHasher(time_cost=passes, memory_cost=19456, parallelism=1).hash(text)


def _token(now: float, **claims: Any) -> str:
    key: RSAKey = load_private_pem(private_pem())
    times = {"iat": int(now - 3600), "exp": int(now + 86400)}
    told = {"client_id": "parachute-hub", "vault_scope": [], "iss": ORIGIN, **times, **claims}
    return jwt.encode({"alg": "RS256", "kid": KID}, told, key, algorithms=["RS256"])
