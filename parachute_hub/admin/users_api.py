"""`/api/users`, for administrators."""

from collections.abc import Callable, Sequence
from typing import Any

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.accounts.forms import query
from parachute_hub.accounts.people.quotas import Quotas
from parachute_hub.accounts.people.users import Actor, People
from parachute_hub.accounts.validation import vault_roles
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator, Principal, StepUp
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused
from parachute_hub.store.rows import User, VaultRole
from parachute_hub.system.timestamps import to_the_second

# How long modules may keep accepting a revoked token.
REVOCATION_LAG_SECONDS = 60


class UsersApi:
    """Every change to another user's account needs a step-up proof.

    The operations are `user.create`, and `user.<delete|role|vaults|quota|reset-password|second-factor>:<id>`.
    """

    app: Klein = area()

    def __init__(
        self,
        *,
        people: People,
        quotas: Quotas,
        who: Authenticator,
        step_up: StepUp,
        address: Callable[[IRequest], str],
        vault_names: Callable[[], Sequence[str]],
    ) -> None:
        self._people = people
        self._quotas = quotas
        self._who = who
        self._step_up = step_up
        self._address = address
        self._vault_names = vault_names

    @app.route("/api/users", methods=["GET"])
    def list(self, request: IRequest) -> bytes:
        """All users."""
        self._who.need(request, ADMIN)
        return as_json(request, {"users": [self._shown(user) for user in self._people.all()]})

    @app.route("/api/users", methods=["POST"])
    async def create(self, request: IRequest) -> bytes:
        """`{username, password, assigned_vaults?, role?}`; the password must be changed at the first sign-in."""
        actor = self._confirmed(request, "user.create")
        body = read_json(request)
        user = await self._people.add(
            actor,
            _text(body, "username").strip(),
            _text(body, "password"),
            vaults=self._vaults(body.get("assigned_vaults", body.get("vaults", {})), {}),
            role="admin" if body.get("role") == "admin" else "member",
        )
        return as_json(request, {"user": self._shown(user)}, status=201)

    @app.route("/api/users/vaults", methods=["GET"])
    def vaults(self, request: IRequest) -> bytes:
        """The vaults that users can be given."""
        self._who.need(request, ADMIN)
        return as_json(request, {"vaults": [*self._vault_names()]})

    @app.route("/api/users/<user_id>", methods=["DELETE"])
    async def delete(self, request: IRequest, user_id: str) -> bytes:
        """Delete a user and everything issued to them.

        `?heir=` is who gets their own vaults; with `?vaults=delete` they are deleted after 30 days.
        """
        actor = self._confirmed(request, f"user.delete:{user_id}")
        delete = query(request, "vaults") == "delete"
        await self._people.delete(actor, user_id, heir=query(request, "heir") or None, delete_vaults=delete)
        return as_json(request, {"ok": True, "revocation_lag_seconds": REVOCATION_LAG_SECONDS})

    @app.route("/api/users/<user_id>/vaults", methods=["PATCH"])
    async def set_vaults(self, request: IRequest, user_id: str) -> bytes:
        """`{assigned_vaults: {name: role} | [name], own_vaults?: [name]}`; names that stay in a list keep their role.

        `own_vaults` are those of them that the user may share; without it they stay.
        """
        actor = self._confirmed(request, f"user.vaults:{user_id}")
        kept = self._people.get(user_id).vaults
        body = read_json(request)
        vaults = self._vaults(body.get("assigned_vaults", body.get("vaults")), kept)
        own = body.get("own_vaults")
        if own is not None and not (isinstance(own, list) and all(vaults.get(name) == "write" for name in own)):
            raise Refused(400, "invalid_request", "own_vaults is a list of vaults that the person may write to.")
        return as_json(request, {"user": self._shown(await self._people.set_vaults(actor, user_id, vaults, own))})

    @app.route("/api/users/<user_id>/quota", methods=["PUT"])
    async def set_quota(self, request: IRequest, user_id: str) -> bytes:
        """`{bytes}` that the user's own vaults may take together; 0 for no limit."""
        actor = self._confirmed(request, f"user.quota:{user_id}")
        user = await self._quotas.set_person(actor.name, user_id, read_json(request).get("bytes"))
        return as_json(request, {"user": self._shown(user)})

    @app.route("/api/users/<user_id>/role", methods=["PATCH"])
    async def set_role(self, request: IRequest, user_id: str) -> bytes:
        """`{role: admin|member}`."""
        actor = self._confirmed(request, f"user.role:{user_id}")
        match read_json(request).get("role"):
            case "admin" | "member" as role:
                return as_json(request, {"user": self._shown(await self._people.set_role(actor, user_id, role))})
            case _:
                raise Refused(400, "invalid_request", "The role is admin or member.")

    @app.route("/api/users/<user_id>/reset-password", methods=["POST"])
    async def reset_password(self, request: IRequest, user_id: str) -> bytes:
        """`{new_password}`: valid for one sign-in, where it must be changed."""
        actor = self._confirmed(request, f"user.reset-password:{user_id}")
        user = await self._people.reset_password(actor, user_id, _text(read_json(request), "new_password"))
        answer = {"ok": True, "user": self._shown(user), "revocation_lag_seconds": REVOCATION_LAG_SECONDS}
        return as_json(request, answer)

    @app.route("/api/users/<user_id>/second-factor", methods=["DELETE"])
    async def remove_second_factor(self, request: IRequest, user_id: str) -> bytes:
        """For a user who lost the app and the recovery codes, or a device with passkeys: all of it is removed."""
        actor = self._confirmed(request, f"user.second-factor:{user_id}")
        return as_json(request, {"user": self._shown(await self._people.remove_second_factor(actor, user_id))})

    def _confirmed(self, request: IRequest, operation: str) -> Actor:
        principal = self._who.need(request, ADMIN)
        self._step_up.prove(request, principal, operation)
        return actor_of(principal, self._address(request))

    def _vaults(self, value: Any, kept: Any) -> dict[str, VaultRole]:
        vaults = vault_roles(value, kept)
        known = set(self._vault_names())
        unknown = sorted(name for name in vaults if name not in known and name not in kept)
        if unknown:
            raise Refused(400, "assigned_vault_not_found", f"There is no vault named {unknown[0]}.")
        return vaults

    def _shown(self, user: User) -> dict[str, Any]:
        return {
            "id": user.id,
            "username": user.username,
            "display_name": user.display_name,
            "role": user.role,
            "password_changed": not user.must_change_password,
            "second_factor": self._people.has_second_factor(user.id),
            "passkeys": self._people.count_passkeys(user.id),
            "email": user.email,
            "assigned_vaults": [*user.vaults],
            "vaults": dict(user.vaults),
            "own_vaults": [*user.own],
            "quota": user.quota,
            "created_at": to_the_second(user.created_at),
        }


def actor_of(principal: Principal, address: str) -> Actor:
    """The acting user, for the audit log."""
    return Actor(name=principal.name, address=address, user_id=principal.user_id)


def _text(body: dict[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise Refused(400, "invalid_request", f"Give {name} as a text.")
    return value
