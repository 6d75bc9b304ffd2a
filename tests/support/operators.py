"""A recogniser for tests that need somebody with authority, and no issuer."""

import hmac

from twisted.web.iweb import IRequest

from parachute_hub.site.auth import ADMIN, AUTH, Principal, bearer
from parachute_hub.site.errors import Refused


class OperatorRecogniser:
    """Recognises one bearer as the operator; 401 for any other, as the issuer's own recogniser answers."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    def recognise(self, request: IRequest) -> Principal | None:
        """The operator; None without a bearer."""
        presented = bearer(request)
        if presented is None:
            return None
        if not hmac.compare_digest(presented.encode(), self._token):
            raise Refused(
                401,
                "invalid_token",
                "This token is not valid here.",
                headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
            )
        return Principal(kind="operator", name="operator", scopes=frozenset({ADMIN, AUTH}))
