"""The areas for users, invitations and the hub's address."""

from collections.abc import Awaitable, Callable, Sequence

from parachute_hub.accounts.assemble import Accounts
from parachute_hub.admin.audit_api import AuditApi
from parachute_hub.admin.invites_api import InvitesApi
from parachute_hub.admin.settings_api import SettingsApi
from parachute_hub.admin.users_api import UsersApi
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.root import MountedArea


def people_parts(
    accounts: Accounts,
    who: Authenticator,
    vault_names: Callable[[], Sequence[str]],
    *,
    apps: Callable[[], Sequence[str]],
    reach: Callable[[str], Awaitable[str | None]],
) -> tuple[MountedArea, ...]:
    """`who` identifies callers; `vault_names` lists the vaults that users can be given.

    `apps` names the connected apps; `reach` says why this hub cannot be reached at an address, or None.
    """

    def invitations() -> int:
        now = accounts.clock()
        return sum(invite.status(now) == "pending" for invite in accounts.invitations.all())

    address = accounts.caller.client_address
    users = UsersApi(
        people=accounts.people,
        quotas=accounts.quotas,
        who=who,
        step_up=accounts.step_up,
        address=address,
        vault_names=vault_names,
    )
    invites = InvitesApi(
        invitations=accounts.invitations,
        who=who,
        step_up=accounts.step_up,
        origins=accounts.origin,
        vault_names=vault_names,
        address=address,
        clock=accounts.clock,
    )
    settings = SettingsApi(
        origin=accounts.origin,
        who=who,
        step_up=accounts.step_up,
        clock=accounts.clock,
        apps=apps,
        invitations=invitations,
        reach=reach,
        passkeys=accounts.passkeys,
        called=lambda user_id: accounts.people.get(user_id).called,
    )
    audit = AuditApi(who=who, audit=accounts.audit)
    return (
        MountedArea(("/api/audit",), audit.app.resource()),
        MountedArea(("/api/users",), users.app.resource()),
        MountedArea(("/api/invites",), invites.app.resource()),
        MountedArea(("/api/settings/hub-origin",), settings.app.resource()),
    )
