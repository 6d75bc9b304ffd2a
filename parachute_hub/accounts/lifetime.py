"""How long a session, a half-done sign-in and a proof last. Seconds; pure."""

from parachute_hub.store.sessions import Session
from parachute_hub.store.users import User

ABSOLUTE = 90 * 24 * 3600
IDLE = 14 * 24 * 3600
# A use is noted this rarely, so that reading pages writes nothing.
TOUCH_EVERY = 15 * 60
PENDING_LOGIN = 300
PROOF = 300
DEVICE = 365 * 24 * 3600
CSRF_COOKIE = 30 * 24 * 3600
# A session that began with its account: a password is hashed in between.
SAME_MOMENT = 10
CLAIM = 3600


def alive(session: Session, now: float) -> bool:
    """Whether a session still counts: neither too old nor unused for too long. A clock set back ends nothing."""
    return now < session.expires_at and now < session.last_seen_at + IDLE


def should_touch(session: Session, now: float) -> bool:
    """Whether it is time to note that the session is in use."""
    return now >= session.last_seen_at + TOUCH_EVERY


def claims(session: Session, user: User, now: float) -> bool:
    """Whether this is the session in which the account was made, not long ago."""
    return session.created_at <= user.created_at + SAME_MOMENT and now < session.created_at + CLAIM
