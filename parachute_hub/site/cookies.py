"""The hub's own cookies: their names, once, and how they are read and set.

On https each name carries the `__Host-` prefix, so that no other host, path or plain-http page can set it. On plain
http there is no prefix and no Secure: a browser would drop such a cookie and every form would fail.
"""

from typing import Literal

from attrs import frozen
from twisted.web.iweb import IRequest

# What every name begins with. No cookie with such a name reaches a module or is set by one, whichever hub's it is.
PREFIX = "parachute_hub_"
SESSION = PREFIX + "session"
CSRF = PREFIX + "csrf"
PENDING_LOGIN = PREFIX + "pending_login"
DEVICE = PREFIX + "device"
HOST_PREFIX = "__Host-"
MOST_BYTES = 16 * 1024


def find(header: bytes | None, name: str) -> str | None:
    """The value of one cookie in a Cookie header; None when it is absent, or there twice with different values.

    Two values mean that somebody else set one of them; which one is ours cannot be told.

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
    """The cookies of one hub. Browsers share cookies between all ports of a host, so `tag` tells hubs apart."""

    tag: str = ""

    def on_the_wire(self, name: str, *, secure: bool) -> str:
        """The name that the browser knows.

        >>> Jar("1a2b3c4d").on_the_wire(SESSION, secure=True)
        '__Host-parachute_hub_session_1a2b3c4d'
        """
        tagged = f"{name}_{self.tag}" if self.tag else name
        return HOST_PREFIX + tagged if secure else tagged

    def read(self, request: IRequest, name: str, *, secure: bool) -> str | None:
        """The value of one of our cookies in a request."""
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
        """Set one of our cookies in the answer. `max_age` is in seconds; 0 takes it away."""
        parts = [f"{self.on_the_wire(name, secure=secure)}={value}", "Path=/", f"Max-Age={max_age}", "HttpOnly"]
        if secure:
            parts.append("Secure")
        parts.append(f"SameSite={same_site}")
        request.responseHeaders.addRawHeader(b"Set-Cookie", "; ".join(parts).encode("ascii"))

    def forget(self, request: IRequest, name: str, *, secure: bool) -> None:
        """Take one of our cookies away."""
        self.write(request, name, "", secure=secure, max_age=0)
