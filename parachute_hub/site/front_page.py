"""`/`: what the hub is and what is running, for any visitor. Works without JavaScript and without an account."""

from collections.abc import Callable, Iterable

from attrs import frozen
from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.template import Tag, flattenString, tags

from parachute_hub.site.area import area

_WORDS = {
    "ready": "running",
    "degraded": "running, but slow to answer",
    "starting": "starting",
    "backoff": "restarting",
    "parked": "keeps failing; the hub tries again every few minutes",
    "stopping": "stopping",
    "stopped": "stopped",
    "held": "held back",
}


@frozen(kw_only=True)
class Tile:
    """One module on the page; `url` opens it, None if it has no page."""

    name: str
    tagline: str
    state: str
    url: str | None = None


def page(title: str, *content: Tag | str) -> Tag:
    """The frame of a plain page of the hub."""
    return tags.html(
        tags.head(
            tags.meta(charset="utf-8"),
            tags.meta(name="viewport", content="width=device-width, initial-scale=1"),
            tags.title(title),
            tags.link(rel="stylesheet", href="/static/hub/hub.css"),
        ),
        tags.body(Tag("main")(*content, class_="page")),
        lang="en",
    )


def front_page(tiles: Iterable[Tile]) -> Tag:
    """The page as a tree; text is escaped on flattening."""
    rows = [_tile(tile) for tile in tiles]
    listing: Tag = (
        tags.ul(*rows, class_="tiles")
        if rows
        else tags.p("Nothing is installed yet. ", tags.a("Choose what to install", href="/admin/"), ".")
    )
    return page(
        "Parachute",
        tags.h1("Parachute"),
        tags.p("Your own small server for notes and more. It runs here, for you, and nowhere else."),
        tags.h2("Running here"),
        listing,
        tags.p(tags.a("Manage this hub", href="/admin/")),
    )


def _tile(tile: Tile) -> Tag:
    name = tags.a(tile.name, href=tile.url) if tile.url else tags.span(tile.name)
    state = tags.span(_WORDS.get(tile.state, tile.state), class_=f"state state-{tile.state}")
    return tags.li(tags.h3(name), tags.p(tile.tagline), tags.p(state))


class FrontPage:
    """`GET /` and `/hub.html`."""

    app: Klein = area()

    def __init__(self, tiles: Callable[[], Iterable[Tile]]) -> None:
        self._tiles = tiles

    @app.route("/", methods=["GET", "HEAD"])
    @app.route("/hub.html", methods=["GET", "HEAD"])
    async def front(self, request: IRequest) -> bytes:
        """The current page, never cached because states change."""
        request.setHeader("Content-Type", "text/html; charset=utf-8")
        request.setHeader("Cache-Control", "no-store")
        return b"<!DOCTYPE html>\n" + await flattenString(request, front_page(self._tiles()))
