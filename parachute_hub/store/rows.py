"""Rows of the database as frozen records. Times are seconds since the epoch."""

from collections.abc import Mapping
from typing import Any, Literal

from attrs import field, frozen

Role = Literal["admin", "member"]


VaultRole = Literal["read", "write"]


@frozen(kw_only=True)
class User:
    """One person. `vaults` maps a vault's name to the role there; an admin may use all without being listed."""

    id: str
    username: str
    password_hash: str = field(repr=False)
    role: Role
    must_change_password: bool
    email: str | None
    created_at: float
    password_changed_at: float
    vaults: Mapping[str, VaultRole] = field(factory=dict)

    @property
    def is_admin(self) -> bool:
        """Whether this person runs the hub."""
        return self.role == "admin"


@frozen(kw_only=True)
class Client:
    """One app. Its name and everything in `software` are its own words and prove nothing.

    `source` `document`: `client_id` is the https URL of its metadata document, and this is a copy that is fresh until
    `fresh_until` (seconds since the epoch). `same_hub`: all its redirect URIs lead back to this hub, or a module of
    ours registered it. `vouched_by` names whoever registered or approved it; None when nobody did. `secret_hash` is
    the SHA-256 of its secret, None for a public client.
    """

    client_id: str
    source: Literal["registered", "document"]
    status: Literal["pending", "approved"]
    same_hub: bool
    name: str
    redirect_uris: tuple[str, ...]
    scope: str
    auth_method: str
    secret_hash: str | None = field(repr=False)
    software: Mapping[str, str]
    vouched_by: str | None
    created_at: float
    fresh_until: float | None = None


@frozen(kw_only=True)
class Grant:
    """Everything that one person allowed to one app so far. Times are seconds since the epoch."""

    user_id: str
    client_id: str
    scopes: tuple[str, ...]
    redirect_uri: str
    address: str
    first_at: float
    last_at: float


@frozen(kw_only=True)
class Family:
    """One consent and all tokens that come out of it. `resource` is what it is limited to (`vault:home`), or None."""

    id: str
    user_id: str
    client_id: str
    scopes: tuple[str, ...]
    resource: str | None
    auth_time: float
    created_at: float
    ended_at: float | None = None


@frozen(kw_only=True)
class Code:
    """An authorization code, by its hash. `challenge` is PKCE's S256."""

    hash: str
    family_id: str
    redirect_uri: str
    challenge: str
    expires_at: float
    used_at: float | None = None


@frozen(kw_only=True)
class Refresh:
    """A refresh token, by its hash. `successor` is the hash of the one that took its place at `used_at`."""

    hash: str
    family_id: str
    created_at: float
    expires_at: float
    used_at: float | None = None
    successor: str | None = None


@frozen(kw_only=True)
class Session:
    """A signed-in browser. `id` is the hash of its cookie.

    `methods` names what was shown at its beginning: `pwd`, `pwd otp`, `pwd recovery`, `pwd setup` (the setup token).
    Times are seconds since the epoch. `expires_at` is the absolute end; idleness is judged by `last_seen_at`.
    """

    id: str
    user_id: str
    created_at: float
    authenticated_at: float
    last_seen_at: float
    expires_at: float
    methods: str
    address: str
    user_agent: str


@frozen(kw_only=True)
class PendingLogin:
    """The password was right; the second factor is to come. `next` is where the person wanted to go."""

    id: str
    user_id: str
    next: str
    expires_at: float


Status = Literal["pending", "redeemed", "expired", "revoked"]


@frozen(kw_only=True)
class Invite:
    """One link. `username` is fixed by the owner or None for a free choice; `vaults` is what the person will get."""

    id: str
    created_by: str
    username: str | None
    vaults: Mapping[str, VaultRole]
    max_uses: int
    used_count: int
    created_at: float
    expires_at: float
    revoked_at: float | None

    def status(self, now: float) -> Status:
        """Whether the link still lets somebody in (`pending`), or why not."""
        if self.revoked_at is not None:
            return "revoked"
        if self.used_count >= self.max_uses:
            return "redeemed"
        return "expired" if now >= self.expires_at else "pending"


@frozen(kw_only=True)
class TokenRecord:
    """What is remembered of a signed token. Times are seconds since the epoch.

    `user_id` is whoever's authority it carries, None for the hub's own. `family_id` ties it to an app's consent.
    `created_via` says what made it: `oauth_refresh` (an app's exchange), `cli_mint` (a person or a machine),
    `session_mint` (ten minutes for a signed-in person), `operator_mint`, `service` (the hub itself).
    """

    jti: str
    kid: str
    subject: str
    user_id: str | None
    client_id: str
    family_id: str | None
    scopes: tuple[str, ...]
    permissions: Mapping[str, Any] | None
    created_via: str
    created_at: float
    expires_at: float
    revoked_at: float | None = None


@frozen(kw_only=True)
class StoredKey:
    """One RSA key. `private_pem` is PKCS#8; it may sign from `signs_from` on (seconds since the epoch)."""

    kid: str
    private_pem: str = field(repr=False)
    created_at: float
    signs_from: float


@frozen
class Failures:
    """A fading count of failures and when the latest was (seconds since the epoch)."""

    count: float
    last_at: float


@frozen(kw_only=True)
class Act:
    """One line of the record. `subject` is whom or what it was done to; `outcome` is `ok` or `refused`."""

    at: float
    actor: str
    action: str
    subject: str = ""
    outcome: str = "ok"
    address: str = ""


@frozen(kw_only=True)
class Totp:
    """An authenticator app. `secret` is sealed; `last_step` is the newest time step that was used (RFC 6238 5.2).

    It counts for nothing until `confirmed_at` is set: then its owner has shown that it works.
    """

    id: str
    user_id: str
    secret: bytes = field(repr=False)
    created_at: float
    confirmed_at: float | None
    last_step: int
