"""`/api/invites`: invitations by link."""

from collections.abc import Callable, Sequence
from typing import Any

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.accounts.model import Clock, Origins
from parachute_hub.accounts.people.invitations import LASTS, Invitations
from parachute_hub.accounts.validation import vault_roles
from parachute_hub.admin.users_api import actor_of
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator, StepUp
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused
from parachute_hub.store.rows import Invite
from parachute_hub.system.timestamps import to_the_second


class InvitesApi:
    """Creating a link needs a step-up proof for `user.invite`."""

    app: Klein = area()

    def __init__(
        self,
        *,
        invitations: Invitations,
        who: Authenticator,
        step_up: StepUp,
        origins: Origins,
        vault_names: Callable[[], Sequence[str]],
        address: Callable[[IRequest], str],
        clock: Clock,
    ) -> None:
        self._invitations = invitations
        self._who = who
        self._step_up = step_up
        self._origins = origins
        self._vault_names = vault_names
        self._address = address
        self._clock = clock

    @app.route("/api/invites", methods=["GET"])
    def list(self, request: IRequest) -> bytes:
        """All invitations, newest first."""
        self._who.need(request, ADMIN)
        return as_json(request, {"invites": [self._shown(invite) for invite in self._invitations.all()]})

    @app.route("/api/invites", methods=["POST"])
    async def make(self, request: IRequest) -> bytes:
        """`{vaults? | vault_name?, role?, provision_vault?, name?, note?, username?, expires_in?, max_uses?}`; 201
        with the link. `provision_vault` gives whoever joins a new vault, named after them.
        """
        principal = self._who.need(request, ADMIN)
        body = read_json(request)
        vaults = body.get("vaults", {})
        if body.get("vault_name"):
            vaults = {str(body["vault_name"]): body.get("role", "write")}
        roles = vault_roles(vaults, {})
        unknown = sorted(set(roles) - set(self._vault_names()))
        if unknown:
            raise Refused(400, "assigned_vault_not_found", f"There is no vault named {unknown[0]}.")
        self._step_up.prove(request, principal, "user.invite")
        invite, token = await self._invitations.make(
            actor_of(principal, self._address(request)),
            vaults=roles,
            own_vault=body.get("provision_vault") is True,
            name=_optional_text(body, "name") or "",
            note=_optional_text(body, "note") or "",
            username=_optional_text(body, "username"),
            lasts=_number(body, "expires_in", LASTS),
            max_uses=_number(body, "max_uses", 1),
        )
        return as_json(request, {"invite": self._shown(invite), **self._link(token)}, status=201)

    @app.route("/api/invites/<invite_id>/link", methods=["POST"])
    async def link(self, request: IRequest, invite_id: str) -> bytes:
        """The link of an invitation once more, while it is valid."""
        actor = actor_of(self._who.need(request, ADMIN), self._address(request))
        return as_json(request, self._link(await self._invitations.show(actor, invite_id)))

    @app.route("/api/invites/<invite_id>", methods=["DELETE"])
    async def revoke(self, request: IRequest, invite_id: str) -> bytes:
        """Revoke an invitation."""
        actor = actor_of(self._who.need(request, ADMIN), self._address(request))
        return as_json(request, {"invite": self._shown(await self._invitations.revoke(actor, invite_id))})

    def _link(self, token: str) -> dict[str, str]:
        url = f"{self._origins.issuer()}/account/setup/{token}"
        # Half a megabyte that only this needs.
        import segno

        return {"token": token, "url": url, "qr_data_url": segno.make(url, error="m").png_data_uri(scale=5, border=3)}

    def _shown(self, invite: Invite) -> dict[str, Any]:
        return {
            "id": invite.id,
            "status": invite.status(self._clock()),
            "name": invite.name,
            "note": invite.note,
            "username": invite.username,
            "own_vault": invite.own_vault,
            "vaults": dict(invite.vaults),
            "max_uses": invite.max_uses,
            "used_count": invite.used_count,
            "created_at": to_the_second(invite.created_at),
            "expires_at": to_the_second(invite.expires_at),
        }


def _optional_text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Refused(400, "invalid_request", f"Give {name} as a text.")
    return value.strip() or None if value else None


def _number(body: dict[str, Any], name: str, default: int) -> int:
    value = body.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise Refused(400, "invalid_request", f"Give {name} as a whole number.")
    return value
