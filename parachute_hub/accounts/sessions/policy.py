"""How long a session, a half-done sign-in and a proof last. Seconds; pure."""

from parachute_hub.store.rows import Session

ABSOLUTE = 90 * 24 * 3600
IDLE = 14 * 24 * 3600
# A use is noted this rarely, so that reading pages writes nothing.
TOUCH_EVERY = 15 * 60
PENDING_LOGIN = 300
PROOF = 300
DEVICE = 365 * 24 * 3600
CSRF_COOKIE = 30 * 24 * 3600
CLAIM = 3600
CLAIM_METHOD = "setup"


def alive(session: Session, now: float) -> bool:
    """Whether a session still counts: neither too old nor unused for too long. A clock set back ends nothing."""
    return now < session.expires_at and now < session.last_seen_at + IDLE


def should_touch(session: Session, now: float) -> bool:
    """Whether it is time to note that the session is in use."""
    return now >= session.last_seen_at + TOUCH_EVERY


def claims(session: Session, now: float) -> bool:
    """Whether this is the session in which the hub was claimed with its setup token, not long ago."""
    return CLAIM_METHOD in session.methods.split() and now < session.created_at + CLAIM
