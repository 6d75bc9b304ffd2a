"""The accounts' side of the issuer's pages: who is signed in, did one of our pages send this, is the person there."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from attrs import frozen
from twisted.web.iweb import IRequest

from parachute_hub.site.auth import Principal
from parachute_hub.store.rows import Session, User


class SignedIn(Protocol):
    """A session that counts. `token` is the cookie's value."""

    @property
    def user(self) -> User:
        """Whose it is."""

    @property
    def session(self) -> Session:
        """The session on file."""

    @property
    def token(self) -> str:
        """What forms are tied to."""


class Sessions(Protocol):
    """Recognises browsers."""

    def signed_in(self, request: IRequest) -> SignedIn | None:
        """Whose session the request carries. Proves nothing about which page sent it."""

    def recognise(self, request: IRequest) -> Principal | None:
        """The same as a principal. Raises Refused when a foreign page sent it or a new password must be chosen."""


class Proofs(Protocol):
    """Asks for the password or a second factor again."""

    def verify(self, signed_in: Any, visitor: Any, *, password: str = "", code: str = "") -> Awaitable[None]:
        """Make sure that the person is there now. Raises Refused."""


class Browsers(Protocol):
    """Knows the other side of a request."""

    def visitor(self, request: IRequest) -> Any:
        """What `Proofs.verify` wants to know; its `address` is where the browser is."""


@frozen(kw_only=True)
class Visit:
    """A signed-in person on one of our pages. `csrf` is the token for its forms, `auth_time` the time of sign-in."""

    user: User
    principal: Principal
    auth_time: float
    csrf: str
    address: str


class Visits:
    """What the pages of the issuer ask the accounts."""

    def __init__(
        self, *, sessions: Sessions, proofs: Proofs, browsers: Browsers, csrf_token: Callable[[str], str]
    ) -> None:
        self._sessions = sessions
        self._proofs = proofs
        self._browsers = browsers
        self._csrf_token = csrf_token

    def visit(self, request: IRequest) -> Visit | None:
        """Who is there; None for a stranger.

        Raises Refused: 403 when another site's page sent an unsafe request, 302 or 403 while the person must choose
        a new password.
        """
        principal = self._sessions.recognise(request)
        found = self._sessions.signed_in(request)
        if principal is None or found is None:
            return None
        return Visit(
            user=found.user,
            principal=principal,
            auth_time=found.session.authenticated_at,
            csrf=self._csrf_token(found.token),
            address=self.address(request),
        )

    def address(self, request: IRequest) -> str:
        """Where the request comes from, forwarding headers of trusted hops taken into account."""
        return str(self._browsers.visitor(request).address)

    async def confirm(self, request: IRequest, *, password: str) -> None:
        """Make sure that the signed-in person is there now. Raises Refused 400, 401 or 429."""
        found = self._sessions.signed_in(request)
        await self._proofs.verify(found, self._browsers.visitor(request), password=password)
