"""Error handling shared by all Klein areas."""

from typing import Any, cast

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from parachute_hub.site import attempts
from parachute_hub.site.answers import wants_html
from parachute_hub.site.errors import Refused, not_stored
from parachute_hub.site.pages import refuse
from parachute_hub.system.storage_trouble import storage_trouble

SAFE_METHODS = (b"GET", b"HEAD", b"OPTIONS")
_log = Logger()


def fault(error: BaseException | None) -> Refused:
    """The response to an internal error, whose details are in the log. Storage trouble has its own response."""
    if error is not None and storage_trouble(error) is not None:
        return not_stored(error)
    return Refused(500, "internal_error", "Something went wrong in the hub. Its log has the details.")


class _Area(Klein):
    """Klein cancels a handler when its client disconnects. Handlers of unsafe methods run to completion instead, and
    `site.attempts` hears how each ended.
    """

    def execute_endpoint(self, endpoint: str, request: IRequest, *args: Any, **kwargs: Any) -> Any:
        """Call the handler."""
        ended = attempts.ended.get()
        try:
            result = super().execute_endpoint(endpoint, request, *args, **kwargs)
        except Exception as error:
            ended(error)
            raise
        if not isinstance(result, Deferred):
            ended(None)
            return result
        result.addBoth(lambda outcome: _told(ended, outcome))
        if request.method in SAFE_METHODS:
            return result
        answer: Deferred[Any] = Deferred()
        result.addBoth(lambda outcome: None if answer.called else answer.callback(outcome))
        return answer


def _told(ended: attempts.Ended, outcome: Any) -> Any:
    ended(outcome.value if isinstance(outcome, Failure) else None)
    return outcome


def area() -> Klein:
    """A Klein app that renders Refused errors and internal errors uniformly."""
    app = _Area()
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
            if request.method in SAFE_METHODS and wants_html(request):
                text = "This address only takes what a form sends. Go back to the page with the form."
            return refuse(request, Refused(405, "method_not_allowed", text, headers={"Allow": allow}))
        if error.code is not None and 300 <= error.code < 400:
            return refuse(request, Refused(404, "not_found", "not found"))
        return refuse(request, Refused(error.code or 404, "not_found", "not found"))

    @handle(Exception)
    def failed(_self: Any, request: IRequest, failure: Failure) -> bytes:
        _log.failure("{method} {path} failed", failure, method=request.method, path=request.path)
        return refuse(request, fault(failure.value))

    return app
