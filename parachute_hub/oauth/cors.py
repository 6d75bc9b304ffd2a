"""Which pages of other sites may read which answer. No credentials, with one echo.

`/oauth/authorize*` has no CORS at all: a page that could read it could consent in a person's place.
"""

from twisted.web.iweb import IRequest

_ALLOW_HEADERS = "Authorization, Content-Type, X-Requested-With, MCP-Protocol-Version, DPoP"
_MAX_AGE = "86400"


def allow_any(request: IRequest, methods: str) -> None:
    """Anybody's page may read this answer; its cookies are not sent along."""
    _common(request, methods)
    request.setHeader("Access-Control-Allow-Origin", "*")


def echo_origin(request: IRequest, methods: str) -> None:
    """For `/oauth/register` alone: surface-client sends `credentials: "include"`, which `*` does not satisfy.

    The answer does not depend on a cookie unless the request comes from our own pages.
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
    """The answer to OPTIONS, after one of the above."""
    request.setResponseCode(204)
    return b""


def _common(request: IRequest, methods: str) -> None:
    request.setHeader("Access-Control-Allow-Methods", methods)
    request.setHeader("Access-Control-Allow-Headers", _ALLOW_HEADERS)
    request.setHeader("Access-Control-Expose-Headers", "WWW-Authenticate")
    request.setHeader("Access-Control-Max-Age", _MAX_AGE)
