"""Access to modules: exposure, credentials, WebSocket rules."""

import re
from urllib.parse import parse_qsl

from parachute_hub.proxy.client_address import ClientInfo
from parachute_hub.proxy.head import RequestHead
from parachute_hub.proxy.routes import ErrorResponse, Mount

_KEY_IN_QUERY = re.compile(rb"(?:^|&)key=[^&]").search
# The parameter name may be percent-encoded: `k%65y`.
_MAYBE_KEY_IN_QUERY = re.compile(rb"(?:^|&)(?:key|[^=&]*%[^=&]*)=").search
_BEARER = re.compile(rb"[ \t]*bearer[ \t]+(.*)\Z", re.IGNORECASE | re.DOTALL).match
# Three parts. Their content is not checked here, since modules accept base64 variants that the hub would not.
_SIGNED = re.compile(rb"eyJ[^.]*\.[^.]+\.[^.]+\Z").match

SIGN_IN = ErrorResponse(
    401,
    "unauthenticated",
    "This module is not open to everyone. Sign in, or send an access token or an API key.",
    headers=(("WWW-Authenticate", "Bearer"),),
)
_NO_WORKER = ErrorResponse(403, "no_service_worker", "A service worker may only come from below the module's own path.")
_NO_WEBSOCKET = ErrorResponse(
    426, "websocket_not_supported", "This module does not speak WebSocket.", headers=(("Upgrade", "websocket"),)
)
_BAD_HANDSHAKE = ErrorResponse(
    400, "upgrade_failed", "This is not a valid WebSocket handshake (RFC 6455, section 4.1).", close=True
)
_FOREIGN_PAGE = ErrorResponse(403, "foreign_origin", "Pages of other sites cannot open a WebSocket with your cookies.")
TOO_MANY_WEBSOCKETS = ErrorResponse(
    429, "too_many_connections", "Too many WebSockets are open. Close one and try again.", close=True
)
TOO_MANY_REQUESTS = ErrorResponse(
    503,
    "too_many_requests",
    "Too many requests from your network are under way. Try again in a second.",
    headers=(("Retry-After", "1"),),
    close=True,
)
CLOSING = ErrorResponse(
    503, "service_unavailable", "The hub is shutting down. Try again in a moment.", (("Retry-After", "2"),)
)


def needs_session(mount: Mount, request: RequestHead, path: bytes) -> bool:
    """True if the request carries no credential, so that only a live hub session lets it through."""
    if mount.exposure != "auth-required" or path in mount.open_paths:
        return False
    return not is_preflight(request) and not has_credential(request)


def refusal(mount: Mount, request: RequestHead, path: bytes, *, own_origin: bool) -> ErrorResponse | None:
    """Why this request must not reach the module, whoever sends it; None if it may.

    `own_origin` is true if the Origin header, if any, is one of the hub's.
    """
    if b"service-worker" in request.noted and not path.startswith(mount.prefix + b"/"):
        # A script at /notes, without a trailing slash, could control the whole origin.
        return _NO_WORKER
    if request.upgrade:
        return _websocket_refusal(mount, request, own_origin)
    return None


def _websocket_refusal(mount: Mount, request: RequestHead, own_origin: bool) -> ErrorResponse | None:
    if not mount.websocket:
        return _NO_WEBSOCKET
    if request.method != b"GET" or request.has_body or not request.noted.get(b"sec-websocket-key", b"").strip():
        return _BAD_HANDSHAKE
    return _FOREIGN_PAGE if b"cookie" in request.noted and not own_origin else None


def signed_tokens(request: RequestHead) -> tuple[str, ...]:
    """The credentials that may be tokens issued by this hub, from every place where modules look for one.

    These are the bearer, `X-API-Key` and `key=`. A revoked token must be refused in all of them.
    """
    noted, query = request.noted, request.target.partition(b"?")[2]
    shown = []
    authorization = noted.get(b"authorization")
    bearer = _BEARER(authorization) if authorization is not None else None
    if bearer is not None:
        shown.append(bearer[1])
    if b"x-api-key" in noted:
        shown.append(noted[b"x-api-key"])
    if query and _MAYBE_KEY_IN_QUERY(query):
        shown += [value for name, value in parse_qsl(query) if name == b"key"]
    return tuple(value.decode("latin-1") for value in map(bytes.strip, shown) if _SIGNED(value)) if shown else ()


def is_own_origin(request: RequestHead, caller: ClientInfo, hosts: frozenset[bytes], issuer: str) -> bool:
    """True if the Origin header is absent (not a browser) or names the hub."""
    origin = request.noted.get(b"origin")
    if origin is None:
        return True
    scheme, separator, host = origin.strip().lower().partition(b"://")
    if not separator or scheme not in (b"http", b"https"):
        return False
    return host == caller.host or origin.strip().lower() == issuer.encode() or host in hosts


def is_preflight(request: RequestHead) -> bool:
    """True for a CORS preflight, which never carries credentials (Fetch, CORS preflight)."""
    return request.method == b"OPTIONS" and b"access-control-request-method" in request.noted


def has_credential(request: RequestHead) -> bool:
    """True if the request has something where modules look for a token or key, whatever it is."""
    noted = request.noted
    if noted.get(b"authorization", b"").strip() or noted.get(b"x-api-key", b"").strip():
        return True
    return _KEY_IN_QUERY(request.target.partition(b"?")[2]) is not None


def may_have_credential(request: RequestHead) -> bool:
    """True also if a module might decode the query into a key."""
    return has_credential(request) or _MAYBE_KEY_IN_QUERY(request.target.partition(b"?")[2]) is not None
