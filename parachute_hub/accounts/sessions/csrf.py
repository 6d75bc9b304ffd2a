"""CSRF protection: a token that only the hub's pages know, and the origin headers of the browser."""

import hashlib
import hmac
from collections.abc import Collection
from typing import Literal

from parachute_hub.system.random_tokens import base64url

SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS"})
HEADER = "X-Parachute-CSRF"

Source = Literal["ours", "foreign", "unsaid"]


def token_for(secret: str) -> str:
    """The CSRF token for a cookie: the session's if there is one, else the CSRF cookie's.

    Being derived from the session, it cannot be forged by planting a cookie.
    """
    digest = hmac.digest(secret.encode(), b"parachute csrf", hashlib.sha256)
    return base64url(digest)


def token_matches(secret: str, presented: str | None) -> bool:
    """True if the token belongs to the cookie."""
    return presented is not None and hmac.compare_digest(token_for(secret).encode(), presented.encode())


def source(fetch_site: str | None, origin: str | None, ours: Collection[str]) -> Source:
    """Where the browser says a request comes from: `Sec-Fetch-Site` first, then `Origin`.

    Same-site is not same-origin: another port of this host is foreign. `null` is foreign. The hub's own pages always
    send their origin, because of their referrer policy.

    >>> source("same-origin", None, ()), source("same-site", "http://a", ("http://a",)), source(None, None, ())
    ('ours', 'foreign', 'unsaid')
    """
    if fetch_site is not None:
        return "ours" if fetch_site in ("same-origin", "none") else "foreign"
    if origin is None:
        return "unsaid"
    return "ours" if origin in ours else "foreign"
