"""Authenticates the hub's own tokens on its APIs."""

from twisted.web.iweb import IRequest

from parachute_hub.oauth.authorization.scopes import COMMAND
from parachute_hub.oauth.tokens.claims import Claims, InvalidToken
from parachute_hub.oauth.tokens.issuer import Issuer
from parachute_hub.site.auth import Principal, bearer
from parachute_hub.site.errors import Refused
from parachute_hub.store.users import Users

# A token issued for a module gives no access to the hub.
HUB_AUDIENCES = frozenset({"hub", "operator", "account"})


def invalid_token(description: str) -> Refused:
    """401 as in RFC 6750, section 3.1."""
    challenge = f'Bearer error="invalid_token", error_description="{description}"'
    return Refused(401, "invalid_token", description, headers={"WWW-Authenticate": challenge})


class BearerRecogniser:
    """Authenticates access tokens for the hub, and the operator token. `audiences` are the accepted ones."""

    def __init__(self, issuer: Issuer, users: Users, audiences: frozenset[str] = HUB_AUDIENCES) -> None:
        self._issuer = issuer
        self._users = users
        self._audiences = audiences

    def recognise(self, request: IRequest) -> Principal | None:
        """The bearer; None without a bearer token. Raises Refused 401 for one that is not valid here."""
        token = bearer(request)
        if not token:
            return None
        claims = self.claims(token)
        if not self._audiences.intersection(claims.audience):
            raise invalid_token("This token is meant for a module, not for the hub.")
        return self.principal(claims)

    def claims(self, token: str) -> Claims:
        """The token's claims. Raises Refused 401."""
        try:
            return self._issuer.verify(token)
        except InvalidToken as error:
            raise invalid_token(str(error)) from None

    def presented(self, request: IRequest) -> Claims | None:
        """The claims of the request's bearer, if there is one. Raises Refused 401."""
        token = bearer(request)
        return self.claims(token) if token else None

    def principal(self, claims: Claims) -> Principal:
        """The claims as a principal; a person's token has the username as its name."""
        record = self._issuer.record(claims.jti)
        user = self._users.by_id(record.user_id) if record is not None and record.user_id is not None else None
        operator = "operator" in claims.audience
        return Principal(
            kind="operator" if operator else "token",
            name=claims.subject if user is None else user.username,
            scopes=claims.scopes,
            user_id=None if record is None else record.user_id,
            connection=record.family_id if record is not None and record.client_id == COMMAND else None,
        )
