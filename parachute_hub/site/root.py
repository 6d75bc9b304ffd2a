"""The hub's site: dispatches paths to areas, applies the first-run gate, and adds headers to every page."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import unquote

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.error import UnsupportedMethod
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

from parachute_hub.site.answers import wants_html
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.site.pages import again, refuse
from parachute_hub.system import loading
from parachute_hub.system.records import frozen

if TYPE_CHECKING:
    from klein import Klein

_log = Logger()

# No page of the hub may be framed, sniffed, or run foreign code. Areas may narrow this, never widen it.
SECURITY_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), microphone=(), geolocation=(),"
        " publickey-credentials-get=(self), publickey-credentials-create=(self)"
    ),
}


def opener_policy(browser: str) -> str:
    """What keeps pages that open a page of the hub from reaching into it, for this `User-Agent`.

    `same-origin` does not keep out a page that sends the same header, which a module's service worker can make up.
    `noopener-allow-popups` keeps out every page, but browsers that do not know it would keep out none (HTML, 7.1.3).

    >>> opener_policy("Mozilla/5.0 Chrome/140.0.0.0 Safari/537.36"), opener_policy("Mozilla/5.0 Firefox/140.0")
    ('noopener-allow-popups', 'same-origin')
    """
    chromium = re.search(r"Chrome/(\d{1,6})\.", browser)
    return "noopener-allow-popups" if chromium and int(chromium[1]) >= _ALONE_SINCE else "same-origin"


def lead_to_apps(request: IRequest) -> None:
    """Relax `form-action` for sign-in and consent, whose forms may end at an app's address and be redirected further.

    Browsers apply `form-action` to every redirect after a form, and no directive can list them all (CSP 3, 6.4.2). This
    is safe because nothing can retarget the form: only the hub's scripts run, and the page cannot be framed.
    """
    policy = SECURITY_HEADERS["Content-Security-Policy"].replace(" form-action 'self';", "")
    request.setHeader("Content-Security-Policy", policy)


PUSH_WORKER = b"/admin/push.js"
"""The one service worker of the hub: it shows push messages, and answers no request."""

# The version of Chromium from which it certainly knows `noopener-allow-popups`.
_ALONE_SINCE = 131
# Half a year. For this host only, not for the owner's other subdomains.
STRICT_TRANSPORT = "max-age=15552000"


@frozen
class MountedArea:
    """An area and its path prefixes.

    `/api/modules` covers that path and everything below it; `/` only the root page. `code` must be loaded before the
    resource can answer.
    """

    prefixes: tuple[str, ...]
    resource: IResource
    code: tuple[ModuleType, ...] = ()


class _Made(Resource):
    """Makes the area with its first request."""

    isLeaf = True

    def __init__(self, make: "Callable[[], Klein]") -> None:
        super().__init__()
        self._make = make

    @cached_property
    def app(self) -> "Klein":
        """The area."""
        return self._make()

    @cached_property
    def _resource(self) -> IResource:
        return self.app.resource()

    def render(self, request: IRequest) -> bytes | int:
        return self._resource.render(request)  # type: ignore[no-any-return]


def later(
    prefixes: tuple[str, ...], code: ModuleType | tuple[ModuleType, ...], make: "Callable[[], Klein]"
) -> MountedArea:
    """An area that few need. Its `code` (imported `lazily`) is loaded, and `make` called, with its first request."""
    return MountedArea(prefixes, _Made(make), code if isinstance(code, tuple) else (code,))


class Gate(Protocol):
    """Decides whether the hub may answer yet."""

    def check(self, method: bytes, path: bytes, html: bool) -> Refused | None:
        """None to continue, otherwise the response (302 with a Location header for a browser)."""


class Open:
    """A gate that lets everything through."""

    def check(self, method: bytes, path: bytes, html: bool) -> Refused | None:
        return None


class Prover(Protocol):
    """Verifies a password that comes with a form in the place of the browser's key."""

    def offered(self, request: IRequest) -> bool:
        """True if the request brings one."""

    def verify(self, request: IRequest) -> Awaitable[None]:
        """Verify it. Raises Refused."""


def _inline(function: Callable[..., object], *args: object) -> object:
    return function(*args)


class Root(Resource):
    """Dispatches each request to the area with the longest matching prefix."""

    isLeaf = True

    def __init__(
        self,
        parts: Sequence[MountedArea],
        gate: Gate | None = None,
        *,
        is_secure: Callable[[IRequest], bool],
        in_thread: Callable[..., object] = _inline,
    ) -> None:
        """`is_secure` tells whether a request used https to a trusted proxy; `in_thread` loads the code of areas."""
        super().__init__()
        self._is_secure = is_secure
        self._in_thread = in_thread
        self.open(parts, gate or Open())

    def open(self, parts: Sequence[MountedArea], gate: Gate, prover: Prover | None = None) -> None:
        """Replace the areas, the gate and the prover."""
        self.gate = gate
        self._prover = prover
        self._parts = sorted(
            ((prefix.encode(), part) for part in parts for prefix in part.prefixes),
            key=lambda pair: len(pair[0]),
            reverse=True,
        )

    def render(self, request: IRequest) -> bytes | int:
        """Answer one request for the hub's own paths."""
        for name, value in SECURITY_HEADERS.items():
            request.setHeader(name, value)
        request.setHeader("Cross-Origin-Opener-Policy", opener_policy(request.getHeader("User-Agent") or ""))
        if self._is_secure(request):
            request.setHeader("Strict-Transport-Security", STRICT_TRANSPORT)
        path = request.path
        if request.getHeader(b"service-worker") is not None and path != PUSH_WORKER:
            # A module's page must not install a service worker over the hub's pages.
            return refuse(request, Refused(403, "no_service_worker", "The hub's pages serve no service worker."))
        refusal = self.gate.check(request.method, path, wants_html(request))
        if refusal is not None:
            return refuse(request, refusal)
        part = self._part_of(path)
        if part is None:
            return refuse(request, not_found())
        if not all(map(loading.is_loaded, part.code)):
            return self._after_loading(request, part)
        if self._prover is not None and self._prover.offered(request):
            return self._after_proof(request, self._prover, part)
        return _rendered(part.resource, request)

    def _after_loading(self, request: IRequest, part: MountedArea) -> int:
        """Render the request once more when the code is there: the gate may have closed meanwhile."""
        gone: list[object] = []
        asked = cast(Request, request)
        asked.notifyFinish().addBoth(gone.append)
        loaded = maybeDeferred(self._in_thread, loading.load, *part.code)

        def show(result: object) -> None:
            if isinstance(result, Failure):
                _log.failure("The pages below {path} could not be loaded", result, path=part.prefixes[0])
            if not gone:
                asked.render(_Broken(result) if isinstance(result, Failure) else self)

        loaded.addBoth(show).addErrback(asked.processingFailed)
        return NOT_DONE_YET

    def _after_proof(self, request: IRequest, prover: Prover, part: MountedArea) -> int:
        gone: list[object] = []
        cast(Request, request).notifyFinish().addBoth(gone.append)

        async def answer() -> None:
            try:
                await prover.verify(request)
                body = _rendered(part.resource, request) if not gone else NOT_DONE_YET
            except Refused as refused:
                body = refuse(request, again(refused))
            if isinstance(body, bytes) and not gone:
                request.write(body)
                request.finish()

        Deferred.fromCoroutine(answer()).addErrback(cast(Request, request).processingFailed)
        return NOT_DONE_YET

    def _part_of(self, path: bytes) -> MountedArea | None:
        for prefix, part in self._parts:
            if path == prefix or (prefix != b"/" and path.startswith(prefix + b"/")):
                return part
        return None


class _Broken(Resource):
    """In the place of an area whose code could not be loaded."""

    isLeaf = True

    def __init__(self, why: Failure) -> None:
        super().__init__()
        self._is_replaced = why.check(loading.Replaced) is not None

    def render(self, request: IRequest) -> bytes:
        if self._is_replaced:
            text = "A newer version of the hub was installed. This page works once the hub was restarted."
            return refuse(request, Refused(503, "restart_needed", text, headers={"Retry-After": "5"}))
        text = "This part of the hub could not be loaded. Its log has the details."
        return refuse(request, Refused(500, "internal_error", text))


def _rendered(resource: IResource, request: IRequest) -> bytes | int:
    """The resource's response, with Twisted's and Klein's error texts replaced by the hub's."""
    try:
        unquote(request.path.decode("ascii"), errors="strict")
        return resource.render(request)  # type: ignore[no-any-return]
    except UnicodeDecodeError:
        return refuse(request, Refused(400, "bad_path", "The path is not UTF-8. Check the address."))
    except UnsupportedMethod as error:
        allowed = b", ".join(sorted(error.allowedMethods)).decode("ascii")
        text = "This address does not support that method."
        return refuse(request, Refused(405, "method_not_allowed", text, headers={"Allow": allowed}))
