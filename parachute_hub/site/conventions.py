"""Conventional URLs for crawlers, password managers and security researchers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.site.area import area

PREFIXES = ("/robots.txt", "/.well-known/change-password", "/.well-known/security.txt")
CHANGE_PASSWORD = "/account/change-password"
CONTACT = "https://parachute.computer"
_GET = ["GET", "HEAD"]
# RFC 9116, section 2.5.5, recommends less than a year.
_GOOD_FOR = timedelta(days=180)


def security_txt(origin: str, now: float) -> str:
    """The security.txt document (RFC 9116); `now` is in epoch seconds. Vulnerabilities of the hub itself go to its
    makers.
    """
    midnight = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    lines = (
        "# This is somebody's own Parachute Hub. Please report a flaw in the software to the people who make it.",
        f"Contact: {CONTACT}",
        f"Expires: {(midnight + _GOOD_FOR).isoformat().replace('+00:00', 'Z')}",
        "Preferred-Languages: en",
        f"Canonical: {origin}/.well-known/security.txt",
    )
    return "".join(f"{line}\n" for line in lines)


class Conventions:
    """`/robots.txt` (RFC 9309), `/.well-known/change-password` (W3C) and `/.well-known/security.txt` (RFC 9116)."""

    app: Klein = area()

    def __init__(self, *, origin: Callable[[], str], clock: Callable[[], float]) -> None:
        """`clock` is in epoch seconds."""
        self._origin = origin
        self._clock = clock

    @app.route("/robots.txt", methods=_GET)
    def robots(self, request: IRequest) -> bytes:
        """Nothing here is for search engines."""
        return _text(request, "User-agent: *\nDisallow: /\n")

    @app.route("/.well-known/change-password", methods=_GET)
    def change_password(self, request: IRequest) -> bytes:
        """The password page, for password managers."""
        request.setResponseCode(302)
        request.setHeader("Location", CHANGE_PASSWORD)
        request.setHeader("Cache-Control", "no-store")
        return b""

    @app.route("/.well-known/security.txt", methods=_GET)
    def security(self, request: IRequest) -> bytes:
        """The security contact."""
        return _text(request, security_txt(self._origin(), self._clock()))


def _text(request: IRequest, text: str) -> bytes:
    request.setHeader("Content-Type", "text/plain; charset=utf-8")
    request.setHeader("Cache-Control", "public, max-age=86400")
    return text.encode()
