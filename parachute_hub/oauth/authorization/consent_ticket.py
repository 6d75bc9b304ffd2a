"""Proves that a consent form was rendered by the hub for this user and this request.

Module pages share the hub's origin, so their scripts can read responses to `fetch`. The ticket is therefore only part
of responses that the browser loads as a top-level document, which other pages' scripts cannot read.
"""

import hmac
from collections.abc import Mapping

from twisted.web.iweb import IRequest

from parachute_hub.site.errors import Refused

FIELD = "ticket"


class Tickets:
    """Creates and checks tickets. `key` is random per process, so pending consents are asked again after a restart."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, csrf: str, values: Mapping[str, str]) -> str:
        """The ticket for a session's form token and the request's parameters."""
        text = "\n".join([csrf, *(f"{name}={len(value)}:{value}" for name, value in sorted(values.items()))])
        return hmac.digest(self._key, text.encode(), "sha256").hex()

    def good(self, ticket: str, csrf: str, values: Mapping[str, str]) -> bool:
        """True if the ticket was made for these."""
        return hmac.compare_digest(self.make(csrf, values).encode(), ticket.encode())


def is_marked(request: IRequest) -> bool:
    """True if the browser says that it loads this as a page. Over plain http it only does so for localhost."""
    return bool(request.getHeader("Sec-Fetch-Dest") == "document")


def only_as_a_page(request: IRequest) -> None:
    """Reject scripts and frames. Raises Refused 403. Browsers from before 2023 send no Sec-Fetch headers and pass."""
    shown_as, how = request.getHeader("Sec-Fetch-Dest"), request.getHeader("Sec-Fetch-Mode")
    if shown_as not in (None, "document") or how not in (None, "navigate"):
        raise Refused(403, "not_a_page", "Open this as a page in your browser.")
