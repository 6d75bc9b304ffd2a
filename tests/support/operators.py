"""Recognisers for tests that need an authorised caller without an issuer."""

from collections.abc import Mapping

from twisted.web.iweb import IRequest

from parachute_hub.site.auth import ADMIN, AUTH, Principal, bearer
from parachute_hub.site.errors import Refused


class KnownBearers:
    """Recognises these bearer tokens; 401 for any other, like the issuer's recogniser."""

    def __init__(self, known: Mapping[str, Principal]) -> None:
        self._known = known

    def recognise(self, request: IRequest) -> Principal | None:
        """Whose token it is; None without a bearer."""
        presented = bearer(request)
        if not presented:
            return None
        if presented not in self._known:
            raise Refused(
                401,
                "invalid_token",
                "This token is not valid here.",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        return self._known[presented]


def operator(token: str) -> KnownBearers:
    """One bearer, who is the operator."""
    return KnownBearers({token: Principal(kind="operator", name="operator", scopes=frozenset({ADMIN, AUTH}))})


def owner(token: str = "owner", name: str = "sam") -> KnownBearers:
    """One bearer, who stands for the owner's session."""
    return KnownBearers({token: Principal(kind="session", name=name, scopes=frozenset({ADMIN}))})
