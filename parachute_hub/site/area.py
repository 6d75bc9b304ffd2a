"""Error handling shared by all Klein areas."""

from typing import Any, cast

from klein import Klein
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from parachute_hub.site.answers import accepts_html, as_json, read_json, refuse, wants_html
from parachute_hub.site.errors import Refused

__all__ = ["accepts_html", "area", "as_json", "fault", "read_json", "refuse", "wants_html"]

_log = Logger()


def fault() -> Refused:
    """The response to an internal error; the details are in the log."""
    return Refused(500, "internal_error", "Something went wrong in the hub. Its log has the details.")


def area() -> Klein:
    """A Klein app that renders Refused errors and internal errors uniformly."""
    app = Klein()
    # Klein passes the instance that the app is bound to first, which its types do not express.
    handle: Any = app.handle_errors

    @handle(Refused)
    def refused(_self: Any, request: IRequest, failure: Failure) -> bytes:
        return refuse(request, cast(Refused, failure.value))

    @handle(HTTPException)
    def routed(_self: Any, request: IRequest, failure: Failure) -> bytes:
        error = cast(HTTPException, failure.value)
        if isinstance(error, MethodNotAllowed):
            allow = ", ".join(sorted(error.valid_methods or ()))
            text = f"This address takes {allow or 'another method'}."
            return refuse(request, Refused(405, "method_not_allowed", text, headers={"Allow": allow}))
        if error.code is not None and 300 <= error.code < 400:
            return refuse(request, Refused(404, "not_found", "not found"))
        return refuse(request, Refused(error.code or 404, "not_found", "not found"))

    @handle(Exception)
    def failed(_self: Any, request: IRequest, failure: Failure) -> bytes:
        _log.failure("{method} {path} failed", failure, method=request.method, path=request.path)
        return refuse(request, fault())

    return app
