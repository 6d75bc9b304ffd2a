"""What Klein areas share: reading bodies, answering JSON, and one place where errors become answers."""

import json
from typing import Any, cast

from klein import Klein
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from werkzeug.exceptions import HTTPException

from parachute_hub.site.refused import Refused

JSON_BODY_LIMIT = 256 * 1024
_log = Logger()


def area() -> Klein:
    """A Klein app whose refusals and faults are answered in one way."""
    app = Klein()
    # Klein passes the instance of the class that the app is bound to first; its types cannot say so.
    handle: Any = app.handle_errors

    @handle(Refused)
    def refused(_self: Any, request: IRequest, failure: Failure) -> bytes:
        return refuse(request, cast(Refused, failure.value))

    @handle(HTTPException)
    def routed(_self: Any, request: IRequest, failure: Failure) -> bytes:
        error = cast(HTTPException, failure.value)
        if error.code == 405:
            return refuse(request, Refused(405, "method_not_allowed", "This address takes another method."))
        if error.code is not None and 300 <= error.code < 400:
            return refuse(request, Refused(404, "not_found", "not found"))
        return refuse(request, Refused(error.code or 404, "not_found", "not found"))

    @handle(Exception)
    def fault(_self: Any, request: IRequest, failure: Failure) -> bytes:
        _log.failure("{method} {path} failed", failure, method=request.method, path=request.path)
        return refuse(request, Refused(500, "internal_error", "Something went wrong in the hub; its log says what."))

    return app


def refuse(request: IRequest, refused: Refused) -> bytes:
    """Answer with the refusal, as JSON."""
    request.setResponseCode(refused.status)
    for name, value in refused.headers.items():
        request.setHeader(name, value)
    return as_json(request, refused.body())


def as_json(request: IRequest, value: object, *, status: int | None = None, cache: str = "no-store") -> bytes:
    """Set the JSON headers and give the body back for Klein to write."""
    if status is not None:
        request.setResponseCode(status)
    request.setHeader("Content-Type", "application/json")
    request.setHeader("Cache-Control", cache)
    request.setHeader("X-Content-Type-Options", "nosniff")
    body = json.dumps(value, ensure_ascii=False).encode()
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
        value = json.loads(raw)
    except (ValueError, RecursionError):
        raise Refused(400, "invalid_request", "The body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise Refused(400, "invalid_request", "The body must be a JSON object.")
    return value


def wants_html(request: IRequest) -> bool:
    """Whether the client asks for a page rather than for data (modules.md 7.6)."""
    return accepts_html(request.getHeader(b"accept"))


def accepts_html(accept: bytes | str | None) -> bool:
    """The same for a bare Accept header: HTML when absent, or when it names HTML, or anything but JSON.

    >>> accepts_html(None), accepts_html("application/json"), accepts_html("*/*"), accepts_html("text/html, */*")
    (True, False, True, True)
    """
    if isinstance(accept, bytes):
        accept = accept.decode("latin-1")
    text = (accept or "").lower()
    if not text.strip() or "text/html" in text:
        return True
    return "*/*" in text and "application/json" not in text
