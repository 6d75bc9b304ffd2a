"""The areas for users, invitations and the hub's address."""

from collections.abc import Awaitable, Callable, Sequence

from parachute_hub.accounts.assemble import Accounts
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.root import MountedArea, later
from parachute_hub.system.loading import lazily

with lazily():
    from parachute_hub.admin import audit_api, invites_api, settings_api, users_api


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
    return (
        later(("/api/audit",), audit_api, lambda: audit_api.AuditApi(who=who, audit=accounts.audit).app),
        later(
            ("/api/users",),
            users_api,
            lambda: (
                users_api.UsersApi(
                    people=accounts.people,
                    quotas=accounts.quotas,
                    who=who,
                    step_up=accounts.step_up,
                    address=address,
                    vault_names=vault_names,
                ).app
            ),
        ),
        later(
            ("/api/invites",),
            invites_api,
            lambda: (
                invites_api.InvitesApi(
                    invitations=accounts.invitations,
                    who=who,
                    step_up=accounts.step_up,
                    origins=accounts.origin,
                    vault_names=vault_names,
                    address=address,
                    clock=accounts.clock,
                ).app
            ),
        ),
        later(
            ("/api/settings/hub-origin",),
            settings_api,
            lambda: (
                settings_api.SettingsApi(
                    origin=accounts.origin,
                    who=who,
                    step_up=accounts.step_up,
                    clock=accounts.clock,
                    apps=apps,
                    invitations=invitations,
                    reach=reach,
                    passkeys=accounts.passkeys,
                    called=lambda user_id: accounts.people.get(user_id).called,
                ).app
            ),
        ),
    )
