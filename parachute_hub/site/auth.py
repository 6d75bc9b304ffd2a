"""Who is asking: credentials of a request turned into one value that every area understands."""

from collections.abc import Sequence
from typing import Literal, Protocol

from attrs import frozen
from twisted.web.iweb import IRequest

from parachute_hub.site.errors import Refused

ADMIN = "parachute:host:admin"
AUTH = "parachute:host:auth"


@frozen(kw_only=True)
class Principal:
    """A recognised caller.

    `kind`: `operator` is the bearer of `<home>/operator.token` (someone who controls the machine), `session` a
    signed-in browser, `token` the bearer of a token that we issued. `scopes` are what the credential may do.
    `user_id` is None for the operator. `session_id` is the hashed id of a browser session.
    """

    kind: Literal["operator", "session", "token"]
    name: str
    scopes: frozenset[str]
    user_id: str | None = None
    session_id: str | None = None

    def may(self, scope: str) -> bool:
        """Exact membership: hub scopes have no ranks."""
        return scope in self.scopes


def bearer(request: IRequest) -> str | None:
    """The bearer token of a request; the scheme in any case (RFC 9110 11.1)."""
    header = request.getHeader("Authorization")
    if header is None:
        return None
    scheme, _, value = header.strip().partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


class Recogniser(Protocol):
    """Knows one kind of credential."""

    def recognise(self, request: IRequest) -> Principal | None:
        """The caller; None when the request carries no credential of this kind.

        Raises Refused when it carries one that is wrong (401), or a cookie that a foreign page sent (403).
        """


class Who:
    """Asks each recogniser in turn; the first that knows the credential answers."""

    def __init__(self, recognisers: Sequence[Recogniser]) -> None:
        self._recognisers = tuple(recognisers)

    def identify(self, request: IRequest) -> Principal | None:
        """The caller, or None for a stranger. Raises Refused for a wrong credential."""
        for recogniser in self._recognisers:
            principal = recogniser.recognise(request)
            if principal is not None:
                return principal
        return None

    def need(self, request: IRequest, scope: str) -> Principal:
        """The caller, who holds `scope`; otherwise 401 or 403."""
        principal = self.identify(request)
        if principal is None:
            raise Refused(
                401,
                "unauthenticated",
                "Sign in, or send the hub's operator token as a bearer.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if not principal.may(scope):
            raise Refused(
                403,
                "insufficient_scope",
                f"This needs the scope {scope}.",
                headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
            )
        return principal


class StepUp(Protocol):
    """A fresh proof (password or second factor) bound to one named operation."""

    def prove(self, request: IRequest, principal: Principal, operation: str) -> None:
        """Use up the proof that the request carries. Raises Refused 403 `step_up_required` when there is none."""
