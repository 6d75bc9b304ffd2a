"""`/static/hub/...`: the stylesheet, icon and scripts of the hub's own pages."""

import hashlib
from functools import cache
from importlib.resources import files

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.site.area import area
from parachute_hub.site.errors import not_found

_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


@cache
def _read(name: str) -> tuple[bytes, str]:
    content = files("parachute_hub.accounts").joinpath("static", name).read_bytes()
    return content, f'"{hashlib.sha256(content).hexdigest()[:16]}"'


@cache
def _names() -> frozenset[str]:
    folder = files("parachute_hub.accounts").joinpath("static")
    return frozenset(entry.name for entry in folder.iterdir() if entry.name.rpartition(".")[2] in _TYPES)


class StaticFiles:
    """Files shipped with the hub, by exact name. Browsers revalidate them each time."""

    app: Klein = area()

    @app.route("/static/hub/<name>", methods=["GET", "HEAD"])
    def file(self, request: IRequest, name: str) -> bytes:
        if name not in _names():
            raise not_found()
        content, tag = _read(name)
        request.setHeader("Cache-Control", "no-cache")
        if request.setETag(tag.encode()):
            return b""
        request.setHeader("Content-Type", _TYPES[name.rpartition(".")[2]])
        return content
