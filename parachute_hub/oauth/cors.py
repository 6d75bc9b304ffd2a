"""CORS for the OAuth endpoints: no credentials, except for one endpoint.

`/oauth/authorize*` has no CORS at all: a page that could read it could give consent on the user's behalf.
"""

from twisted.web.iweb import IRequest

_ALLOW_HEADERS = "Authorization, Content-Type, X-Requested-With, MCP-Protocol-Version, DPoP"
_MAX_AGE = "86400"


def allow_any(request: IRequest, methods: str) -> None:
    """Any page may read this response; cookies are not sent."""
    _common(request, methods)
    request.setHeader("Access-Control-Allow-Origin", "*")


def echo_origin(request: IRequest, methods: str) -> None:
    """For `/oauth/register` only: surface-client sends `credentials: "include"`, which `*` does not allow.

    The response only depends on cookies for requests from the hub's own pages.
    """
    _common(request, methods)
    origin = request.getHeader("Origin")
    request.setHeader("Vary", "Origin")
    if origin is None:
        request.setHeader("Access-Control-Allow-Origin", "*")
    else:
        request.setHeader("Access-Control-Allow-Origin", origin)
        request.setHeader("Access-Control-Allow-Credentials", "true")


def preflight(request: IRequest) -> bytes:
    """The response to OPTIONS, after calling one of the above."""
    request.setResponseCode(204)
    return b""


def _common(request: IRequest, methods: str) -> None:
    request.setHeader("Access-Control-Allow-Methods", methods)
    request.setHeader("Access-Control-Allow-Headers", _ALLOW_HEADERS)
    request.setHeader("Access-Control-Expose-Headers", "WWW-Authenticate")
    request.setHeader("Access-Control-Max-Age", _MAX_AGE)
