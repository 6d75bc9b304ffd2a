"""Serves the built admin app (`web/` after `make web`): its files, and its page for every other path below /admin."""

import re
from pathlib import Path
from typing import Final

from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import Request

from parachute_hub.site.errors import Refused, not_found
from parachute_hub.site.pages import refuse

BUILT: Final = Path(__file__).parent.parent / "static" / "admin"
PREFIX: Final = b"/admin"

# The build creates one folder of hashed assets and a few named files, so file names need no other characters.
_FILE = re.compile(rb"(assets/)?[A-Za-z0-9_][A-Za-z0-9._-]*")
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
_FOREVER = "public, max-age=31536000, immutable"
_A_DAY = "public, max-age=86400"


class AdminApp(Resource):
    """`/admin` and everything below it that no other area serves. Read-only; needs no sign-in."""

    isLeaf = True

    def __init__(self, folder: Path = BUILT) -> None:
        super().__init__()
        self._folder = folder

    def render_GET(self, request: Request) -> bytes:
        """A file of the build, or the page."""
        rest = request.path[len(PREFIX) :].lstrip(b"/")
        if _escapes(rest):
            return refuse(request, not_found())
        found = self._file(rest) if _FILE.fullmatch(rest) else None
        if found is not None:
            return _send(request, found, _FOREVER if rest.startswith(b"assets/") else _A_DAY)
        page = self._file(b"index.html")
        if page is None:
            return refuse(
                request, Refused(503, "not_built", "The admin app is not built. Run `make web`, then reload.")
            )
        return _send(request, page, "no-store")

    def _file(self, name: bytes) -> Path | None:
        path = self._folder / name.decode("ascii")
        return path if path.suffix in _TYPES and path.is_file() else None


def _escapes(rest: bytes) -> bool:
    """True if a path tries to leave the folder, in any encoding."""
    plain = rest.lower().replace(b"%2e", b".").replace(b"%2f", b"/").replace(b"%5c", b"/").replace(b"\\", b"/")
    return b".." in plain.split(b"/") or b"\0" in plain or b"%00" in plain


def _send(request: IRequest, path: Path, cache: str) -> bytes:
    """The file's bytes, precompressed if the client accepts it."""
    request.setHeader("Content-Type", _TYPES[path.suffix])
    request.setHeader("Cache-Control", "no-store" if path.name == "index.html" else cache)
    small = path.with_name(path.name + ".gz")
    if small.is_file():
        request.setHeader("Vary", "Accept-Encoding")
        if _takes_gzip(request.getHeader("accept-encoding") or ""):
            request.setHeader("Content-Encoding", "gzip")
            return small.read_bytes()
    return path.read_bytes()


def _takes_gzip(accepted: str) -> bool:
    """True if an Accept-Encoding header accepts gzip (RFC 9110, section 12.5.3).

    >>> _takes_gzip("br, gzip;q=0.5"), _takes_gzip("gzip;q=0, br"), _takes_gzip("")
    (True, False, False)
    """
    for choice in accepted.lower().split(","):
        coding, _, weight = choice.partition(";")
        if coding.strip() == "gzip":
            return not re.fullmatch(r"\s*q=0(\.0*)?\s*", weight)
    return False
