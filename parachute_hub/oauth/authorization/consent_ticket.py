"""Shows that a consent form is the very page that the hub showed to this person for this request.

A module's page lives on our origin: its scripts may read what the hub answers to `fetch`. So the ticket is only on a
page that the browser says it shows as a document of its own, which no script of another page can read.
"""

import hmac
from collections.abc import Mapping

from twisted.web.iweb import IRequest

from parachute_hub.site.errors import Refused

FIELD = "ticket"


class Tickets:
    """Makes and checks tickets. `key` is random and lives as long as the process: a restart asks once more."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def make(self, csrf: str, values: Mapping[str, str]) -> str:
        """The ticket for a session's form token and the parameters of the request."""
        text = "\n".join([csrf, *(f"{name}={len(value)}:{value}" for name, value in sorted(values.items()))])
        return hmac.digest(self._key, text.encode(), "sha256").hex()

    def good(self, ticket: str, csrf: str, values: Mapping[str, str]) -> bool:
        """Whether it was made for these."""
        return hmac.compare_digest(self.make(csrf, values).encode(), ticket.encode())


def only_as_a_page(request: IRequest) -> None:
    """Refuse a script or a frame. Raises Refused 403; browsers from before 2023 say nothing and pass."""
    shown_as, how = request.getHeader("Sec-Fetch-Dest"), request.getHeader("Sec-Fetch-Mode")
    if shown_as not in (None, "document") or how not in (None, "navigate"):
        raise Refused(403, "not_a_page", "This can only be opened as a page of its own.")
