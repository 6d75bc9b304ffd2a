"""Decides who may open a module's sub-unit."""

from typing import Literal, Protocol, TypeAlias
from urllib.parse import quote

from attrs import evolve

from parachute_hub.proxy.access_rules import SIGN_IN, is_preflight
from parachute_hub.proxy.head import RequestHead
from parachute_hub.proxy.plan import ModuleRequest
from parachute_hub.proxy.routes import ErrorResponse, origin_form

Rank: TypeAlias = Literal["nobody", "member", "admin"]

_NOT_ADMIN = ErrorResponse(403, "not_admin", "Only administrators can open this page.")
_TOO_LITTLE = ErrorResponse(403, "insufficient_scope", "This access token does not open this page.")
_TO_LOGIN = ErrorResponse(302, "unauthenticated", "Sign in first.")


class Visitors(Protocol):
    """Identifies the user behind a request. Only asked for sub-units with a restricted audience."""

    def rank(self, cookie: bytes, secure: bool) -> Rank:
        """The rank of the session in a Cookie header. On https (`secure`) only a `__Host-` cookie counts."""

    def scopes(self, token: str) -> frozenset[str] | None:
        """The scopes of a valid token issued by this hub, else None."""


class NoVisitors:
    """Identifies nobody, so that restricted sub-units stay closed."""

    def rank(self, cookie: bytes, secure: bool) -> Rank:
        return "nobody"

    def scopes(self, token: str) -> frozenset[str] | None:
        return None


def refusal(passage: ModuleRequest, visitors: Visitors) -> ErrorResponse | None:
    """Why the request may not access this part of a module; None if it may."""
    mount, request = passage.mount, passage.request
    if mount.audience == "public" or passage.path in mount.open_paths or is_preflight(request):
        return None
    rank = visitors.rank(request.noted.get(b"cookie", b""), passage.caller.secure)
    if rank == "admin" or (rank == "member" and mount.audience == "hub-users"):
        return None
    if rank == "member":
        return _NOT_ADMIN
    if mount.audience == "hub-users":
        shown = [scopes for token in passage.tokens if (scopes := visitors.scopes(token)) is not None]
        if any(all(_opens(scopes, pattern) for pattern in mount.scopes_required) for scopes in shown):
            return None
        if shown:
            return _TOO_LITTLE
    return _unauthenticated(request)


def _opens(scopes: frozenset[str], pattern: str) -> bool:
    return any(satisfies(scope, pattern) for scope in scopes)


def satisfies(scope: str, pattern: str) -> bool:
    """True if a scope matches. `*` stands for one segment; a scope for all vaults matches each of them.

    >>> satisfies("vault:work:read", "vault:*:read"), satisfies("vault:read", "vault:*:read")
    (True, True)
    >>> satisfies("vault:work:write", "vault:*:read"), satisfies("vault:read", "vault:work:read")
    (False, False)
    """
    given, wanted = scope.split(":"), pattern.split(":")
    if len(given) == 2 and len(wanted) == 3 and wanted[1] == "*":
        del wanted[1]
    return len(given) == len(wanted) and all(want in ("*", word) for word, want in zip(given, wanted, strict=True))


def _unauthenticated(request: RequestHead) -> ErrorResponse:
    """A browser that asks for a page is redirected to sign in and returns afterwards."""
    if request.method != b"GET" or b"text/html" not in request.noted.get(b"accept", b"").lower():
        return SIGN_IN
    here = quote(origin_form(request.target).decode("latin-1"), safe="/")
    return evolve(_TO_LOGIN, headers=(("Location", f"/login?next={here}"),))
