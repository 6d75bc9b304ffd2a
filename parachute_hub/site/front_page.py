"""`/`: the way to everything for those who are signed in, and the public face for others. Works without JavaScript."""

from collections.abc import Callable, Iterable, Sequence
from urllib.parse import quote

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.template import Tag, tags

from parachute_hub.site.area import area
from parachute_hub.site.pages import Content, csrf_field, show
from parachute_hub.system.records import frozen

_WORDS = {
    "degraded": "Slow to answer",
    "starting": "Starting",
    "backoff": "Restarting",
    "parked": "Keeps failing; the hub tries again every few minutes",
    "stopping": "Stopping",
    "stopped": "Stopped",
    "held": "Held back",
}
_WELL = ("ready", "asleep")


@frozen(kw_only=True)
class Tile:
    """An app: `url` opens it. `icon` is the address of its picture, and `writes` the one of a new note."""

    name: str
    tagline: str
    state: str
    url: str
    icon: str | None = None
    writes: str | None = None


@frozen(kw_only=True)
class Visitor:
    """Who is signed in. `csrf` is the token of their forms; `phone` says if their phone can be let in from here."""

    name: str
    is_admin: bool
    csrf: str
    phone: bool = False


class FrontPage:
    """`GET /` and `/hub.html`. `tiles` are the apps with a page, `who` raises Refused to lead elsewhere."""

    app: Klein = area()

    def __init__(self, tiles: Callable[[], Iterable[Tile]], who: Callable[[IRequest], Visitor | None]) -> None:
        self._tiles = tiles
        self._who = who

    @app.route("/", methods=["GET", "HEAD"])
    @app.route("/hub.html", methods=["GET", "HEAD"])
    async def front(self, request: IRequest) -> bytes:
        """What this visitor can do here. Strangers see no apps, and only owners see how they are."""
        visitor = self._who(request)
        if visitor is None:
            return show(request, "Welcome", _public())
        return show(request, "Home", _home(visitor, list(self._tiles())))


def _public() -> Content:
    return tags.div(
        tags.div(
            tags.h1("Welcome"),
            tags.p("This is a private server for notes and more.", class_="lead"),
        ),
        tags.a("Sign in", class_="button primary full", href="/login?next=/"),
        tags.p("No account yet? Ask the person who runs it for an invitation.", class_="quiet"),
    )


def _home(visitor: Visitor, tiles: Sequence[Tile]) -> Content:
    notes = next((tile for tile in tiles if tile.writes), None)
    first: list[Tag] = (
        [tags.a("Write a note", class_="button primary", href=notes.writes)] if notes and notes.writes else []
    )
    if visitor.is_admin:
        first.append(tags.a("Manage the hub", class_="button", href="/admin/"))
    return tags.div(
        tags.h1("Hello, ", visitor.name),
        tags.div(*first, class_="actions") if first else "",
        tags.ul(*(_tile(tile, visitor) for tile in tiles), class_="tiles") if tiles else _nothing(visitor),
        tags.ul(
            _phone(notes) if visitor.phone else "",
            _row("Connect an assistant", "Let Claude or another assistant use your notes.", "/account/connect"),
            _row("Your account", "Password, second factor, devices and connected apps.", "/account"),
            class_="rows",
        ),
        tags.form(
            csrf_field(visitor.csrf),
            tags.div(tags.button("Sign out", type="submit"), class_="actions"),
            method="post",
            action="/logout",
        ),
        class_="home",
    )


def _nothing(visitor: Visitor) -> Tag:
    if visitor.is_admin:
        return tags.p("Nothing is installed yet. ", tags.a("Choose what to install", href="/admin/modules"), ".")
    return tags.p("There is no app here yet. Ask the person who runs this hub.", class_="quiet")


def _tile(tile: Tile, visitor: Visitor) -> Tag:
    # The letter shows where the picture cannot be loaded.
    picture = tags.img(src=tile.icon, alt="", width="48", height="48") if tile.icon and tile.state in _WELL else ""
    icon = tags.span(tile.name[:1].upper(), picture, class_="icon", **{"aria-hidden": "true"})
    ill = visitor.is_admin and tile.state not in _WELL
    state = tags.span(_WORDS.get(tile.state, tile.state), class_=f"state state-{tile.state}") if ill else ""
    words = tags.span(tags.strong(tile.name), tags.span(tile.tagline, class_="quiet"), state, class_="words")
    return tags.li(tags.a(icon, words, href=tile.url))


def _phone(notes: Tile | None) -> Tag:
    path = "/account/phone" + (f"?next={quote(notes.url, safe='/')}" if notes else "")
    return _row("Use your notes on your phone", "Scan a code, and they open there.", path)


def _row(title: str, text: str, path: str) -> Tag:
    return tags.li(tags.div(tags.h2(tags.a(title, href=path)), tags.p(text, class_="quiet")))
