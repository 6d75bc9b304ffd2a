"""Redirect URIs: which can be registered, and how a presented one is compared.

OAuth 2.1, sections 2.3.1 and 8.5.3 (native apps; RFC 8252, section 7); MCP authorization (https or loopback).
"""

import re
from collections.abc import Iterable
from typing import Literal
from urllib.parse import SplitResult, urlsplit

MAX_LENGTH = 2048
MAX_URIS = 32

Kind = Literal["own", "https", "loopback", "app"]

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
# Known desktop apps with a plain scheme; others need a reversed domain name (RFC 8252, section 7.1).
_APP_SCHEMES = frozenset(
    """antigravity claude code-oss cursor cursor-dev cursor-nightly goose kiro lmstudio obsidian positron raycast trae
    void vscode vscode-insiders vscodium warp windsurf windsurf-next zed""".split()
)
_REVERSED_DOMAIN = re.compile(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+)+")
_URI_CHARACTERS = re.compile(r"(?:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+")
_HOST = re.compile(
    r"(?=.{1,253}\.?$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*"
)


class BadRedirect(Exception):
    """The redirect URI cannot be registered. The text explains why to the app's developer."""


def own_origins(issuer: str, origins: Iterable[str]) -> tuple[str, ...]:
    """The origins at which only this hub can receive a code.

    A loopback address refers to the browser's machine, where any program may listen on the port. It is only the hub's
    own while the hub itself is used through a loopback address.
    """
    kept = tuple(dict.fromkeys(origins))
    if urlsplit(issuer).hostname in _LOOPBACK:
        return kept
    return tuple(origin for origin in kept if urlsplit(origin).hostname not in _LOOPBACK)


def kind_of(uri: str, origins: Iterable[str]) -> Kind:
    """Validate a redirect URI and return the kind of its destination.

    `own` is an address of the hub (`origins`). Raises BadRedirect.
    """
    if not uri or len(uri) > MAX_LENGTH:
        raise BadRedirect(f"A redirect URI must have 1 to {MAX_LENGTH} characters.")
    if "#" in uri:
        raise BadRedirect("A redirect URI must not have a fragment (#).")
    if not _URI_CHARACTERS.fullmatch(uri):
        raise BadRedirect("A redirect URI may hold only URI characters (RFC 3986); encode the others.")
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        raise BadRedirect("This redirect URI cannot be read.") from None
    if parts.scheme not in ("http", "https"):
        return _app(uri, parts)
    if "@" in parts.netloc:
        raise BadRedirect("A redirect URI must not hold a user name or password.")
    if (
        not uri.startswith(f"{parts.scheme}://{parts.netloc}")
        or not _is_host(parts)
        or port == 0
        or parts.netloc.endswith(":")
    ):
        raise BadRedirect("A redirect URI must be scheme://host/path in lower case, with a real host.")
    if f"{parts.scheme}://{parts.netloc}" in set(origins):
        return "own"
    if parts.hostname in _LOOPBACK:
        return "loopback"
    if parts.scheme == "http":
        raise BadRedirect(
            "A redirect URI must be https, unless it leads to this computer (127.0.0.1, [::1], localhost)."
        )
    return "https"


def _app(uri: str, parts: SplitResult) -> Kind:
    scheme = parts.scheme
    if scheme in _APP_SCHEMES or _REVERSED_DOMAIN.fullmatch(scheme):
        if not uri.startswith(f"{scheme}:/") or len(uri) <= len(scheme) + 3:
            raise BadRedirect(f"After {scheme}: a redirect URI goes on with / and a path.")
        return "app"
    raise BadRedirect(
        "A redirect URI must be https, a loopback address, or an app's own scheme such as com.example.app:/."
    )


def _is_host(parts: SplitResult) -> bool:
    host = parts.hostname or ""
    if parts.netloc.startswith("["):
        return host == "::1" or bool(re.fullmatch(r"[0-9a-f:.]{2,45}", host))
    return parts.netloc == parts.netloc.lower() and _HOST.fullmatch(host) is not None and not host.endswith(".")


def matches(registered: Iterable[str], presented: str) -> bool:
    """True if `presented` equals a registered URI, except for host and port on loopback (RFC 8252, section 7.3).

    Loopback has three names, and clients register one and use another.

    >>> matches(["http://localhost/cb"], "http://127.0.0.1:49152/cb"), matches(["https://a.test/cb"], "https://a.test/cb/")
    (True, False)
    """
    candidates = tuple(registered)
    if presented in candidates:
        return True
    path = _loopback_path(presented)
    return path is not None and any(_loopback_path(uri) == path for uri in candidates)


def is_same(asked: str, presented: str) -> bool:
    """True if the token request repeats the redirect URI of the authorization request, in any loopback spelling."""
    return asked == presented or matches((asked,), presented)


_LOOPBACK_URI = re.compile(r"http://(?:127\.0\.0\.1|\[::1\]|localhost)(?::([0-9]{1,5}))?((?:[/?].*)?)", re.DOTALL)


def _loopback_path(uri: str) -> str | None:
    """Path and query of a plain http loopback URI with a valid port; None for any other."""
    found = _LOOPBACK_URI.fullmatch(uri)
    if found is None or not _URI_CHARACTERS.fullmatch(uri) or (found[1] and not 0 < int(found[1]) < 65536):
        return None
    return found[2]


def place(uri: str) -> str:
    """The destination as shown on the consent page: host, port and path, or an app's scheme.

    The path matters on the hub's own host, where every module lives.

    >>> place("https://claude.ai/api/mcp/auth_callback?x=1"), place("cursor://x/y")
    ('claude.ai/api/mcp/auth_callback', 'cursor:')
    """
    parts = urlsplit(uri)
    return parts.netloc + parts.path if parts.scheme in ("http", "https") else f"{parts.scheme}:"


def leads_home(uri: str, origins: Iterable[str]) -> bool:
    """True for the hub's own origin."""
    return any(uri == origin or uri.startswith(origin + "/") for origin in origins)


def cannot_be_taken(uri: str, origins: Iterable[str]) -> bool:
    """True if only one party can receive the redirect: an https host, or the hub itself.

    Any program on the computer can listen on a loopback port or claim a scheme (RFC 8252, section 8.6).
    """
    own = leads_home(uri, origins)
    return own or (uri.startswith("https://") and urlsplit(uri).hostname not in _LOOPBACK)


def on_every_origin(uris: Iterable[str], origins: Iterable[str]) -> tuple[str, ...]:
    """Repeat each URI on one of the hub's origins for all of them; others are unchanged."""
    bound = tuple(origins)
    expanded: dict[str, None] = {}
    for uri in uris:
        expanded[uri] = None
        here = next((origin for origin in bound if uri == origin or uri.startswith(origin + "/")), None)
        if here is not None:
            expanded.update(dict.fromkeys(origin + uri[len(here) :] for origin in bound))
    return tuple(expanded)
