"""Turns the rows of the older hub's `hub.db` into this hub's rows, and says what cannot come along."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from attrs import field

from parachute_hub.accounts.setup.wizard import SetupProgress
from parachute_hub.store.rows import (
    Arrivals,
    Client,
    Family,
    Grant,
    Refresh,
    SecondFactorArrival,
    StoredKey,
    TokenRecord,
    User,
    VaultRole,
)
from parachute_hub.system.records import frozen
from parachute_hub.system.timestamps import from_iso

Row = Mapping[str, Any]
Check = Callable[[str], bool]
Tables = Mapping[str, Sequence[Row]]
"""The tables of `hub.db` that matter, by name."""

ACCESS_LIFETIME = 900.0
"""Lifetime of the older hub's access tokens that come with a refresh token."""

_SECRET_HASH = re.compile(r"[0-9a-f]{64}")
_CREATED_VIA = frozenset({"oauth_refresh", "cli_mint", "session_mint", "operator_mint"})
# Settings of the older hub that this one has no place for.
_LEFT = {
    "admin_lock_pin_hash": "The PIN of the admin pages does not come along. Second factors do.",
    "root_redirect": "The redirect of the front page does not come along.",
    "public_signup_token": "The public sign-up link ends. Invite people under People.",
}


@frozen(kw_only=True)
class Move:
    """What comes along, and sentences about what does not. `channel` is the chosen release channel, or None."""

    arrivals: Arrivals = field(repr=False)
    remarks: tuple[str, ...]
    channel: str | None = None

    def to_json(self) -> dict[str, Any]:
        """For pages and scripts; without secrets."""
        arrivals = self.arrivals
        factors = {factor.user_id: factor for factor in arrivals.factors}
        connected = {family.client_id for family in arrivals.families}
        return {
            "people": [
                {
                    "username": user.username,
                    "role": user.role,
                    "second_factor": user.id in factors,
                    "recovery_codes": len(factors[user.id].codes) if user.id in factors else 0,
                    "vaults": dict(user.vaults),
                }
                for user in arrivals.users
            ],
            "apps": [
                {"name": client.name, "client_id": client.client_id, "connected": client.client_id in connected}
                for client in arrivals.clients
            ],
            "connections": len(arrivals.refreshes),
            "tokens": sum(1 for record in arrivals.tokens if record.revoked_at is None),
            "signing_keys": [key.kid for key in arrivals.keys],
            "settings": {name: value for name, value in arrivals.settings.items() if name != "setup_progress"},
            "channel": self.channel,
            "remarks": list(self.remarks),
        }


def plan(tables: Tables, *, now: float, is_origin: Check, is_key: Check) -> Move:
    """Decide for every row. `is_origin` tells whether a text is the address of a hub, `is_key` whether one is a private
    RSA key in PEM.
    """
    remarks: list[str] = []
    users = _users(tables, remarks)
    owner = users[0] if users else None
    if owner is None:
        return Move(arrivals=Arrivals(), remarks=("The older hub has no owner yet. Set this hub up as a new one.",))
    ids = {user.id for user in users}
    clients = _clients(tables, owner.username, remarks)
    known = {client.client_id for client in clients}
    keys = _keys(tables, is_key, remarks)
    families, refreshes = _connections(tables, ids, known, now)
    settings, channel = _settings(tables, is_origin, remarks)
    if any(_text(row, "used_at") is None and _text(row, "revoked_at") is None for row in tables["invites"]):
        remarks.append("Invitations that are still open end. Send them again under People.")
    if tables["vault_caps"]:
        remarks.append("Size limits of vaults do not come along; this hub has none.")
    arrivals = Arrivals(
        users=users,
        factors=_factors(tables, ids),
        clients=clients,
        grants=_grants(tables, ids, clients),
        families=families,
        refreshes=refreshes,
        tokens=_tokens(tables, ids, {family.id for family in families}, keys, now) if keys else (),
        keys=keys,
        settings=settings,
    )
    return Move(arrivals=arrivals, remarks=tuple(dict.fromkeys(remarks)), channel=channel)


def _users(tables: Tables, remarks: list[str]) -> tuple[User, ...]:
    """The first account is the owner's. Names that differ only in case get a number, since sign-in ignores case."""
    vaults: dict[str, dict[str, VaultRole]] = {}
    for row in tables["user_vaults"]:
        role: VaultRole = "write" if row["role"] == "write" else "read"
        vaults.setdefault(str(row["user_id"]), {})[str(row["vault_name"])] = role
    users: list[User] = []
    taken: set[str] = set()
    for row in sorted(tables["users"], key=lambda row: (_seconds(row, "created_at"), str(row["id"]))):
        name = _free(str(row["username"]), taken)
        if name != row["username"]:
            remarks.append(f"The name {row['username']} exists twice; one of them signs in as {name}.")
        taken.add(name.casefold())
        users.append(
            User(
                id=str(row["id"]),
                username=name,
                password_hash=str(row["password_hash"]),
                role="member" if users else "admin",
                must_change_password=not row["password_changed"],
                email=_text(row, "email"),
                created_at=_seconds(row, "created_at"),
                password_changed_at=_seconds(row, "updated_at"),
                vaults=vaults.get(str(row["id"]), {}) if users else {},
            )
        )
    return tuple(users)


def _free(name: str, taken: set[str]) -> str:
    number, found = 1, name
    while found.casefold() in taken:
        number += 1
        found = f"{name}-{number}"
    return found


def _factors(tables: Tables, ids: set[str]) -> tuple[SecondFactorArrival, ...]:
    return tuple(
        SecondFactorArrival(
            user_id=str(row["id"]),
            secret=str(row["totp_secret"]),
            enrolled_at=_seconds(row, "totp_enrolled_at"),
            codes=tuple(code for code in _texts(row["totp_backup_codes"]) or () if code.startswith("$argon2")),
        )
        for row in tables["users"]
        if row["totp_secret"] and row["totp_enrolled_at"] and row["id"] in ids
    )


def _clients(tables: Tables, owner: str, remarks: list[str]) -> tuple[Client, ...]:
    clients: list[Client] = []
    for row in tables["clients"]:
        redirects, secret = _texts(row["redirect_uris"]), _text(row, "client_secret_hash")
        name = _text(row, "client_name") or ""
        if not redirects or (secret is not None and not _SECRET_HASH.fullmatch(secret)):
            remarks.append(f"The app {name or row['client_id']} must be connected again.")
            continue
        approved = row["status"] == "approved"
        clients.append(
            Client(
                client_id=str(row["client_id"]),
                source="registered",
                status="approved" if approved else "pending",
                same_hub=bool(row["same_hub"]),
                name=name,
                redirect_uris=redirects,
                scope=_text(row, "scopes") or "",
                auth_method="none" if secret is None else "client_secret_post",
                secret_hash=secret,
                software={},
                vouched_by=owner if approved else None,
                created_at=_seconds(row, "registered_at"),
            )
        )
    return tuple(clients)


def _grants(tables: Tables, ids: set[str], clients: Iterable[Client]) -> tuple[Grant, ...]:
    redirects = {client.client_id: client.redirect_uris[0] for client in clients}
    return tuple(
        Grant(
            user_id=str(row["user_id"]),
            client_id=str(row["client_id"]),
            scopes=tuple(str(row["scopes"]).split()),
            redirect_uri=redirects[row["client_id"]],
            address="",
            first_at=_seconds(row, "granted_at"),
            last_at=_seconds(row, "granted_at"),
        )
        for row in tables["grants"]
        if row["user_id"] in ids and row["client_id"] in redirects
    )


def _connections(
    tables: Tables, ids: set[str], clients: set[str], now: float
) -> tuple[tuple[Family, ...], tuple[Refresh, ...]]:
    """Families that hold a refresh token which still works, with all their tokens: replaced ones detect theft."""
    lines: dict[str, list[Row]] = {}
    for row in tables["tokens"]:
        whole = row["refresh_token_hash"] and row["family_id"]
        if whole and row["user_id"] in ids and row["client_id"] in clients:
            lines.setdefault(str(row["family_id"]), []).append(row)
    families: list[Family] = []
    refreshes: list[Refresh] = []
    for family_id, rows in lines.items():
        rows.sort(key=lambda row: _seconds(row, "created_at"))
        if not any(row["revoked_at"] is None and _seconds(row, "expires_at") > now for row in rows):
            continue
        families.append(
            Family(
                id=family_id,
                user_id=str(rows[-1]["user_id"]),
                client_id=str(rows[-1]["client_id"]),
                scopes=tuple(str(rows[-1]["scopes"]).split()),
                resource=None,
                auth_time=_seconds(rows[0], "created_at"),
                created_at=_seconds(rows[0], "created_at"),
            )
        )
        parent = None
        for generation, row in enumerate(rows, start=1):
            refresh = Refresh(
                hash=str(row["refresh_token_hash"]),
                family_id=family_id,
                branch=family_id,
                # 0 is the token that came for a code and may be used by several processes.
                generation=generation,
                parent=parent,
                created_at=_seconds(row, "created_at"),
                expires_at=_seconds(row, "expires_at"),
                used_at=None if row["revoked_at"] is None else _seconds(row, "revoked_at"),
            )
            refreshes.append(refresh)
            parent = refresh.hash
    return tuple(families), tuple(refreshes)


def _keys(tables: Tables, is_key: Check, remarks: list[str]) -> tuple[StoredKey, ...]:
    keys: list[StoredKey] = []
    for row in tables["signing_keys"]:
        if row["algorithm"] != "RS256" or not is_key(str(row["private_key_pem"])):
            remarks.append("A signing key of the older hub cannot be used. Tokens that it signed end.")
            continue
        created = _seconds(row, "created_at")
        keys.append(
            StoredKey(
                kid=str(row["kid"]), private_pem=str(row["private_key_pem"]), created_at=created, signs_from=created
            )
        )
    return tuple(sorted(keys, key=lambda key: key.created_at))


def _tokens(
    tables: Tables, ids: set[str], families: set[str], keys: Sequence[StoredKey], now: float
) -> tuple[TokenRecord, ...]:
    """Records of the access tokens that are out, revoked ones included: modules still ask for those."""
    records: list[TokenRecord] = []
    for row in tables["tokens"]:
        created, expires = _seconds(row, "created_at"), _seconds(row, "expires_at")
        if row["refresh_token_hash"]:
            expires = min(expires, created + ACCESS_LIFETIME)
        user_id, family_id = _text(row, "user_id"), _text(row, "family_id")
        if expires <= now or (user_id is not None and user_id not in ids):
            continue
        signer = [key for key in keys if key.created_at <= created] or keys[:1]
        via = _text(row, "created_via") or ""
        permissions = _object(_text(row, "permissions"))
        records.append(
            TokenRecord(
                jti=str(row["jti"]),
                kid=signer[-1].kid,
                subject=_text(row, "subject") or user_id or "",
                user_id=user_id,
                client_id=str(row["client_id"]),
                family_id=family_id if family_id in families else None,
                scopes=tuple(str(row["scopes"]).split()),
                permissions=permissions,
                created_via=via if via in _CREATED_VIA else "cli_mint",
                created_at=created,
                expires_at=expires,
                revoked_at=None if row["revoked_at"] is None else _seconds(row, "revoked_at"),
            )
        )
    return tuple(records)


def _settings(tables: Tables, is_origin: Check, remarks: list[str]) -> tuple[dict[str, str], str | None]:
    """Settings in this hub's words, and the release channel, which is kept elsewhere."""
    told = {str(row["key"]): str(row["value"]) for row in tables["hub_settings"]}
    settings: dict[str, str] = {}
    origin = told.get("hub_origin")
    if origin and is_origin(origin):
        settings["hub_origin"] = origin
    elif origin:
        remarks.append("The public address does not come along. Set it under Settings.")
    if told.get("setup_expose_mode") in ("localhost", "tailnet", "public"):
        settings["setup_expose_mode"] = told["setup_expose_mode"]
    progress = SetupProgress(chosen=(), installs_seen=True, reached=True, vault_name=told.get("setup_vault_name"))
    settings["setup_progress"] = progress.to_text()
    remarks.extend(text for name, text in _LEFT.items() if told.get(name))
    return settings, "rc" if told.get("module_install_channel") == "rc" else None


def _seconds(row: Row, name: str) -> float:
    """A time of the older hub in epoch seconds; 0 for what is none."""
    try:
        return from_iso(str(row[name]))
    except ValueError:
        return 0.0


def _text(row: Row, name: str) -> str | None:
    return row[name] if isinstance(row[name], str) and row[name] else None


def _texts(value: Any) -> tuple[str, ...] | None:
    """A JSON list of texts; None for anything else."""
    try:
        found = json.loads(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return tuple(found) if isinstance(found, list) and all(isinstance(one, str) for one in found) else None


def _object(text: str | None) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text) if text else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
