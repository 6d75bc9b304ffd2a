"""What the parts of this package tell each other."""

from collections.abc import Callable, Sequence
from typing import Protocol

from attrs import frozen
from twisted.web.iweb import IRequest

from parachute_hub.store.rows import Session, User


class Caller(Protocol):
    """What is known of the other side of a request, forwarding headers of trusted hops taken into account."""

    def is_secure(self, request: IRequest) -> bool:
        """Whether the browser speaks https to us, or to the platform's edge before us."""

    def client_address(self, request: IRequest) -> str:
        """The address of the browser."""


class Origins(Protocol):
    """Under which origins this hub is itself."""

    def issuer(self) -> str:
        """The canonical one."""

    def bound(self) -> Sequence[str]:
        """All of them."""


class AccessWatch(Protocol):
    """Told when what a person may do has shrunk: whoever issued tokens to them takes those back."""

    def access_ended(self, user_id: str) -> None:
        """Everything that they hold ends now: their password was changed or reset, or they were deleted."""

    def access_changed(self, user_id: str) -> None:
        """Their role or their vaults are others now."""


@frozen(kw_only=True)
class Visitor:
    """The browser of one request. `device` is the value of its device cookie, `session` that of its session cookie."""

    address: str
    user_agent: str = ""
    device: str | None = None
    session: str | None = None


@frozen(kw_only=True)
class SignedIn:
    """A session that counts, and whose it is. `token` is the cookie's value, `session.id` its hash."""

    user: User
    session: Session
    token: str


@frozen(kw_only=True)
class Entered:
    """Somebody just signed in: the values for the cookies that the answer sets."""

    user: User
    token: str
    device: str


@frozen(kw_only=True)
class Halfway:
    """The password was right and a second factor is asked for. `token` is the value of the pending cookie."""

    token: str


Random = Callable[[int], bytes]
Clock = Callable[[], float]
