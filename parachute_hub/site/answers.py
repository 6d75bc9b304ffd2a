"""Writes JSON responses and redirects, and negotiates the format, without a web framework."""

from twisted.web.iweb import IRequest

from parachute_hub.site.bodies import JSON, media_type
from parachute_hub.site.errors import Refused
from parachute_hub.site.safe_redirect import login_url
from parachute_hub.system import strict_json


def as_json(request: IRequest, value: object, *, status: int | None = None, cache: str = "no-store") -> bytes:
    """Set the JSON headers and return the body for Klein to write. Never fails on content."""
    if status is not None:
        request.setResponseCode(status)
    request.setHeader("Content-Type", JSON)
    request.setHeader("Cache-Control", cache)
    request.setHeader("X-Content-Type-Options", "nosniff")
    body = strict_json.write(value)
    request.setHeader("Content-Length", str(len(body)))
    return body


def wants_html(request: IRequest) -> bool:
    """True if the client asks for a page rather than data, and did not send JSON."""
    return media_type(request) != JSON and accepts_html(request.getHeader(b"accept"))


def accepts_html(accept: bytes | str | None) -> bool:
    """True if the Accept header names HTML, as browsers do for page loads.

    >>> accepts_html("text/html, */*"), accepts_html("*/*"), accepts_html(None)
    (True, False, False)
    """
    if isinstance(accept, bytes):
        accept = accept.decode("latin-1")
    return "text/html" in (accept or "").lower()


def see_other(request: IRequest, url: str) -> bytes:
    """Redirect with GET: the response to every successful form (RFC 9110, section 15.4.4)."""
    request.setResponseCode(303)
    request.setHeader("Location", url)
    request.setHeader("Cache-Control", "no-store")
    return b""


def sign_in_first(next_path: str) -> Refused:
    """Redirects to sign in and back: for a page that needs a session."""
    return Refused(303, "unauthenticated", "Sign in first.", headers={"Location": login_url(next_path)})
