"""Bearers of our own tokens on the hub's APIs."""

from twisted.web.iweb import IRequest

from parachute_hub.oauth.tokens.claims import Claims, InvalidToken
from parachute_hub.oauth.tokens.issuer import Issuer
from parachute_hub.site.auth import Principal, bearer
from parachute_hub.site.errors import Refused

# A token that was made for a module opens nothing at the hub.
HUB_AUDIENCES = frozenset({"hub", "operator", "account"})


def invalid_token(description: str) -> Refused:
    """401 as RFC 6750 3.1 has it."""
    challenge = f'Bearer error="invalid_token", error_description="{description}"'
    return Refused(401, "invalid_token", description, headers={"WWW-Authenticate": challenge})


class BearerRecogniser:
    """Recognises access tokens for the hub, and the operator's. `audiences` are those that it admits."""

    def __init__(self, issuer: Issuer, audiences: frozenset[str] = HUB_AUDIENCES) -> None:
        self._issuer = issuer
        self._audiences = audiences

    def recognise(self, request: IRequest) -> Principal | None:
        """The bearer; None without a bearer token. Raises Refused 401 for one that is not good here."""
        token = bearer(request)
        if not token:
            return None
        claims = self.claims(token)
        if not self._audiences.intersection(claims.audience):
            raise invalid_token("This token is meant for a module, not for the hub.")
        return self.principal(claims)

    def claims(self, token: str) -> Claims:
        """What the token says. Raises Refused 401."""
        try:
            return self._issuer.verify(token)
        except InvalidToken as error:
            raise invalid_token(str(error)) from None

    def principal(self, claims: Claims) -> Principal:
        """The same as the one value that every area understands."""
        record = self._issuer.record(claims.jti)
        operator = "operator" in claims.audience
        return Principal(
            kind="operator" if operator else "token",
            name=claims.subject,
            scopes=claims.scopes,
            user_id=None if record is None else record.user_id,
        )
