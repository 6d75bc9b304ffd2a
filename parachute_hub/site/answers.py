"""Reading and writing JSON, and content negotiation, without a web framework."""

from html import escape
from typing import Any

from twisted.web.iweb import IRequest

from parachute_hub.site.errors import Refused
from parachute_hub.system import strict_json
from parachute_hub.system.strict_json import BadJson

JSON_BODY_LIMIT = 256 * 1024
STYLESHEET = "/static/hub/hub.css"
_HEADINGS = {
    401: "Please sign in",
    403: "That is not possible",
    404: "There is nothing here",
    503: "One moment, please",
}


def refuse(request: IRequest, refused: Refused) -> bytes:
    """Send a Refused error: as a page if a browser asks for one, else as JSON."""
    request.setResponseCode(refused.status)
    for name, value in refused.headers.items():
        request.setHeader(name, value)
    request.responseHeaders.addRawHeader(b"Vary", b"Accept")
    if not wants_html(request):
        return as_json(request, refused.body())
    request.setHeader("Content-Type", "text/html; charset=utf-8")
    request.setHeader("Cache-Control", "no-store")
    body = _page(_HEADINGS.get(refused.status, "That did not work"), refused.description).encode()
    request.setHeader("Content-Length", str(len(body)))
    return body


def as_json(request: IRequest, value: object, *, status: int | None = None, cache: str = "no-store") -> bytes:
    """Set the JSON headers and return the body for Klein to write. Never fails on content."""
    if status is not None:
        request.setResponseCode(status)
    request.setHeader("Content-Type", "application/json")
    request.setHeader("Cache-Control", cache)
    request.setHeader("X-Content-Type-Options", "nosniff")
    body = strict_json.write(value)
    request.setHeader("Content-Length", str(len(body)))
    return body


def read_json(request: IRequest, *, limit: int = JSON_BODY_LIMIT) -> dict[str, Any]:
    """The request's JSON object; an empty body is an empty object. Raises Refused 400 or 413."""
    raw = request.content.read(limit + 1)
    if len(raw) > limit:
        raise Refused(413, "too_large", f"Send at most {limit // 1024} KiB here.")
    if not raw.strip():
        return {}
    try:
        value = strict_json.read_strictly(raw, limit=limit)
    except BadJson:
        raise Refused(400, "invalid_request", "The body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise Refused(400, "invalid_request", "The body must be a JSON object.")
    return value


def wants_html(request: IRequest) -> bool:
    """True if the client asks for a page rather than data."""
    return accepts_html(request.getHeader(b"accept"))


def accepts_html(accept: bytes | str | None) -> bool:
    """True if the Accept header names HTML, as browsers do for page loads.

    >>> accepts_html("text/html, */*"), accepts_html("*/*"), accepts_html(None)
    (True, False, False)
    """
    if isinstance(accept, bytes):
        accept = accept.decode("latin-1")
    return "text/html" in (accept or "").lower()


def _page(heading: str, text: str) -> str:
    """A refusal for a person."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(heading)}</title><link rel="stylesheet" href="{STYLESHEET}"></head>'
        f'<body><main class="page"><h1>{escape(heading)}</h1><p>{escape(text)}</p>'
        '<p><a href="/">Home</a></p></main></body></html>'
    )
