"""Renders the hub's pages from templates, which escape all values and work without JavaScript."""

from collections.abc import Awaitable, Callable
from functools import cache, wraps
from importlib.resources import files
from typing import Any, TypeVar, cast

from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.web.iweb import IRequest
from twisted.web.template import Tag, XMLString, flattenString, tags

from parachute_hub.accounts.forms import answers_json
from parachute_hub.accounts.sessions.csrf import FIELD
from parachute_hub.site.area import fault, refuse, wants_html
from parachute_hub.site.errors import Refused

Content = Tag | str | list[Tag]
Handler = TypeVar("Handler", bound=Callable[..., Awaitable[bytes]])

_log = Logger()
_HEADINGS = {
    401: "Please sign in again",
    403: "That is not possible",
    404: "There is nothing here",
    410: "This has ended",
    429: "A moment, please",
}


@cache
def _template(name: str) -> Tag:
    text = files("parachute_hub.accounts").joinpath("templates", f"{name}.xml").read_text("utf-8")
    return cast(Tag, XMLString(text).load()[0])


def fill(template: str, /, **slots: Content) -> Tag:
    """Fill a template's slots. The slot `go_on` is written `go-on` in the file."""
    tag = _template(template).clone()
    tag.fillSlots(**{slot.replace("_", "-"): value for slot, value in slots.items()})
    return tag


async def show(
    request: IRequest,
    title: str,
    content: Content,
    *,
    refused: Refused | None = None,
    head: Content = "",
    above: Content = "",
) -> bytes:
    """Send a page, with the status of `refused` if it explains a rejected request.

    Never cached: it contains a token or shows who is signed in.
    """
    page = fill("layout", title=title, content=content, head=head, above=above)
    if refused is not None:
        request.setResponseCode(refused.status)
        for name, value in refused.headers.items():
            request.setHeader(name, value)
    request.setHeader("Content-Type", "text/html; charset=utf-8")
    request.setHeader("Cache-Control", "no-store")
    return b"<!DOCTYPE html>\n" + await flattenString(request, page)


def see_other(request: IRequest, path: str) -> bytes:
    """Redirect with GET: the response to every successful form (RFC 9110, section 15.4.4)."""
    request.setResponseCode(303)
    request.setHeader("Location", path)
    request.setHeader("Cache-Control", "no-store")
    return b""


def csrf_field(token: str) -> Tag:
    """The hidden CSRF field of a form."""
    return tags.input(type="hidden", name=FIELD, value=token)


def problem(refused: Refused | None) -> Content:
    """The error of the last attempt, announced by screen readers."""
    return tags.p(refused.description, class_="message bad", role="alert") if refused else ""


def notice(text: str, kind: str = "good") -> Tag:
    """A sentence in a colored box: `good`, `busy` or `bad`."""
    return tags.p(text, class_=f"message {kind}", role="status")


def as_page(handler: Handler) -> Handler:
    """Render Refused errors and internal errors of this handler, as HTML or JSON."""

    @wraps(handler)
    async def shown(self: Any, request: IRequest, *args: Any, **kwargs: Any) -> bytes:
        try:
            return await handler(self, request, *args, **kwargs)
        except Refused as refused:
            if answers_json(request) or not wants_html(request):
                return refuse(request, refused)
            return await show_refusal(request, refused)
        except CancelledError:
            raise
        except Exception as error:
            if answers_json(request) or not wants_html(request):
                raise
            _log.failure("{method} {path} failed", method=request.method, path=request.path)
            return await show_refusal(request, fault(error))

    return shown  # type: ignore[return-value]


async def show_refusal(request: IRequest, refused: Refused) -> bytes:
    """An error page; a redirect stays a redirect."""
    heading = _HEADINGS.get(refused.status, "That did not work")
    content = fill("refusal", heading=heading, text=refused.description)
    return await show(request, heading, content, refused=refused)
