"""Identifies the caller from a request's credentials."""

from collections.abc import Sequence
from typing import Literal, Protocol

from twisted.web.iweb import IRequest

from parachute_hub.site.errors import Refused
from parachute_hub.system.records import frozen

ADMIN = "parachute:host:admin"
AUTH = "parachute:host:auth"
METRICS = "parachute:host:metrics"


@frozen(kw_only=True)
class Principal:
    """An identified caller.

    `kind`: `operator` sent the token in `<home>/operator.token` (someone who controls the machine), `session` is a
    signed-in browser, `token` sent a token issued by this hub. `scopes` are the credential's scopes. `user_id` is None
    for the operator. `session_id` is the hashed id of a browser session, `connection` the consent behind a token of the
    hub's own command, for which its person can confirm things in a browser.
    """

    kind: Literal["operator", "session", "token"]
    name: str
    scopes: frozenset[str]
    user_id: str | None = None
    session_id: str | None = None
    connection: str | None = None

    def may(self, scope: str) -> bool:
        """Exact membership: hub scopes do not imply each other."""
        return scope in self.scopes


def bearer(request: IRequest) -> str | None:
    """The bearer token of a request; the scheme is case-insensitive (RFC 9110, 11.1)."""
    header = request.getHeader("Authorization")
    if header is None:
        return None
    scheme, _, value = header.strip().partition(" ")
    return value.strip() if scheme.lower() == "bearer" else None


class Recogniser(Protocol):
    """Handles one kind of credential."""

    def recognise(self, request: IRequest) -> Principal | None:
        """The caller; None if the request has no credential of this kind.

        Raises Refused for an invalid one (401), or a cookie sent by a foreign page (403).
        """


class Authenticator:
    """Tries each recogniser in turn; the first match wins."""

    def __init__(self, recognisers: Sequence[Recogniser]) -> None:
        self._recognisers = tuple(recognisers)

    def identify(self, request: IRequest) -> Principal | None:
        """The caller, or None if anonymous. Raises Refused for an invalid credential."""
        for recogniser in self._recognisers:
            principal = recogniser.recognise(request)
            if principal is not None:
                return principal
        return None

    def need(self, request: IRequest, scope: str, *others: str) -> Principal:
        """The caller, who must have `scope` or one of the others; otherwise Refused 401 or 403."""
        principal = self.identify(request)
        if principal is None:
            raise Refused(
                401,
                "unauthenticated",
                "Sign in, or send the hub's operator token as a bearer.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if not any(principal.may(one) for one in (scope, *others)):
            raise Refused(
                403,
                "insufficient_scope",
                f"This needs the scope {scope}.",
                headers={"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'},
            )
        return principal


class StepUp(Protocol):
    """Recent authentication (password or second factor) for one named operation."""

    def prove(self, request: IRequest, principal: Principal, operation: str) -> None:
        """Consume the request's step-up proof. Raises Refused 403 `step_up_required` if there is none."""


def prove_person(step_up: StepUp, request: IRequest, principal: Principal, operation: str) -> None:
    """Require a step-up proof from a person: in a session, or with the hub's own command. Raises Refused 403.

    Other access tokens are exempt: they were issued with a step-up, and nobody is there to confirm anything.
    """
    if principal.kind == "session" or principal.connection is not None:
        step_up.prove(request, principal, operation)
