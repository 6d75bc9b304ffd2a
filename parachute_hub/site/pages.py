"""The layout of the hub's own pages, and errors as pages. Templates escape all values and work without JavaScript."""

import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import cast

from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.template import Tag, XMLString, flatten, tags

from parachute_hub.site.answers import as_json, wants_html
from parachute_hub.site.bodies import FORM, media_type, parameters, read_body
from parachute_hub.site.errors import Refused

Content = Tag | str | list[Tag]
CSRF_FIELD = "__csrf"
UNDO = tags.script(src="/static/hub/undo.js", type="module")
"""For the head of pages with `data-undo` forms: they wait ten seconds."""

KEY_REQUIRED = "key_required"
_NEVER_KEPT = frozenset({"__key", "__password", "__proof"})
_FORM_BYTES = 16 * 1024
_END_OF_PART = re.compile(r"(?<=[/?&=])|(?<=\.)(?=[A-Za-z])")
_HEADINGS: dict[int | str, str] = {
    "failed": "This hub cannot start",
    "db_unavailable": "This hub needs repair",
    401: "Please sign in",
    403: "That is not possible",
    404: "There is nothing here",
    405: "There is nothing to see here",
    410: "This has ended",
    429: "A moment, please",
    503: "One moment, please",
}


def templates(package: str) -> Callable[..., Tag]:
    """A function that fills the slots of a package's templates; the slot `go_on` is written `go-on` in the file."""
    folder = files(package).joinpath("templates")

    @cache
    def load(name: str) -> Tag:
        return cast(Tag, XMLString(folder.joinpath(f"{name}.xml").read_text("utf-8")).load()[0])

    def fill(name: str, /, **slots: Content) -> Tag:
        tag = load(name).clone()
        tag.fillSlots(**{slot.replace("_", "-"): value for slot, value in slots.items()})
        return tag

    return fill


_fill = templates("parachute_hub.site")


def show(
    request: IRequest,
    title: str,
    content: Content,
    *,
    status: int = 200,
    refused: Refused | None = None,
    head: Content = "",
    above: Content = "",
) -> bytes:
    """Send a page, with status and headers of `refused` if it explains an error.

    Never cached, because it may contain a token or show who is signed in.
    """
    request.setResponseCode(status if refused is None else refused.status)
    for name, value in (refused.headers if refused else {}).items():
        request.setHeader(name, value)
    request.setHeader("Content-Type", "text/html; charset=utf-8")
    request.setHeader("Cache-Control", "no-store")
    page = _fill("layout", title=title, content=content, head=head, above=above)
    written: list[bytes] = [b"<!DOCTYPE html>\n"]
    failures: list[Failure] = []
    # Without Deferreds in the tree this completes at once.
    flatten(request, page, written.append).addErrback(failures.append)
    for failure in failures:
        failure.raiseException()
    body = b"".join(written)
    request.setHeader("Content-Length", str(len(body)))
    return body


def breakable(address: str) -> Tag:
    """An address that breaks where its parts end, rather than within a word."""
    *parts, last = _END_OF_PART.split(address)
    return tags.transparent(*(tags.span(part, class_="part") for part in parts), last)


def show_message(request: IRequest, title: str, text: str, more: Content = "", *, status: int = 200) -> bytes:
    """A page with a heading, a sentence and, by default, a link to the hub."""
    more = more or tags.div(tags.a("Go to the hub", class_="button", href="/"), class_="actions")
    return show(request, title, _fill("message", title=title, text=text, more=more), status=status)


def refuse(request: IRequest, refused: Refused, *, html: bool | None = None) -> bytes:
    """Send a Refused error, as a page or JSON. The default for `html` is what the Accept header asks for."""
    for name, value in refused.headers.items():
        request.setHeader(name, value)
    request.responseHeaders.addRawHeader(b"Vary", b"Accept")
    if refused.error == KEY_REQUIRED and media_type(request) == FORM:
        return _ask_password(request, refused)
    if wants_html(request) if html is None else html:
        heading = _HEADINGS.get(refused.error) or _HEADINGS.get(refused.status, "That did not work")
        more: Content = ""
        if url := refused.detail.get("sign_in_url"):
            more = tags.div(tags.a("Sign in", class_="button primary", href=url), class_="actions")
        elif refused.status == 503:
            again = tags.a("Try again", class_="button primary", href="")
            more = tags.div(again, tags.a("Go to the hub", class_="button", href="/"), class_="actions")
        return show_message(request, heading, refused.description, more, status=refused.status)
    return as_json(request, refused.body(), status=refused.status)


def again(refused: Refused) -> Refused:
    """The same form once more, after a wrong password in the place of the browser's key."""
    return Refused(refused.status, KEY_REQUIRED, refused.description, headers=refused.headers)


def _ask_password(request: IRequest, refused: Refused) -> bytes:
    """The form that was sent, with a field for the password: for browsers that keep no key and run no script."""
    try:
        sent = parameters(read_body(request, _FORM_BYTES))
    except Refused as unreadable:
        return as_json(request, unreadable.body(), status=unreadable.status)
    kept = [tags.input(type="hidden", name=name, value=value) for name, value in sent if name not in _NEVER_KEPT]
    if request.path.startswith(b"/oauth/"):
        # As on the page that was answered: the form may end at an app's address.
        (policy,) = request.responseHeaders.getRawHeaders("Content-Security-Policy", [""])
        request.setHeader("Content-Security-Policy", policy.replace(" form-action 'self';", ""))
    content = _fill("password", problem=problem(refused), fields=kept, action=request.path.decode("latin-1"))
    return show(request, "Your password, please", content, status=refused.status)


def qr(text: str, label: str) -> Tag:
    """A QR code as an inline image, so that no URL can leak it and no CSP exception is needed."""
    # Drawing codes is rare, and its tables are half a megabyte.
    import segno

    code = segno.make(text, error="m", micro=False)
    size = code.symbol_size(border=0)[0]
    path = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(code.matrix) for x, dark in enumerate(row) if dark)
    return Tag("svg")(
        Tag("path")(d=path, fill="#000"),
        **{"viewBox": f"0 0 {size} {size}", "class": "qr", "role": "img", "aria-label": label},
    )


def problem(error: Refused | str | None) -> Content:
    """The error of the last attempt, announced by screen readers."""
    return tags.p(str(error), class_="message bad", role="alert") if error else ""


def csrf_field(token: str) -> Tag:
    """The hidden CSRF field of a form."""
    return tags.input(type="hidden", name=CSRF_FIELD, value=token)
