"""Database rows as frozen records. Times are in epoch seconds."""

from collections.abc import Mapping
from typing import Any, Literal

from attrs import field

from parachute_hub.system.records import frozen

Role = Literal["admin", "member"]


VaultRole = Literal["read", "write"]


@frozen(kw_only=True)
class User:
    """One user. `vaults` maps vault names to roles; an admin can use every vault without being listed.

    `display_name` is what the person calls themselves; empty if that is the username. `own` are the vaults that the
    person may share, `borrowed` those that are somebody else's own. `quota` is how many bytes the `own` ones may take
    together, 0 for no limit.
    """

    id: str
    username: str
    password_hash: str = field(repr=False)
    role: Role
    must_change_password: bool
    email: str | None
    created_at: float
    password_changed_at: float
    vaults: Mapping[str, VaultRole] = field(factory=dict)
    display_name: str = ""
    own: tuple[str, ...] = ()
    borrowed: tuple[str, ...] = ()
    quota: int = 0

    @property
    def called(self) -> str:
        """The name to show."""
        return self.display_name or self.username

    @property
    def is_admin(self) -> bool:
        return self.role == "admin"


@frozen(kw_only=True)
class Passkey:
    """A person's passkey. `id` is the credential's, in base64url, and `rp_id` the host name that it belongs to.

    `synced`: a provider may copy it to the person's other devices. `blocked_at`: since when it is refused, because a
    copy of it was used.
    """

    id: str
    user_id: str
    name: str
    rp_id: str
    public_key: bytes = field(repr=False)
    sign_count: int
    synced: bool
    created_at: float
    last_used_at: float | None = None
    blocked_at: float | None = None


@frozen(kw_only=True)
class VaultDeletion:
    """A vault that will be deleted. `whose` is the name of the person who had it, if any.

    `warned_at`: since when owners are told that it comes soon. `failed_at` and `failure` are of the last failed try.
    """

    vault: str
    whose: str
    asked_by: str
    asked_at: float
    due_at: float
    warned_at: float | None = None
    failed_at: float | None = None
    failure: str = ""


@frozen(kw_only=True)
class Client:
    """One OAuth client. Its name and everything in `software` are self-asserted and unverified.

    With `source` `document`, `client_id` is the https URL of the client's metadata document, cached here until
    `fresh_until` (epoch seconds). `same_hub`: all redirect URIs lead back to this hub, or a first-party module
    registered it. `vouched_by` names who registered or approved it, if anyone. `secret_hash` is SHA-256, None for a
    public client.
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
    """Everything a user has granted to a client. Times are in epoch seconds."""

    user_id: str
    client_id: str
    scopes: tuple[str, ...]
    redirect_uri: str
    address: str
    first_at: float
    last_at: float


@frozen(kw_only=True)
class Family:
    """One consent and all tokens issued from it. `resource` limits it to one vault (`vault:home`), or None."""

    id: str
    user_id: str
    client_id: str
    scopes: tuple[str, ...]
    resource: str | None
    auth_time: float
    created_at: float
    ended_at: float | None = None
    ended_why: str | None = None


@frozen(kw_only=True)
class Code:
    """An authorization code, by its hash. `challenge` is the PKCE S256 challenge."""

    hash: str
    family_id: str
    redirect_uri: str
    challenge: str
    expires_at: float
    used_at: float | None = None


DeviceState = Literal["waiting", "allowed", "denied", "ended", "used"]


@frozen(kw_only=True)
class DeviceCode:
    """A device that waits to be signed in (RFC 8628). `hash` is that of its own code; `user_code` is what people type.

    `address` is where the device is. `interval` is how many seconds it must wait between two questions, `polled_at`
    when it asked last. `tries` counts wrong tries of the user code. `family_id` is the consent, once `allowed`.
    """

    hash: str
    user_code: str = field(repr=False)
    client_id: str
    scope: str
    resource: str
    address: str
    created_at: float
    expires_at: float
    interval: float
    polled_at: float | None = None
    tries: int = 0
    state: DeviceState = "waiting"
    family_id: str | None = None


@frozen(kw_only=True)
class Refresh:
    """A refresh token, by its hash. `parent` is the hash of the token that it was given for.

    `generation` counts within its `branch`; the token that came for the code has 0 and is shared by all branches.
    """

    hash: str
    family_id: str
    branch: str
    generation: int
    parent: str | None
    created_at: float
    expires_at: float
    used_at: float | None = None


@frozen(kw_only=True)
class Branch:
    """One line of refresh tokens: an app's process on some device. `address` is where it refreshed last."""

    id: str
    family_id: str
    began_at: float
    last_at: float
    address: str


@frozen(kw_only=True)
class Session:
    """A signed-in browser. `id` is the hash of its cookie.

    `methods` lists the credentials used to sign in: `pwd`, `pwd otp`, `pwd recovery`, `pwd setup` (the setup token),
    `link` (from another device, confirmed there).
    `expires_at` is the absolute expiry in epoch seconds; idle expiry depends on `last_seen_at`.
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
    """A sign-in waiting for its second factor. `next` is the page the user asked for."""

    id: str
    user_id: str
    next: str
    expires_at: float


Status = Literal["pending", "redeemed", "expired", "revoked"]


@frozen(kw_only=True)
class Invite:
    """One invitation. `username` is fixed by the owner, or None for a free choice; `vaults` are the roles granted.

    `own_vault`: a new vault is made for whoever joins. `name` and `note` are shown to them. `sealed_token` is the
    link's encrypted token; None for links of earlier versions.
    """

    id: str
    created_by: str
    username: str | None
    vaults: Mapping[str, VaultRole]
    max_uses: int
    used_count: int
    created_at: float
    expires_at: float
    revoked_at: float | None
    name: str = ""
    note: str = ""
    own_vault: bool = False
    sealed_token: bytes | None = field(default=None, repr=False)

    def status(self, now: float) -> Status:
        """`pending` while the link is valid, otherwise why it is not."""
        if self.revoked_at is not None:
            return "revoked"
        if self.used_count >= self.max_uses:
            return "redeemed"
        return "expired" if now >= self.expires_at else "pending"


@frozen(kw_only=True)
class TokenRecord:
    """The record of an issued token. Times are in epoch seconds.

    `user_id` is the user whose authority it carries, None for the hub itself. `family_id` ties it to a consent.
    `created_via` says how it was issued: `oauth_refresh` (token endpoint), `cli_mint` (a user or script),
    `session_mint` (ten minutes for a signed-in user), `operator_mint`, `service` (the hub itself). `name` is what its
    maker called it; `last_used_at` is known to about ten minutes, and for long-lived tokens only.
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
    name: str = ""
    last_used_at: float | None = None


@frozen(kw_only=True)
class StoredKey:
    """One RSA key. `private_pem` is PKCS#8; it signs from `signs_from` on (epoch seconds)."""

    kid: str
    private_pem: str = field(repr=False)
    created_at: float
    signs_from: float


@frozen
class FailureCount:
    """A decaying count of failures, and the time of the latest (epoch seconds)."""

    count: float
    last_at: float


@frozen(kw_only=True)
class Act:
    """One audit entry. `subject` is what the action affected; `outcome` is `ok`, `refused`, `failed` or `cancelled`.

    `means` is by what it was done (`system.doer.Means`), `why` a sentence about the outcome, without secrets.
    """

    at: float
    actor: str
    action: str
    subject: str = ""
    outcome: str = "ok"
    address: str = ""
    means: str = ""
    why: str = ""


@frozen(kw_only=True)
class Totp:
    """An authenticator app. `secret` is encrypted; `last_step` is the newest time step used (RFC 6238, section 5.2).

    It is inactive until `confirmed_at` is set, when its owner has entered a valid code.
    """

    id: str
    user_id: str
    secret: bytes = field(repr=False)
    created_at: float
    confirmed_at: float | None
    last_step: int


@frozen(kw_only=True)
class SecondFactorArrival:
    """The authenticator app of someone who moves in: the seed in clear, and argon2id hashes of recovery codes."""

    user_id: str
    secret: str = field(repr=False)
    enrolled_at: float
    codes: tuple[str, ...] = field(repr=False)


@frozen(kw_only=True)
class Arrivals:
    """Everything that comes from another hub's database, in the order in which it is stored."""

    users: tuple[User, ...] = ()
    factors: tuple[SecondFactorArrival, ...] = ()
    clients: tuple[Client, ...] = ()
    grants: tuple[Grant, ...] = ()
    families: tuple[Family, ...] = ()
    refreshes: tuple[Refresh, ...] = ()
    tokens: tuple[TokenRecord, ...] = ()
    keys: tuple[StoredKey, ...] = field(default=(), repr=False)
    settings: Mapping[str, str] = field(factory=dict)
