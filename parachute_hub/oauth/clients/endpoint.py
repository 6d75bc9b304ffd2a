"""`/oauth/register` (RFC 7591) and `DELETE /oauth/clients/<id>`."""

from typing import Any

from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IRequest

from parachute_hub.oauth import cors
from parachute_hub.oauth.authorization.browser_session import PageSessions
from parachute_hub.oauth.clients.connections import Connections
from parachute_hub.oauth.clients.lookup import ClientDirectory
from parachute_hub.oauth.clients.registration import BadMetadata
from parachute_hub.oauth.device.policy import GRANT
from parachute_hub.oauth.tokens.bearer_auth import BearerRecogniser
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator, Principal
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.site.rate_limit import RateLimit
from parachute_hub.store.rows import Client
from parachute_hub.system.networks import network_of

PER_HOUR = 20
BODY_LIMIT = 4 * 1024
HUB_ADMIN = "hub:admin"


class RegisterArea:
    """Registers apps. Anonymous ones need an owner's approval; first-party modules send the operator token."""

    app: Klein = area()

    def __init__(
        self,
        *,
        directory: ClientDirectory,
        connections: Connections,
        bearers: BearerRecogniser,
        visits: PageSessions,
        clock: IReactorTime,
    ) -> None:
        self._directory = directory
        self._connections = connections
        self._who = Authenticator([bearers])
        self._visits = visits
        self._limit = RateLimit(times=PER_HOUR, seconds=3600.0, clock=clock.seconds)

    @app.route("/oauth/register", methods=["POST", "OPTIONS"])
    async def register(self, request: IRequest) -> bytes:
        """Register an app. Cookies are ignored: a user's session must not approve what a page sends."""
        cors.echo_origin(request, "POST, OPTIONS")
        request.setHeader("Pragma", "no-cache")
        if request.method == b"OPTIONS":
            return cors.preflight(request)
        vouching = self._vouching(request)
        try:
            body = read_json(request, limit=BODY_LIMIT)
        except Refused as refused:
            raise Refused(refused.status, "invalid_client_metadata", refused.description) from None
        try:
            client, secret = await self._directory.register(
                body,
                vouched_by=vouching.name if vouching else None,
                before_new=lambda: self._limit.use(network_of(self._visits.address(request))),
            )
        except BadMetadata as error:
            raise Refused(400, error.error, str(error)) from None
        return as_json(request, rendered(client, secret), status=201)

    @app.route("/oauth/clients/<client_id>", methods=["DELETE", "OPTIONS"])
    async def delete(self, request: IRequest, client_id: str) -> bytes:
        """Delete an app and everything issued to it. 204."""
        cors.allow_any(request, "DELETE, OPTIONS")
        if request.method == b"OPTIONS":
            return cors.preflight(request)
        self._who.need(request, ADMIN)
        if not await self._connections.remove_client(client_id):
            raise not_found("There is no such client.")
        request.setResponseCode(204)
        return b""

    def _vouching(self, request: IRequest) -> Principal | None:
        """Who vouches for the app. An invalid bearer token is an error rather than an anonymous registration."""
        if request.getHeader("Authorization") is None:
            return None
        return self._who.need(request, HUB_ADMIN)


def rendered(client: Client, secret: str | None) -> dict[str, Any]:
    """The registration response (RFC 7591, section 3.2.1), with `status` and `same_hub` for first-party modules."""
    answer: dict[str, Any] = {
        "client_id": client.client_id,
        "client_id_issued_at": int(client.created_at),
        "redirect_uris": list(client.redirect_uris),
        "grant_types": [*(["authorization_code"] if client.redirect_uris else []), "refresh_token", GRANT],
        "response_types": ["code"] if client.redirect_uris else [],
        "token_endpoint_auth_method": client.auth_method,
        "status": client.status,
        "same_hub": client.same_hub,
        "client_name": client.name,
        **client.software,
    }
    if client.scope:
        answer["scope"] = client.scope
    if secret is not None:
        answer |= {"client_secret": secret, "client_secret_expires_at": 0}
    return answer
