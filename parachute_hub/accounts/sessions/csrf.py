"""Was a request made by a page of ours? A token that only our pages know, and what the browser says of its origin."""

import base64
import hashlib
import hmac
from collections.abc import Collection
from typing import Literal

SAFE_METHODS = frozenset({b"GET", b"HEAD", b"OPTIONS"})
HEADER = "X-Parachute-CSRF"
FIELD = "__csrf"

Source = Literal["ours", "foreign", "unsaid"]


def token_for(secret: str) -> str:
    """The CSRF token that belongs to a cookie: to the session's once there is one, else to the CSRF cookie's own.

    Bound to the session, it cannot be planted: a cookie that another page sets makes no valid pair.
    """
    digest = hmac.digest(secret.encode(), b"parachute csrf", hashlib.sha256)
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def token_matches(secret: str, presented: str | None) -> bool:
    """Whether the presented token belongs to the cookie."""
    return presented is not None and hmac.compare_digest(token_for(secret).encode(), presented.encode())


def source(fetch_site: str | None, origin: str | None, ours: Collection[str]) -> Source:
    """Where a browser says that a request comes from: its `Sec-Fetch-Site` first, then `Origin`.

    Same-site is not same-origin: another port of this host is a stranger. `null` is nobody's origin. A page of ours
    sends its origin, because our referrer policy keeps it.

    >>> source("same-origin", None, ()), source("same-site", "http://a", ("http://a",)), source(None, None, ())
    ('ours', 'foreign', 'unsaid')
    """
    if fetch_site is not None:
        return "ours" if fetch_site in ("same-origin", "none") else "foreign"
    if origin is None:
        return "unsaid"
    return "ours" if origin in ours else "foreign"
