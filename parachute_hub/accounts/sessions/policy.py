"""Lifetimes in seconds of sessions, pending sign-ins and step-up proofs."""

from parachute_hub.site.errors import Refused
from parachute_hub.store.rows import Session

ABSOLUTE = 90 * 24 * 3600
IDLE = 14 * 24 * 3600
# The last use is updated no more often than this, so that reading pages does not write.
TOUCH_EVERY = 15 * 60
PENDING_LOGIN = 300
PROOF = 300
DEVICE = 365 * 24 * 3600
CSRF_COOKIE = 30 * 24 * 3600
CLAIM = 3600
CLAIM_METHOD = "setup"
LINK_METHOD = "link"
"""A session that came by a link from another device: it uses notes, and administers nothing."""
PLAIN = "plain."
"""How the cookies of sessions begin that were made over plain http, where other programs may catch them."""


def alive(session: Session, now: float) -> bool:
    """True unless the session is too old or idle for too long. A clock set back ends nothing."""
    return now < session.expires_at and now < session.last_seen_at + IDLE


def should_touch(session: Session, now: float) -> bool:
    """True if the last use should be updated."""
    return now >= session.last_seen_at + TOUCH_EVERY


def is_limited(session: Session) -> bool:
    """True for a session that came by a link: it administers nothing, and cannot confirm anything."""
    return session.methods == LINK_METHOD


def refuse_limited(session: Session) -> None:
    """Raise Refused 403 for a session that came by a link."""
    if is_limited(session):
        text = "A link signed you in here. Sign in with your password for this."
        raise Refused(403, "signed_in_by_link", text, detail={"sign_in_url": "/login?next=/account"})


def cookie_of(value: str | None, *, secure: bool) -> str | None:
    """A session's cookie if it can have come this way: one of plain http never comes by https (`secure`).

    What says that a request came by https is a program on this machine, and the one who caught the cookie may be, too.
    """
    return None if secure and value is not None and value.startswith(PLAIN) else value


def claims(session: Session, now: float) -> bool:
    """True if the hub was recently claimed in this session with its setup token."""
    return CLAIM_METHOD in session.methods.split() and now < session.created_at + CLAIM
