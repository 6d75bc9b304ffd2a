"""APIs for connected apps and registered clients, including the older hub's API."""

from typing import Any
from urllib.parse import quote

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.oauth.authorization.approval_page import safe_return
from parachute_hub.oauth.clients.connections import ConnectedApp, Connections
from parachute_hub.oauth.clients.endpoint import rendered
from parachute_hub.oauth.params import query
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator, Principal, StepUp
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused, not_found

READ, WRITE = "account:self:read", "account:self:write"
# Each includes those before it.
_ACCOUNT = (READ, WRITE, "account:self:admin")


class AppsArea:
    """`/api/apps` and `/api/grants` are for every user; `/api/oauth/clients` is for owners."""

    app: Klein = area()
    # A client_id that is a URL contains two consecutive slashes.
    app.url_map.merge_slashes = False

    def __init__(self, *, connections: Connections, who: Authenticator, step_up: StepUp) -> None:
        self._connections = connections
        self._who = who
        self._step_up = step_up

    @app.route("/api/apps", methods=["GET"])
    def apps(self, request: IRequest) -> bytes:
        """The user's connected apps."""
        apps = self._connections.of_user(self._person(request, READ))
        return as_json(request, {"apps": [app.to_json() for app in apps]})

    @app.route("/api/apps/disconnect", methods=["POST"])
    async def disconnect(self, request: IRequest) -> bytes:
        """End an app's access. Its id is in the body, because it may be a URL."""
        user_id = self._person(request, WRITE)
        client_id = read_json(request).get("client_id")
        if not isinstance(client_id, str) or not await self._connections.disconnect(user_id, client_id):
            raise not_found("You have no such app connected.")
        return as_json(request, {"client_id": client_id, "disconnected": True})

    @app.route("/api/grants", methods=["GET"])
    def grants(self, request: IRequest) -> bytes:
        """The same as `/api/apps` in the older hub's format; `vault` filters by vault."""
        vault = query(request).get("vault")
        apps = self._connections.of_user(self._person(request, READ))
        shown = [_as_grant(app) for app in apps if not vault or vault in app.to_json()["vaults"]]
        return as_json(request, {"grants": shown})

    @app.route("/api/grants/<path:client_id>", methods=["DELETE"])
    async def delete_grant(self, request: IRequest, client_id: str) -> bytes:
        """Like `disconnect`. 204."""
        if not await self._connections.disconnect(self._person(request, WRITE), client_id):
            raise not_found("You have no such app connected.")
        request.setResponseCode(204)
        return b""

    @app.route("/api/oauth/clients", methods=["GET"])
    def clients(self, request: IRequest) -> bytes:
        """All registered clients, newest first."""
        self._who.need(request, ADMIN)
        return as_json(request, {"clients": [rendered(client, None) for client in self._connections.clients()]})

    @app.route("/api/oauth/clients/<path:client_id>", methods=["GET"])
    def client(self, request: IRequest, client_id: str) -> bytes:
        """One client."""
        self._who.need(request, ADMIN)
        return as_json(request, self._client(client_id))

    @app.route("/api/oauth/clients/<path:client_id>/approve", methods=["POST"])
    async def approve(self, request: IRequest, client_id: str) -> bytes:
        """Approve a client. `return_to` is its pending authorization request."""
        principal: Principal = self._who.need(request, ADMIN)
        before = self._client(client_id)
        return_to = read_json(request).get("return_to")
        self._step_up.prove(request, principal, f"client.approve:{quote(client_id, safe='')}")
        await self._connections.approve_client(client_id, principal.name)
        answer = {
            "client_id": client_id,
            "status": "approved",
            "already_approved": before["status"] == "approved",
        }
        place = safe_return(return_to) if isinstance(return_to, str) else None
        return as_json(request, {**answer, "redirect_to": place} if place else answer)

    def _client(self, client_id: str) -> dict[str, Any]:
        client = self._connections.client(client_id)
        if client is None:
            raise not_found("There is no such client.")
        return rendered(client, None)

    def _person(self, request: IRequest, scope: str) -> str:
        """The user whose apps these are. A bearer token needs `scope` or a wider one; a session needs none."""
        principal = self._who.identify(request)
        if principal is None or principal.user_id is None:
            raise Refused(401, "unauthenticated", "Sign in first: connected apps belong to a person.")
        wide_enough = _ACCOUNT[_ACCOUNT.index(scope) :]
        if principal.kind != "session" and not principal.scopes.intersection((*wide_enough, ADMIN)):
            challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
            raise Refused(
                403, "insufficient_scope", f"This needs the scope {scope}.", headers={"WWW-Authenticate": challenge}
            )
        return principal.user_id


def _as_grant(app: ConnectedApp) -> dict[str, Any]:
    return {
        "client_id": app.client.client_id,
        "client_name": app.client.name,
        "scopes": list(app.grant.scopes),
        "granted_at": app.grant.first_at,
    }
