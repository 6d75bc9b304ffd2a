"""`/oauth/token` and `/oauth/revoke`, for programs. Parameters come from the body only; responses are never cached."""

import base64
from binascii import Error as NotBase64
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IRequest

from parachute_hub.oauth import cors, metadata
from parachute_hub.oauth.authorization import resource
from parachute_hub.oauth.authorization.policy import ErrorRedirect
from parachute_hub.oauth.authorization.resource import InvalidTarget, Target
from parachute_hub.oauth.authorization.scopes import split
from parachute_hub.oauth.clients.lookup import ClientDirectory, secret_matches
from parachute_hub.oauth.device import policy as device
from parachute_hub.oauth.device.requests import DeviceRequests
from parachute_hub.oauth.params import Params, form
from parachute_hub.oauth.tokens.grant_policy import Deny
from parachute_hub.oauth.tokens.issuer import Issuer
from parachute_hub.oauth.tokens.token_service import ACCESS_LIFETIME, IssuedTokens, TokenExchange
from parachute_hub.oauth.well_known import Resources, catalog_of
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.errors import Refused
from parachute_hub.site.rate_limit import RateLimit
from parachute_hub.store.rows import Client
from parachute_hub.system.networks import network_of

PER_MINUTE = 60
MAX_SCOPE = 4096
_ONCE = (
    "grant_type",
    "client_id",
    "client_secret",
    "code",
    "device_code",
    "redirect_uri",
    "code_verifier",
    "refresh_token",
    "scope",
)


class TokenArea:
    """Authenticates the client, calls the redeemer, and renders the result."""

    app: Klein = area()

    def __init__(
        self,
        *,
        issuer: Issuer,
        directory: ClientDirectory,
        redeemer: TokenExchange,
        devices: DeviceRequests,
        resources: Resources,
        address: Callable[[IRequest], str],
        clock: IReactorTime,
    ) -> None:
        self._issuer = issuer
        self._directory = directory
        self._redeemer = redeemer
        self._devices = devices
        self._resources = resources
        self._address = address
        self._limit = RateLimit(times=PER_MINUTE, seconds=60.0, clock=clock.seconds)

    @app.route("/oauth/token", methods=["POST", "OPTIONS"])
    async def token(self, request: IRequest) -> bytes:
        """RFC 6749, section 3.2: exchange a code or refresh token for an access token."""
        if _begin(request):
            return cors.preflight(request)
        params = form(request)
        _once(params, _ONCE)
        client = self._client(request, params)
        self._count(request, client)
        match params.get("grant_type"):
            case "authorization_code":
                given = await self._by_code(request, params, client)
            case "refresh_token":
                given = await self._by_refresh(request, params, client)
            case device.GRANT:
                params.need("device_code")
                given = await self._redeemer.device(
                    params.get("device_code"), client_id=client.client_id, address=self._address(request)
                )
            case "":
                raise Refused(400, "invalid_request", "Missing: grant_type.")
            case _:
                raise Refused(
                    400, "unsupported_grant_type", f"Use authorization_code, refresh_token or {device.GRANT}."
                )
        if isinstance(given, Deny):
            raise Refused(400, given.error, given.description)
        return as_json(request, self._rendered(given))

    @app.route("/oauth/revoke", methods=["POST", "OPTIONS"])
    async def revoke(self, request: IRequest) -> bytes:
        """RFC 7009: end the whole connection that the token belongs to. 200 whether or not the token is known."""
        if _begin(request):
            return cors.preflight(request)
        params = form(request)
        _once(params, ("token", "token_type_hint", "client_id", "client_secret"))
        client = self._client(request, params)
        params.need("token")
        self._count(request, client)
        await self._redeemer.revoke(params.get("token"), client.client_id)
        request.setHeader("Content-Type", "application/json")
        return b""

    @app.route("/oauth/device_authorization", methods=["POST", "OPTIONS"])
    async def begin_device(self, request: IRequest) -> bytes:
        """RFC 8628, section 3.1: a code for a device or program that has no browser. Never a link with the code in it:
        whoever sends such a link to somebody would be let in as them.
        """
        if _begin(request):
            return cors.preflight(request)
        params = form(request)
        _once(params, ("client_id", "client_secret", "scope"))
        client = self._client(request, params)
        self._count(request, client)
        if not device.may_ask(client):
            raise Refused(400, "unauthorized_client", "An owner of this hub must approve this client first.")
        uris = " ".join(dict.fromkeys(uri for uri in params.all("resource") if uri))
        scope = params.get("scope")[:MAX_SCOPE]
        problem = self._devices.question(client, None, scope=scope, resource=uris)
        if isinstance(problem, ErrorRedirect):
            raise Refused(400, problem.error, problem.description)
        begun = await self._devices.begin(client, scope=scope, resource=uris, address=self._address(request))
        return as_json(
            request,
            {
                "device_code": begun.device_code,
                "user_code": device.shown(begun.user_code),
                "verification_uri": f"{self._issuer.issuer}/oauth/device",
                "expires_in": int(device.LIFETIME),
                "interval": int(device.INTERVAL),
            },
        )

    def _count(self, request: IRequest, client: Client) -> None:
        """Count per client and address, so that a stranger who knows a client id cannot use up its limit."""
        self._limit.use(f"{client.client_id} {network_of(self._address(request))}")

    async def _by_code(self, request: IRequest, params: Params, client: Client) -> IssuedTokens | Deny:
        params.need("code", "code_verifier")
        return await self._redeemer.code(
            params.get("code"),
            client_id=client.client_id,
            redirect_uri=params.get("redirect_uri"),
            verifier=params.get("code_verifier"),
            target=self._target(params),
            address=self._address(request),
        )

    async def _by_refresh(self, request: IRequest, params: Params, client: Client) -> IssuedTokens | Deny:
        params.need("refresh_token")
        return await self._redeemer.refresh(
            params.get("refresh_token"),
            client_id=client.client_id,
            scopes=split(params.get("scope")),
            target=self._target(params),
            address=self._address(request),
        )

    def _target(self, params: Params) -> Target | None:
        try:
            uris = [uri for uri in params.all("resource") if uri]
            return resource.read_all(uris, origins=self._issuer.origins, catalog=catalog_of(self._resources))
        except InvalidTarget as error:
            raise Refused(400, "invalid_target", str(error)) from None

    def _rendered(self, given: IssuedTokens) -> dict[str, Any]:
        scopes = given.access.scopes
        answer = {
            "access_token": given.access.token,
            "token_type": "Bearer",
            "expires_in": int(ACCESS_LIFETIME),
            "refresh_token": given.refresh_token,
            "scope": " ".join(scopes),
            "services": metadata.services(self._issuer.issuer, scopes, self._resources.services_catalog()),
        }
        vault = metadata.only_vault(scopes)
        return answer if vault is None else {**answer, "vault": vault}

    def _client(self, request: IRequest, params: Params) -> Client:
        """Authenticate the client by id and, if it has one, secret (RFC 6749, section 2.3). Raises Refused 400
        or 401.
        """
        client_id, secret = params.get("client_id"), params.get("client_secret")
        basic = _basic(request)
        if basic is not None:
            if secret or client_id not in ("", basic[0]):
                raise Refused(400, "invalid_request", "Identify the client in one way only.")
            client_id, secret = basic
        if not client_id:
            raise Refused(400, "invalid_request", "Missing: client_id.")
        client = self._directory.known(client_id)
        if client is None:
            raise _invalid_client("The hub does not know this client. Register it again.")
        if client.secret_hash is not None and not secret_matches(client, secret):
            raise _invalid_client("The client's secret is missing or wrong.")
        if client.secret_hash is None and secret:
            raise _invalid_client("This client has no secret.")
        if client.status == "pending":
            raise Refused(
                401,
                "invalid_client",
                "The owner of this hub has not approved this client yet.",
                detail={
                    "approve_url": f"{self._issuer.issuer}/admin/approve-client/{client_id}",
                    "cli_alternative": f"parachute auth approve-client {client_id}",
                },
            )
        return client


def _begin(request: IRequest) -> bool:
    """Set the headers of every response, including errors. True for a preflight."""
    cors.allow_any(request, "POST, OPTIONS")
    request.setHeader("Cache-Control", "no-store")
    request.setHeader("Pragma", "no-cache")
    return bool(request.method == b"OPTIONS")


def _once(params: Params, names: tuple[str, ...]) -> None:
    repeated = params.repeated(names)
    if repeated:
        raise Refused(400, "invalid_request", f"Sent more than once: {', '.join(sorted(repeated))}.")


def _invalid_client(description: str) -> Refused:
    return Refused(401, "invalid_client", description, headers={"WWW-Authenticate": 'Basic realm="hub"'})


def _basic(request: IRequest) -> tuple[str, str] | None:
    """The client id and secret from the Authorization header (RFC 6749, section 2.3.1). Raises Refused 401."""
    header = request.getHeader("Authorization")
    if header is None:
        return None
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        raise _invalid_client("Identify the client by client_id or HTTP Basic.")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (NotBase64, ValueError):
        raise _invalid_client("The Authorization header cannot be read.") from None
    client_id, colon, secret = text.partition(":")
    if not colon:
        raise _invalid_client("The Authorization header cannot be read.")
    return unquote_plus(client_id), unquote_plus(secret)
