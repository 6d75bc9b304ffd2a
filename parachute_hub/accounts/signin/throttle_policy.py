"""How long somebody has to wait before the next guess. Waiting grows and fades; nothing is ever locked.

A known browser of a person is counted alone, so that strangers who guess at the account do not slow its owner down.
A strange address is slowed by its own failures, and by those at the account only once it has failed there itself:
the first try of an owner in a new place always goes through.
"""

import hashlib
import math
from collections.abc import Sequence
from typing import Literal

from attrs import frozen

from parachute_hub.system.networks import network_of

Bucket = Literal["address", "pair", "account", "device"]
HALF_LIFE = 15 * 60.0
FORGOTTEN_AFTER = 24 * 3600.0


@frozen
class Limit:
    """`free` failures cost nothing; then the wait doubles from one second up to `longest` seconds."""

    free: int
    longest: float


LIMITS: dict[Bucket, Limit] = {
    "address": Limit(free=30, longest=300.0),
    "pair": Limit(free=5, longest=300.0),
    "account": Limit(free=100, longest=60.0),
    "device": Limit(free=8, longest=60.0),
}


@frozen
class Counted:
    """One count that an attempt adds to: which kind, and its key in the table."""

    bucket: Bucket
    key: str


def faded(count: float, last_at: float, now: float) -> float:
    """What is left of a count: half after a quarter of an hour. A clock set back fades nothing.

    >>> faded(8.0, 0.0, 1800.0)
    2.0
    """
    halvings = max(0.0, now - last_at) / HALF_LIFE
    return count * math.exp2(-halvings)


def wait(bucket: Bucket, count: float, last_at: float, now: float) -> float:
    """Seconds until the next attempt may be made, 0 for at once.

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
    """The counts of one attempt. `device` is the hashed id of a browser that the subject is known to use."""
    if device is not None:
        return (Counted("device", _key(purpose, "device", subject, device)),)
    network = network_of(address)
    return (
        Counted("address", _key(purpose, "address", network)),
        Counted("pair", _key(purpose, "pair", subject, network)),
        Counted("account", _key(purpose, "account", subject)),
    )


def _key(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).lower().encode()).hexdigest()
