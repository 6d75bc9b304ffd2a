"""Records and protocols shared within the accounts."""

from collections.abc import Callable, Sequence
from typing import Protocol

from twisted.web.iweb import IRequest

from parachute_hub.store.rows import Session, User
from parachute_hub.system.records import frozen


class Caller(Protocol):
    """Information about the client of a request, behind trusted proxies too."""

    def is_secure(self, request: IRequest) -> bool:
        """True if the browser uses https, to us or to a trusted proxy."""

    def client_address(self, request: IRequest) -> str:
        """The browser's address."""


class Origins(Protocol):
    """The origins of this hub."""

    def issuer(self) -> str:
        """The canonical origin."""

    def bound(self) -> Sequence[str]:
        """The origins that are the hub's for good."""

    def answering(self) -> Sequence[str]:
        """These, and former ones at which it still answers."""


class AccessWatch(Protocol):
    """Notified when a user's access is reduced, so that issued tokens can be revoked."""

    def access_ended(self, user_id: str) -> None:
        """Everything the user holds ends: the password changed, or the account was deleted."""

    def access_changed(self, user_id: str) -> None:
        """The user's role or vaults changed."""


@frozen(kw_only=True)
class Visitor:
    """The browser of one request. `device` is the value of its device cookie, `session` that of its session cookie.

    `origin` is where it is, `anonymous` the secret of its CSRF cookie. `proof` is what a form of the page at `path`
    brings in place of the password, if anything.
    """

    address: str
    user_agent: str = ""
    device: str | None = None
    session: str | None = None
    origin: str = ""
    anonymous: str = ""
    path: str = ""
    proof: str = ""


@frozen(kw_only=True)
class SignedIn:
    """A valid session and its user. `token` is the cookie's value, `session.id` its hash."""

    user: User
    session: Session
    token: str


@frozen(kw_only=True)
class NewSession:
    """A new sign-in: the values of the cookies to set."""

    user: User
    token: str
    device: str


@frozen(kw_only=True)
class PendingSecondFactor:
    """The password was correct and a second factor is required. `token` is the value of the pending cookie."""

    token: str


Random = Callable[[int], bytes]
Clock = Callable[[], float]
