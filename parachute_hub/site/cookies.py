"""The hub's cookies: names, reading and writing.

On https each name has the `__Host-` prefix, so that no other host, path or plain-http page can set it. On plain http
the prefix and Secure are omitted, because browsers would reject such cookies.
"""

from typing import Literal

from twisted.web.iweb import IRequest
from werkzeug.http import dump_cookie

from parachute_hub.system.own_names import COOKIE_PREFIX
from parachute_hub.system.records import frozen

SESSION = COOKIE_PREFIX + "session"
CSRF = COOKIE_PREFIX + "csrf"
PENDING_LOGIN = COOKIE_PREFIX + "pending_login"
DEVICE = COOKIE_PREFIX + "device"
PHONE = COOKIE_PREFIX + "phone"
HOST_PREFIX = "__Host-"
MOST_BYTES = 16 * 1024


def find(header: bytes | None, name: str) -> str | None:
    """The value of a cookie in a Cookie header; None if absent, or present with two different values.

    With two values, someone else set one of them, and there is no telling which.

    >>> find(b"a=1; b=2", "b"), find(b"a=1; a=2", "a"), find(None, "a")
    ('2', None, None)
    """
    if header is None or len(header) > MOST_BYTES:
        return None
    found = set()
    for pair in header.decode("latin-1").split(";"):
        key, equals, value = pair.strip(" \t").partition("=")
        if equals and key == name:
            found.add(value.strip(' \t"'))
    return found.pop() if len(found) == 1 else None


@frozen
class Jar:
    """The cookies of one hub. Browsers share cookies between all ports of a host, so `tag` distinguishes hubs."""

    tag: str = ""

    def on_the_wire(self, name: str, *, secure: bool) -> str:
        """The cookie's name as the browser sees it.

        >>> Jar("1a2b3c4d").on_the_wire(SESSION, secure=True)
        '__Host-parachute_hub_session_1a2b3c4d'
        """
        tagged = f"{name}_{self.tag}" if self.tag else name
        return HOST_PREFIX + tagged if secure else tagged

    def read(self, request: IRequest, name: str, *, secure: bool) -> str | None:
        """The value of one of the hub's cookies in a request."""
        header = b"; ".join(request.requestHeaders.getRawHeaders(b"cookie") or [])
        return find(header or None, self.on_the_wire(name, secure=secure)) or None

    def write(
        self,
        request: IRequest,
        name: str,
        value: str,
        *,
        secure: bool,
        max_age: int,
        same_site: Literal["Lax", "Strict"] = "Lax",
    ) -> None:
        """Set one of the hub's cookies. `max_age` is in seconds; 0 deletes it."""
        name = self.on_the_wire(name, secure=secure)
        cookie = dump_cookie(name, value, max_age=max_age, secure=secure, httponly=True, samesite=same_site)
        request.responseHeaders.addRawHeader(b"Set-Cookie", cookie.encode("ascii"))

    def forget(self, request: IRequest, name: str, *, secure: bool) -> None:
        """Delete one of the hub's cookies."""
        self.write(request, name, "", secure=secure, max_age=0)
