"""How long to wait before the next guess. Waits grow and decay; nothing is ever locked.

A user's known browser is counted separately, so that strangers guessing at the account do not slow its owner down. A
new address is slowed by its own failures, and by those of the account only after failing once itself, so an owner's
first attempt from a new place always goes through.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import Literal

from parachute_hub.system.networks import network_of
from parachute_hub.system.records import frozen

Bucket = Literal["address", "pair", "account", "device"]
HALF_LIFE = 15 * 60.0
FORGOTTEN_AFTER = 24 * 3600.0


@frozen
class WaitLimit:
    """`free` failures have no wait; then it doubles from one second up to `longest` seconds."""

    free: int
    longest: float


LIMITS: dict[Bucket, WaitLimit] = {
    "address": WaitLimit(free=30, longest=300.0),
    "pair": WaitLimit(free=5, longest=300.0),
    "account": WaitLimit(free=100, longest=60.0),
    "device": WaitLimit(free=8, longest=60.0),
}


@frozen
class Counted:
    """One count increased by an attempt: its kind, and its key in the table."""

    bucket: Bucket
    key: str


def faded(count: float, last_at: float, now: float) -> float:
    """A decayed count, with a half-life of 15 minutes. A clock set back causes no decay.

    >>> faded(8.0, 0.0, 1800.0)
    2.0
    """
    halvings = max(0.0, now - last_at) / HALF_LIFE
    return count * math.exp2(-halvings)


def wait(bucket: Bucket, count: float, last_at: float, now: float) -> float:
    """Seconds until the next attempt is allowed, 0 for now.

    >>> wait("pair", 5.0, 100.0, 100.0), wait("pair", 4.0, 100.0, 100.0)
    (1.0, 0.0)
    """
    limit = LIMITS[bucket]
    over = faded(count, last_at, now) - limit.free
    if over < 0:
        return 0.0
    delay = min(limit.longest, math.exp2(min(over, 30.0)))
    return max(0.0, delay - max(0.0, now - last_at))


def counted(purpose: str, subject: str, address: str, device: str | None) -> Sequence[Counted]:
    """The counts of one attempt. `device` is the hashed id of a browser that the subject has used."""
    if device is not None:
        return (Counted("device", _key(purpose, "device", subject, device)),)
    network = network_of(address)
    return (
        Counted("address", _key(purpose, "address", network)),
        Counted("pair", _key(purpose, "pair", subject, network)),
        Counted("account", _key(purpose, "account", subject)),
    )


def _key(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).casefold().encode()).hexdigest()
