"""The proxy's own responses (starting, down, not found, refused), as HTML or JSON."""

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from html import escape
from http import HTTPStatus
from pathlib import Path

from parachute_hub.proxy.access_rules import is_preflight
from parachute_hub.proxy.head import RequestHead
from parachute_hub.proxy.model import ModuleView
from parachute_hub.proxy.routes import ErrorResponse

RETRY_SECONDS = 2
ELSEWHERE_SECONDS = 10
_ATTEMPTS = 5
_WAITING = frozenset(("starting", "backoff", "asleep"))
_UP = frozenset(("ready", "degraded"))

# The colors and shapes of hub.css, inlined because this page must not depend on other resources.
_STYLE = (
    "body{font:1rem/1.55 system-ui,sans-serif;max-width:32rem;margin:12vh auto;padding:0 1rem}"
    "main{padding:2.25rem;border:1px solid;border-radius:14px;overflow-wrap:anywhere}"
    "h1{font-size:1.6rem;margin:0}a{margin-right:1rem}"
    "body{color:#22252b;background:#f7f5f1}main{background:#fff;border-color:#e0dcd3}a{color:#1d5f8a}"
    "@media(prefers-color-scheme:dark){body{color:#e9e7e2;background:#15171b}"
    "main{background:#1e2127;border-color:#31353d}a{color:#82c0e8}}"
)
_TOKENS = re.compile(rb"[0-9A-Za-z!#$%&'*+.^_`|~, -]{1,2048}\Z").match
_SCRIPT = Path(__file__).with_name("waiting.js").read_text(encoding="utf-8")


def _source(text: str) -> str:
    """The CSP source that allows exactly this inline text."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


_POLICY = (
    f"default-src 'none'; style-src {_source(_STYLE)}; script-src {_source(_SCRIPT)}; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


def unavailable(short: str, view: ModuleView | None, now: float) -> ErrorResponse:
    """The response for a module that cannot take requests."""
    if view is None:
        return down(short, "it is not supervised by this hub")
    if view.remote is not None and view.state != "starting":
        return elsewhere(short, view.reason)
    if view.state in _WAITING:
        return starting(short, view.retry_at, now)
    if view.state in _UP:
        return down(short, view.reason or "its port is not held by the module itself")
    return down(short, view.reason or view.state)


def starting(short: str, retry_at: float | None = None, now: float = 0.0) -> ErrorResponse:
    """503: the module is starting on its own."""
    wait = RETRY_SECONDS if retry_at is None else max(RETRY_SECONDS, min(600, round(retry_at - now)))
    return ErrorResponse(
        503,
        "upstream_starting",
        f"The module {short} is starting. Try again in {wait} seconds.",
        headers=(("Retry-After", str(wait)),),
        detail={
            "error_type": "upstream_starting",
            "service": short,
            "retry_after_ms": wait * 1000,
            "max_attempts": _ATTEMPTS,
        },
    )


def down(short: str, why: str) -> ErrorResponse:
    """502: the module will not recover by itself, or failed on this request."""
    return ErrorResponse(
        502,
        "upstream_unreachable",
        f"The module {short} is not answering: {why.rstrip('.')}. Check it on the Modules page.",
        detail={"error_type": "upstream_unreachable", "service": short, "admin_url": "/admin/modules"},
    )


def elsewhere(short: str, why: str = "") -> ErrorResponse:
    """503: it runs on another machine, which does not answer or does not run it now."""
    told = f": {why.rstrip('.')}." if why else "."
    return ErrorResponse(
        503,
        "other_machine",
        f"The module {short} runs on another machine, which does not answer for it now{told}",
        headers=(("Retry-After", str(ELSEWHERE_SECONDS)),),
        detail={"error_type": "other_machine", "service": short, "admin_url": f"/admin/modules/{short}"},
    )


def busy(short: str) -> ErrorResponse:
    """503: the module has reached the limit of concurrent requests."""
    text = f"The module {short} is handling too many requests. Try again in a second."
    headers = (("Retry-After", "1"),)
    # Whoever waits on an open connection costs memory while there is none to spare.
    return ErrorResponse(503, "upstream_busy", text, headers=headers, detail={"service": short}, close=True)


def no_memory(short: str) -> ErrorResponse:
    """503: the module sleeps, and no memory is left to wake it."""
    text = f"The module {short} is asleep, and there is no memory left to wake it. Try again in a minute."
    return ErrorResponse(503, "no_memory", text, headers=(("Retry-After", "60"),), detail={"service": short})


def respond(answer: ErrorResponse, request: RequestHead | None, *, close: bool) -> bytes:
    """The response to a request for a module; `request` is None if it was unparsable."""
    if request is None:
        return render(answer, None, close=close)
    if is_preflight(request):
        return allow_preflight(request.noted, close=close)
    accept, body = request.noted.get(b"accept"), request.method != b"HEAD"
    return render(answer, accept, close=close, body=body, cross_origin=b"origin" in request.noted)


def render(
    answer: ErrorResponse, accept: bytes | None, *, close: bool, body: bool = True, cross_origin: bool = False
) -> bytes:
    """The complete response; `body` false omits the body (HEAD).

    `cross_origin` lets scripts of other origins read it, so that a browser client learns that its token expired or the
    module is starting. No credentials are involved (Fetch, CORS protocol).
    """
    kind, content = _content(answer, html=accepts_html(accept))
    lines = [
        f"HTTP/1.1 {answer.status} {_phrase(answer.status)}",
        f"Content-Type: {kind}",
        f"Content-Length: {len(content)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Vary: Accept",
    ]
    if kind.startswith("text/html"):
        lines.append(f"Content-Security-Policy: {_POLICY}")
    if cross_origin:
        lines += ["Access-Control-Allow-Origin: *", "Access-Control-Expose-Headers: WWW-Authenticate, Retry-After"]
    lines += [f"{name}: {value}" for name, value in answer.headers]
    if answer.status == 503 and "Retry-After" not in dict(answer.headers):
        lines.append(f"Retry-After: {ELSEWHERE_SECONDS}")
    if close:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (content if body else b"")


def allow_preflight(noted: Mapping[bytes, bytes], *, close: bool) -> bytes:
    """The response to a CORS preflight that the module cannot answer itself. The actual request then gets the reason.

    Cached for only five seconds, since the module may have a different policy.
    """
    method = noted.get(b"access-control-request-method", b"").strip()
    headers = noted.get(b"access-control-request-headers", b"").strip()
    lines = [b"HTTP/1.1 204 No Content", b"Access-Control-Allow-Origin: *", b"Access-Control-Max-Age: 5"]
    if _TOKENS(method):
        lines.append(b"Access-Control-Allow-Methods: " + method)
    if _TOKENS(headers):
        lines.append(b"Access-Control-Allow-Headers: " + headers)
    if close:
        lines.append(b"Connection: close")
    return b"\r\n".join([*lines, b"", b""])


def accepts_html(accept: bytes | None) -> bool:
    """True if the Accept header names HTML, as browsers do for page loads.

    >>> accepts_html(b"text/html,*/*;q=0.8"), accepts_html(b"*/*"), accepts_html(None)
    (True, False, False)
    """
    return b"text/html" in (accept or b"").lower()


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else "Refused"


def _content(answer: ErrorResponse, *, html: bool) -> tuple[str, bytes]:
    if html:
        return "text/html; charset=utf-8", _html(answer).encode()
    # A 200 is an answer in the module's place, in a form of its own.
    own = {} if answer.status == 200 else {"error": answer.error, "error_description": answer.text}
    body = {**own, **answer.detail}
    return "application/json", json.dumps(body).encode()


def _html(answer: ErrorResponse) -> str:
    service = str(answer.detail.get("service", ""))
    if answer.error == "upstream_starting":
        return _waiting_page(service, str(dict(answer.headers)["Retry-After"]))
    if answer.error == "upstream_unreachable":
        # The cause is in the JSON and on the Modules page; it does not help a visitor.
        text = f"The module {service} is not answering right now."
        return _page("Not available", text, {"/admin/modules": "Modules", "": "Try again"})
    if answer.error == "other_machine":
        text = f"{service} runs on another machine, which does not answer right now."
        return _page("Not available", text, {str(answer.detail["admin_url"]): "Details", "": "Try again"})
    if answer.status == 404:
        path = str(answer.detail.get("path", ""))
        return _page("Not found", f"There is nothing at {path}" if path else answer.text, {"/": "Home"})
    links = {str(answer.detail["origin"]): "Go there"} if "origin" in answer.detail else {}
    if answer.status == 401:
        links = {"/login": "Sign in"}
    if answer.status == 503:
        return _page("One moment, please", answer.text, {"": "Try again"})
    return _page(_phrase(answer.status), answer.text, links)


def _waiting_page(service: str, seconds: str) -> str:
    # Without JavaScript the page reloads itself; with it, only once the module is up.
    refresh = f'<noscript><meta http-equiv="refresh" content="{escape(seconds)}"></noscript>'
    text = f"{service} is starting. This page will open it automatically."
    script = f"<script>{_SCRIPT}</script>"
    return _page("One moment", text, {"": "Try now"}, head=refresh, tail=script, module=service)


def _page(title: str, text: str, links: Mapping[str, str], *, head: str = "", tail: str = "", module: str = "") -> str:
    """A page. `title`, `text`, `links` (URL to label) and `module` are escaped here."""
    anchors = " ".join(f'<a href="{escape(address)}">{escape(words)}</a>' for address, words in links.items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1">{head}<style>{_STYLE}</style></head>'
        f'<body data-module="{escape(module)}"><main><h1>{escape(title)}</h1>'
        f'<p id="note" role="status">{escape(text)}</p>'
        f"<p>{anchors}</p></main>{tail}</body></html>"
    )
