"""Every route that changes something or returns a secret: who may use it, the proof it needs, and what is audited.

`tests/site/test_route_table.py` fails for a route without a row, and `tests/live/test_route_table.py` tries each row on
a running hub with insufficient credentials.
"""

import re
from typing import Literal

from parachute_hub.system.records import frozen

HOST_ADMIN = "parachute:host:admin"
HOST_AUTH = "parachute:host:auth"
HUB_ADMIN = "hub:admin"
ACCOUNT_WRITE = "account:self:write"
ACCOUNT_FULL = "account:self:admin"

Who = Literal["anyone", "app", "person", "owner"]
"""`app`: a registered OAuth client; `person`: somebody with an account; `owner`: somebody who runs the hub."""

Proof = Literal["nothing", "secret", "client", "page", "password", "step-up", "opened", "bearer"]
"""What must come with the request.

- `nothing`: strangers use it; it is limited by network.
- `secret`: a form of ours (its CSRF token) with a secret in it: a password, the setup token, an invitation.
- `client`: the client's id, its secret if it has one, and a code or token that it holds.
- `page`: a session, and the form token that only our pages know.
- `password`: as `page`, and the password, a code or a proof by a passkey in the same request.
- `step-up`: as `page`, and a fresh proof of presence for this very operation (`accounts/signin/step_up`).
- `opened`: a session in which the person opened this by a step-up; for settings, a script of this origin.
- `bearer`: an access token; no session will do.
"""


@frozen
class Row:
    """One route. `bearers` are scopes of access tokens accepted in place of a session.

    `records` are the audited acts, which whoever does them records once they have happened (docs/activity.md). Refused
    and failed attempts are recorded by the route (`admin.audit_trail`), under the first of them. Empty: not audited,
    because nothing lasting changes or it is the app's own business. `sometimes` says when a step-up is required, if
    not always. `by_link`: a browser that a link signed in may do it, too; it changes nothing else.
    """

    method: str
    rule: str
    who: Who
    proof: Proof
    records: str = ""
    bearers: tuple[str, ...] = ()
    sometimes: str = ""
    by_link: bool = False


def _module(verb: str, proof: Proof, *, method: str = "POST", sometimes: str = "") -> Row:
    return Row(method, f"/api/modules/<short>/{verb}", "owner", proof, f"module-{verb}", (HOST_ADMIN,), sometimes)


ROWS: tuple[Row, ...] = (
    # Modules. The operator token needs no proofs, since it is on the machine.
    Row("PUT", "/api/modules/channel", "owner", "page", "channel-changed", (HOST_ADMIN,)),
    Row("POST", "/api/modules/install", "owner", "step-up", "module-install", (HOST_ADMIN,), "not in the catalog"),
    Row("POST", "/api/modules/upgrade-all", "owner", "page", "module-upgrade", (HOST_ADMIN,)),
    Row("POST", "/api/modules/operations/<job_id>/cancel", "owner", "page", "operation-cancelled", (HOST_ADMIN,)),
    Row("PUT", "/api/hub/logs/size", "owner", "page", "log-size-changed", (HOST_ADMIN,)),
    Row("POST", "/api/hub/restart", "owner", "page", "hub-restarted", (HOST_ADMIN,)),
    Row("POST", "/api/modules/disk/clear", "owner", "page", "disk-cleared", (HOST_ADMIN,)),
    Row("POST", "/api/space/clear", "owner", "page", "disk-cleared", (HOST_ADMIN,)),
    Row("POST", "/api/space/trash/<vault>", "owner", "page", "trash-emptied", (HOST_ADMIN,)),
    _module("install", "step-up", sometimes="a version is named"),
    _module("upgrade", "step-up", sometimes="not in the catalog, or to an earlier version"),
    _module("rollback", "step-up"),
    _module("restore-data", "step-up"),
    _module("uninstall", "step-up"),
    _module("delete-data", "step-up"),
    _module("adopt", "step-up"),
    _module("start", "page"),
    _module("stop", "page"),
    _module("restart", "page"),
    _module("heal-port", "page"),
    _module("config", "step-up", method="PUT"),
    Row("POST", "/api/modules/<short>/config/test", "owner", "page", "module-config-tested", (HOST_ADMIN,)),
    Row(
        "PUT",
        "/api/modules/<short>/settings",
        "owner",
        "step-up",
        "module-settings module-limits",
        (HOST_ADMIN,),
        "variables or trust",
    ),
    Row("POST", "/vaults", "owner", "step-up", "vault-made", (HOST_ADMIN,)),
    Row("PUT", "/vaults/<name>/quota", "owner", "page", "quota-changed", (HOST_ADMIN,)),
    Row("PUT", "/vaults/<name>/deletion", "owner", "step-up", "vault-deletion-asked"),
    Row("DELETE", "/vaults/<name>/deletion", "owner", "page", "vault-kept", (HOST_ADMIN,)),
    Row(
        "POST",
        "/account/vaults",
        "owner",
        "bearer",
        "vault-made vault-token",
        (HOST_ADMIN, ACCOUNT_WRITE, ACCOUNT_FULL),
    ),
    Row("POST", "/account/vaults/<name>/token", "person", "bearer", "vault-token", (HOST_ADMIN, ACCOUNT_FULL)),
    # Modules on other machines.
    Row("PUT", "/api/links/<short>", "owner", "step-up", "link-set", (HOST_ADMIN,)),
    Row("DELETE", "/api/links/<short>", "owner", "step-up", "link-ended", (HOST_ADMIN,)),
    Row("POST", "/api/links/<short>/pair", "owner", "step-up", "link-set", (HOST_ADMIN,)),
    Row("POST", "/api/links/<short>/renew", "owner", "page", "link-renewed", (HOST_ADMIN,)),
    Row("POST", "/api/links/<short>/move", "owner", "step-up", "module-move", (HOST_ADMIN,)),
    # Problems.
    Row("POST", "/api/problems/dismiss", "owner", "page", "problem-dismissed", (HOST_ADMIN,)),
    Row("POST", "/api/problems/restore", "owner", "page", "problem-shown-again", (HOST_ADMIN,)),
    Row("POST", "/api/problems/look", "owner", "page", "problems-looked-for", (HOST_ADMIN,)),
    # Backups.
    Row("POST", "/api/backups/key", "owner", "step-up", "backup-key-made"),
    Row("POST", "/api/backups/key/confirm", "owner", "page", "backup-key-confirmed", (HOST_ADMIN,)),
    Row("DELETE", "/api/backups/key", "owner", "step-up", "backup-key-removed"),
    Row("POST", "/api/backups/places", "owner", "step-up", "backup-place-added"),
    Row("DELETE", "/api/backups/places/<place_id>", "owner", "step-up", "backup-place-removed"),
    Row("POST", "/api/backups/places/<place_id>/test", "owner", "page", "backup-place-tested", (HOST_ADMIN,)),
    Row("POST", "/api/backups/places/<place_id>/run", "owner", "page", "backup-made", (HOST_ADMIN,)),
    Row("POST", "/api/backups/places/<place_id>/verify", "owner", "page", "backup-verified", (HOST_ADMIN,)),
    Row("PUT", "/api/backups/schedule", "owner", "page", "backup-schedule-changed", (HOST_ADMIN,)),
    Row("POST", "/api/backups/download", "owner", "step-up", "backup-downloaded"),
    Row("GET", "/api/backups/download/<token>", "owner", "opened", "backup-downloaded"),
    # Restoring: the setup token on an empty hub; the ticket that `begin` gives after that.
    Row("POST", "/admin/setup/restore", "owner", "step-up", "restore-begun", (), "the hub has an owner"),
    Row("POST", "/admin/setup/restore/archives", "owner", "step-up", "restore-looked", (), "the hub has an owner"),
    *(
        Row(method, f"/admin/setup/restore/<restore_id>{step}", "anyone", "secret", records)
        for method, step, records in (
            ("PUT", "/parts/<offset>", ""),
            ("POST", "/end", ""),
            ("POST", "/apply", "restored module-restored"),
            ("DELETE", "", "restore-cancelled"),
        )
    ),
    # Moving in from the older hub: the setup token, then the ticket that came with the plan.
    Row("POST", "/admin/setup/move-in/plan", "anyone", "secret"),
    Row("POST", "/admin/setup/move-in", "anyone", "secret", "moved-in"),
    # Notices.
    Row("POST", "/api/notices/destinations", "owner", "step-up", "notice-destination-added"),
    Row("DELETE", "/api/notices/destinations/<destination_id>", "owner", "step-up", "notice-destination-removed"),
    Row("POST", "/api/notices/destinations/<destination_id>/test", "owner", "page", "notice-tested", (HOST_ADMIN,)),
    Row("PUT", "/api/notices/settings", "owner", "page", "notice-settings-changed", (HOST_ADMIN,)),
    # People.
    Row("PUT", "/api/users/<user_id>/quota", "owner", "step-up", "quota-changed"),
    Row("POST", "/api/users", "owner", "step-up", "user-created"),
    Row("DELETE", "/api/users/<user_id>", "owner", "step-up", "user-deleted"),
    Row("PATCH", "/api/users/<user_id>/vaults", "owner", "step-up", "vaults-changed"),
    Row("PATCH", "/api/users/<user_id>/role", "owner", "step-up", "role-admin role-member"),
    Row("POST", "/api/users/<user_id>/reset-password", "owner", "step-up", "password-reset"),
    Row("DELETE", "/api/users/<user_id>/second-factor", "owner", "step-up", "second-factor-removed"),
    Row("POST", "/api/invites", "owner", "step-up", "invited"),
    Row("POST", "/api/invites/<invite_id>/link", "owner", "page", "invite-shown", (HOST_ADMIN,)),
    Row("DELETE", "/api/invites/<invite_id>", "owner", "page", "invite-revoked", (HOST_ADMIN,)),
    Row("PUT", "/api/settings/hub-origin", "owner", "step-up", "origin-changed"),
    Row("POST", "/api/settings/hub-origin", "owner", "step-up", "origin-changed"),
    Row("POST", "/api/reach", "owner", "step-up", "reach-opened"),
    Row("POST", "/api/reach/check", "owner", "page", "reach-checked", (HOST_ADMIN,)),
    Row("DELETE", "/api/reach", "owner", "step-up", "reach-closed"),
    # Tokens. A bearer token can mint no more than it has, and nothing that outlives it.
    Row("POST", "/api/auth/mint-token", "person", "step-up", "mint-token", (HOST_AUTH,)),
    Row("POST", "/api/auth/revoke-token", "person", "step-up", "revoke-token", (HOST_AUTH,), "somebody else's"),
    Row("POST", "/api/auth/rotate-operator", "owner", "step-up", "rotate-operator"),
    Row("POST", "/api/auth/rotate-key", "owner", "step-up", "rotate-key"),
    Row("POST", "/api/auth/open-settings", "owner", "step-up", "open-settings"),
    Row("POST", "/admin/host-admin-token", "owner", "step-up", "host-admin-token"),
    Row("POST", "/admin/vault-admin-token/<vault>", "person", "step-up", "vault-admin-token"),
    Row("POST", "/account/vault-admin-token/<vault>", "person", "step-up", "vault-admin-token"),
    Row("POST", "/admin/module-token/<short>", "owner", "step-up", "module-token"),
    Row("GET", "/admin/module-token/<short>", "owner", "opened", "module-token"),
    Row("GET", "/admin/agent-token", "owner", "opened", "module-token"),
    Row("GET", "/admin/vault-admin-token/<vault>", "person", "opened", "vault-admin-token"),
    Row("POST", "/account/token", "person", "step-up", "account-token"),
    Row("POST", "/account/vault-token/<vault>", "person", "step-up", "vault-token"),
    Row("POST", "/account/lock", "owner", "password", "locked"),
    Row("POST", "/api/lock", "owner", "step-up", "locked"),
    # Apps.
    Row("POST", "/oauth/register", "anyone", "nothing"),
    Row("POST", "/oauth/token", "app", "client"),
    Row("POST", "/oauth/revoke", "app", "client"),
    Row("DELETE", "/oauth/clients/<client_id>", "owner", "bearer", "app-removed", (HOST_ADMIN,)),
    Row(
        "POST",
        "/oauth/authorize",
        "person",
        "password",
        "app-connected",
        sometimes="a new app, or more than everyday access",
        by_link=True,
    ),
    Row("POST", "/oauth/device_authorization", "app", "client"),
    Row(
        "POST",
        "/oauth/device",
        "person",
        "password",
        "app-connected",
        sometimes="more than everyday access",
    ),
    Row("POST", "/api/confirmations", "person", "bearer"),
    Row("POST", "/account/confirm/<confirmation_id>", "person", "password", "confirm"),
    Row("POST", "/oauth/authorize/approve", "owner", "password", "app-approved app-refused"),
    Row("POST", "/api/oauth/clients/<path:client_id>/approve", "owner", "step-up", "app-approved"),
    Row("POST", "/api/apps/disconnect", "person", "page", "app-disconnected"),
    Row("DELETE", "/api/grants/<path:client_id>", "person", "page", "app-disconnected"),
    Row("POST", "/account/apps", "person", "page", "app-disconnected"),
    # The user's own account.
    Row("POST", "/login", "anyone", "secret", "sign-in"),
    Row("POST", "/login/passkey/options", "anyone", "nothing"),
    Row("POST", "/login/passkey", "anyone", "secret", "sign-in"),
    Row("POST", "/login/2fa", "anyone", "secret", "second-factor"),
    Row("POST", "/login/2fa/options", "anyone", "secret"),
    Row("POST", "/login/key", "person", "password", "confirm"),
    Row("POST", "/logout", "anyone", "page", "sign-out"),
    Row("POST", "/account/setup/<token>", "anyone", "secret", "invite-redeemed"),
    Row("POST", "/account/download", "person", "page", "notes-downloaded", by_link=True),
    Row("POST", "/account/sharing", "person", "password", "vault-shared"),
    Row("POST", "/account/sharing/end", "person", "page", "share-ended"),
    Row("POST", "/account/name", "person", "page", "name-changed"),
    Row("POST", "/account/change-password", "person", "password", "password-changed"),
    Row("POST", "/account/2fa", "person", "password", "second-factor-on second-factor-off"),
    Row("POST", "/account/passkeys/<passkey_id>", "person", "password", "passkey-removed passkey-renamed"),
    Row("POST", "/account/sessions", "person", "page", "session-ended other-sessions-ended"),
    Row("POST", "/api/account/step-up", "person", "password", "confirm"),
    Row("POST", "/api/account/step-up/options", "person", "page"),
    Row("POST", "/api/account/passkeys/start", "person", "password"),
    Row("POST", "/api/account/passkeys", "person", "page", "passkey-added"),
    Row("POST", "/api/account/password", "person", "password", "password-changed"),
    Row("POST", "/api/account/2fa/start", "person", "password"),
    Row("POST", "/api/account/2fa/confirm", "person", "password", "second-factor-on"),
    Row("POST", "/api/account/2fa/codes", "person", "password", "recovery-codes-renewed"),
    Row("POST", "/api/account/2fa/disable", "person", "password", "second-factor-off"),
    Row("DELETE", "/api/account/sessions", "person", "page", "other-sessions-ended"),
    # A browser that a link signed in ends its own session alone.
    Row("DELETE", "/api/account/sessions/<session_id>", "person", "page", "session-ended", by_link=True),
    # A phone that is let in by a browser that is signed in: the link holds a secret, then a cookie binds it.
    Row("POST", "/api/phone-links", "person", "step-up", "phone-link-made"),
    Row("POST", "/api/phone-links/<link_id>/answer", "person", "page", "phone-link-refused"),
    Row("POST", "/account/phone", "person", "password", "phone-link-made"),
    Row("POST", "/account/phone/<link_id>", "person", "page", "phone-link-refused"),
    Row("POST", "/login/phone", "anyone", "secret"),
    Row("POST", "/login/phone/wait", "anyone", "secret", "phone-signed-in"),
    # The wizard: open for an hour to the session that claimed the hub, later with a password.
    Row("POST", "/admin/setup/account", "anyone", "secret", "owner-created"),
    Row("POST", "/admin/setup/modules", "owner", "page"),
    Row("POST", "/admin/setup/vault", "owner", "page"),
    Row("POST", "/admin/setup/scribe", "owner", "page"),
    Row("POST", "/admin/setup/install/<short>", "owner", "page", "module-install"),
    Row("POST", "/admin/setup/continue", "owner", "page"),
    Row(
        "POST",
        "/admin/setup/expose",
        "owner",
        "password",
        "origin-changed",
        sometimes="a new public address, an hour after claiming",
    ),
)


def pattern(rule: str) -> re.Pattern[str]:
    """A rule as a pattern; its first variable is the object of the action, unless it is a secret."""
    begin, *rest = re.split(r"<(path:)?(\w+)>", rule)
    made = re.escape(begin)
    for path, name, after in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        text = ".+" if path else "[^/]+"
        made += (f"(?:{text})" if name == "token" else f"({text})") + re.escape(after)
    return re.compile(made)


_BY_LINK = [(row.method.encode(), pattern(row.rule)) for row in ROWS if row.by_link]


def may_by_link(method: bytes, path: bytes) -> bool:
    """Whether a browser that a link signed in may change something by this request.

    >>> may_by_link(b"POST", b"/account/download"), may_by_link(b"POST", b"/account/apps")
    (True, False)
    """
    text = path.decode("latin-1")
    return any(method == one and found.fullmatch(text) for one, found in _BY_LINK)
