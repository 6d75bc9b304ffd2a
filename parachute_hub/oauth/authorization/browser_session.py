"""The accounts' services that the issuer's pages use: session, CSRF and recent authentication."""

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from twisted.web.iweb import IRequest

from parachute_hub.site.auth import Principal
from parachute_hub.store.rows import Session, User
from parachute_hub.system.records import frozen


class SignedInSession(Protocol):
    """A valid session. `token` is the cookie's value."""

    @property
    def user(self) -> User:
        """The session's user."""

    @property
    def session(self) -> Session:
        """The stored session."""

    @property
    def token(self) -> str:
        """The value that form tokens are derived from."""


class SessionLookup(Protocol):
    """Identifies browsers."""

    def signed_in(self, request: IRequest) -> SignedInSession | None:
        """The session of a request. Says nothing about which page sent the request."""

    def recognise(self, request: IRequest) -> Principal | None:
        """The session as a principal. Raises Refused for requests from foreign pages, or if the password must be
        changed.
        """


class Proofs(Protocol):
    """Asks for the password or second factor again."""

    def verify(self, signed_in: Any, visitor: Any, *, password: str = "", code: str = "") -> Awaitable[None]:
        """Verify that the user is present. Raises Refused."""

    def grant(self, holder: str, operation: str) -> tuple[str, float]:
        """A proof for a connection of the hub's command, and its expiry."""


class Browsers(Protocol):
    """Information about the client of a request."""

    def visitor(self, request: IRequest) -> Any:
        """The client, as `Proofs.verify` expects it; its `address` is the browser's."""

    def is_plain(self, request: IRequest) -> bool:
        """True over plain http, where the cookie alone must not mint anything."""


@frozen(kw_only=True)
class PageSession:
    """A signed-in user on one of the issuer's pages. `csrf` is the form token, `auth_time` the time of sign-in."""

    user: User
    principal: Principal
    auth_time: float
    csrf: str
    address: str


class PageSessions:
    """Connects the issuer's pages to the accounts."""

    def __init__(
        self, *, sessions: SessionLookup, proofs: Proofs, browsers: Browsers, csrf_token: Callable[[str], str]
    ) -> None:
        self._sessions = sessions
        self._proofs = proofs
        self._browsers = browsers
        self._csrf_token = csrf_token

    def visit(self, request: IRequest) -> PageSession | None:
        """The signed-in user, or None.

        Raises Refused: 403 if another site's page sent an unsafe request, 302 or 403 while the user must choose a new
        password.
        """
        principal = self._sessions.recognise(request)
        found = self._sessions.signed_in(request)
        if principal is None or found is None:
            return None
        return PageSession(
            user=found.user,
            principal=principal,
            auth_time=found.session.authenticated_at,
            csrf=self._csrf_token(found.token),
            address=self.address(request),
        )

    def address(self, request: IRequest) -> str:
        """The client's address, behind trusted proxies too."""
        return str(self._browsers.visitor(request).address)

    def is_plain(self, request: IRequest) -> bool:
        """True over plain http, where somebody may have caught the session's cookie."""
        return self._browsers.is_plain(request)

    async def confirm(self, request: IRequest, *, password: str) -> None:
        """Verify the password of the signed-in user. Raises Refused 400, 401 or 429."""
        found = self._sessions.signed_in(request)
        await self._proofs.verify(found, self._browsers.visitor(request), password=password)

    def proof(self, connection: str, operation: str) -> str:
        """A proof that the user of this connection has just confirmed the operation."""
        return self._proofs.grant(connection, operation)[0]
