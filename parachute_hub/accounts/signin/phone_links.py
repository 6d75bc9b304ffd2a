"""Signing in a phone by a link from a browser that is signed in. Kept in memory: a restart ends all of them.

The link works once. The first browser that opens it is shown to the person on the other device, who lets it in.
"""

import hmac
from collections import OrderedDict
from typing import Literal

from attrs import evolve, field

from parachute_hub.accounts.model import Clock, NewSession, Random, SignedIn, Visitor
from parachute_hub.accounts.sessions import policy
from parachute_hub.accounts.signin.signin import SignIn
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.store.users import Users
from parachute_hub.store.writer import Write
from parachute_hub.system.doer import Done
from parachute_hub.system.random_tokens import hashed, is_token, new_token
from parachute_hub.system.records import frozen

OPENS = 120
"""Seconds in which a link can be opened, and then in which it can be let in."""
_MOST = 500
_MOST_OF_ONE = 5
State = Literal["waiting", "opened", "allowed", "refused"]


@frozen(kw_only=True)
class PhoneLink:
    """`session_id` is the browser that made the link. `secret` is the hash of what the link holds, `browser` that of
    the cookie of the browser that opened it, described by `visitor`. Both devices show the `number`. `session` is
    the cookie of the session that it got.
    """

    user_id: str
    session_id: str
    next_path: str
    secret: str = field(repr=False)
    since: float
    state: State = "waiting"
    browser: str = field(default="", repr=False)
    visitor: Visitor | None = None
    number: str = ""
    session: str = field(default="", repr=False)


def ended() -> Refused:
    """The link was used, refused, or is too old."""
    return Refused(410, "link_ended", "This link has ended. Make a new one on your other device.")


class PhoneLinks:
    """Made and answered by one browser, opened and used by another."""

    def __init__(
        self, *, write: Write, users: Users, sign_in: SignIn, done: Done, clock: Clock, random: Random
    ) -> None:
        self._write = write
        self._users = users
        self._sign_in = sign_in
        self._done = done
        self._clock = clock
        self._random = random
        self._links: OrderedDict[str, PhoneLink] = OrderedDict()

    async def make(self, signed_in: SignedIn, next_path: str) -> tuple[str, str]:
        """A new link: its id, and the secret in it. The oldest of the same browser end when there are too many."""
        session_id = signed_in.session.id
        own = [one for one, link in self._links.items() if link.session_id == session_id]
        for oldest in own[: max(0, len(own) + 1 - _MOST_OF_ONE)]:
            del self._links[oldest]
        link_id, secret = new_token(self._random, 16), new_token(self._random)
        self._links[link_id] = PhoneLink(
            user_id=signed_in.user.id,
            session_id=session_id,
            next_path=next_path,
            secret=hashed(secret),
            since=self._clock(),
        )
        while len(self._links) > _MOST:
            self._links.popitem(last=False)
        await self._done("phone-link-made")
        return link_id, secret

    def of(self, signed_in: SignedIn, link_id: str) -> PhoneLink:
        """A link of this browser. Raises Refused 404."""
        link = self._get(link_id)
        if link is None or link.session_id != signed_in.session.id:
            raise not_found("This link has ended. Make a new one.")
        return link

    async def answer(self, signed_in: SignedIn, link_id: str, *, allow: bool) -> None:
        """Let the browser in that opened the link, or not; that signs it out if it is in. Raises Refused 404, 409."""
        link = self.of(signed_in, link_id)
        if allow and link.state != "opened":
            raise Refused(409, "not_opened", "Nobody has opened the link yet.")
        if allow:
            self._links[link_id] = evolve(link, state="allowed", since=self._clock())
            return
        # One that nobody opened just ends; the browser that opened it is told.
        self._links[link_id] = evolve(link, state="refused", since=self._clock())
        entered = self._sign_in.find(link.session)
        if entered is not None and link.visitor is not None:
            await self._sign_in.leave(entered, link.visitor)
        await self._done("phone-link-refused")

    def open(self, secret: str, visitor: Visitor) -> tuple[PhoneLink, str]:
        """Bind the link to the browser that opened it; returns the value of its cookie. Raises Refused 410."""
        given = hashed(secret) if is_token(secret) else ""
        for link_id, link in list(self._links.items()):
            if self._get(link_id) is None or not hmac.compare_digest(link.secret, given) or link.state != "waiting":
                continue
            browser = new_token(self._random)
            number = f"{int.from_bytes(self._random(4)) % 90 + 10}"
            opened = evolve(
                link, state="opened", since=self._clock(), browser=hashed(browser), visitor=visitor, number=number
            )
            self._links[link_id] = opened
            return opened, browser
        raise ended()

    def person(self, link: PhoneLink) -> str:
        """Whose notes the phone gets to use."""
        user = self._users.by_id(link.user_id)
        return "" if user is None else user.called

    async def enter(
        self, browser: str | None, visitor: Visitor, here: SignedIn | None
    ) -> tuple[PhoneLink, NewSession | None]:
        """Sign in the browser that opened a link, once it was let in; the link is `opened` while it waits.

        Asked again, since the answer was lost, it gives another session in place of the one before. A browser in which
        the same person is signed in (`here`) keeps that session, which may do more. Raises Refused 403, 410.
        """
        link_id, link = self._opened_by(browser)
        if link.state == "opened":
            return link, None
        del self._links[link_id]
        if link.state == "refused":
            raise Refused(403, "refused", "This was refused on your other device.")
        user = self._users.by_id(link.user_id)
        # Who was signed out there meanwhile lets nobody in, and a phone that was signed out stays so.
        sessions = (link.session_id, *([hashed(link.session)] if link.session else ()))
        if user is None or user.must_change_password or not all(map(self._sign_in.lives, sessions)):
            raise ended()
        if here is not None and here.user.id == user.id and not policy.is_limited(here.session):
            return link, None
        visitor = evolve(visitor, session=link.session or visitor.session)
        entered = await self._sign_in.enter(user, visitor, methods=policy.LINK_METHOD, action="phone-signed-in")
        self._links[link_id] = evolve(link, session=entered.token)
        return link, entered

    def _opened_by(self, browser: str | None) -> tuple[str, PhoneLink]:
        given = hashed(browser) if browser and is_token(browser) else ""
        for link_id in list(self._links):
            link = self._get(link_id)
            if link is not None and link.browser and hmac.compare_digest(link.browser, given):
                return link_id, link
        raise ended()

    def _get(self, link_id: str) -> PhoneLink | None:
        link = self._links.get(link_id)
        if link is not None and self._clock() >= link.since + OPENS:
            del self._links[link_id]
            return None
        return link
