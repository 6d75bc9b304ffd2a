"""`/admin/setup/move-in`: moving in from the older hub, as pages without JavaScript and as JSON for the command."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.template import Tag, tags

from parachute_hub.accounts.forms import Form, is_json
from parachute_hub.accounts.pages import fill
from parachute_hub.migration.plan import Move
from parachute_hub.migration.service import MoveIn
from parachute_hub.site.answers import as_json, see_other
from parachute_hub.site.area import area
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused
from parachute_hub.site.pages import Content, csrf_field, problem, refuse, show

BASE = "/admin/setup/move-in"
_SETUP = "/admin/setup"


class SetupToken(Protocol):
    """What proves that an empty hub is one's own."""

    def check_token(self, token: str) -> object:
        """Raises Refused unless it is the setup token."""


class PageForms(Protocol):
    """Forms of pages before sign-in."""

    def page_token(self, request: IRequest) -> str:
        """The CSRF token; sets its cookie."""

    def check_page(self, request: IRequest) -> Form:
        """The body. Raises Refused 403 for a foreign page."""


class MoveInPages:
    """Two steps: the setup token shows the plan, and the plan's ticket takes it over."""

    app: Klein = area()

    def __init__(self, *, move_in: MoveIn, setup: SetupToken, browser: PageForms, who: Authenticator) -> None:
        self._move_in = move_in
        self._setup = setup
        self._browser = browser
        self._who = who

    @app.route(BASE, methods=["GET", "HEAD"])
    def page(self, request: IRequest) -> bytes:
        """The first step."""
        if not self._move_in.offered:
            return see_other(request, _SETUP)
        return self._ask(request)

    @app.route(f"{BASE}/plan", methods=["POST"])
    async def look(self, request: IRequest) -> bytes:
        """`{setup_token}`: what would come along, and the ticket for the second step."""
        try:
            self._prove(request)
            move, ticket = await self._move_in.begin()
        except Refused as refused:
            return self._refuse(request, refused)
        if is_json(request):
            return as_json(request, {"plan": move.to_json(), "ticket": ticket})
        content = fill(
            "setup-move-in-plan",
            problem="",
            csrf=csrf_field(self._browser.page_token(request)),
            ticket=ticket,
            facts=_facts(move),
            remarks=_remarks(move.remarks),
        )
        return show(request, "This comes along", content)

    @app.route(BASE, methods=["POST"])
    async def take_over(self, request: IRequest) -> bytes:
        """`{ticket}`: take everything over. The hub restarts."""
        try:
            if is_json(request):
                ticket = str(read_json(request).get("ticket", ""))
            else:
                ticket = self._browser.check_page(request).text("ticket")
            move = await self._move_in.move(ticket)
        except Refused as refused:
            return self._refuse(request, refused)
        if is_json(request):
            return as_json(request, {"restarting": True, "remarks": list(move.remarks)}, status=202)
        content = fill("setup-moved-in", remarks=_remarks(move.remarks))
        return show(request, "Welcome back", content)

    def _prove(self, request: IRequest) -> None:
        """The setup token; the command on this machine has the operator token in its place. Raises Refused."""
        known = self._who.identify(request)
        if known is not None and known.kind == "operator":
            return
        if is_json(request):
            self._setup.check_token(str(read_json(request).get("setup_token", "")))
        else:
            self._setup.check_token(self._browser.check_page(request).text("setup_token"))

    def _ask(self, request: IRequest, refused: Refused | None = None) -> bytes:
        content = fill("setup-move-in", problem=problem(refused), csrf=csrf_field(self._browser.page_token(request)))
        script = tags.script(src="/static/hub/setup-token.js", type="module")
        return show(request, "Move in", content, refused=refused, head=script)

    def _refuse(self, request: IRequest, refused: Refused) -> bytes:
        if is_json(request) or refused.error == "csrf_failed":
            return refuse(request, refused)
        return self._ask(request, refused)


def _facts(move: Move) -> list[Tag]:
    told = move.to_json()
    people = [_person(person) for person in told["people"]]
    apps = [str(app["name"] or app["client_id"]) for app in told["apps"]]
    rows: list[tuple[str, Sequence[str]]] = [("Accounts", people), ("Connected apps", apps)]
    address = told["settings"].get("hub_origin")
    if address:
        rows.append(("Address", [address]))
    rows.append(("Notes, vaults, modules", ["stay where they are"]))
    return [tag for name, texts in rows if texts for tag in (tags.dt(name), *(tags.dd(text) for text in texts))]


def _person(person: Mapping[str, Any]) -> str:
    kind = "owner" if person["role"] == "admin" else "member"
    return f"{person['username']} ({kind}{', with second factor' if person['second_factor'] else ''})"


def _remarks(remarks: Sequence[str]) -> Content:
    if not remarks:
        return ""
    return tags.div(tags.h2("This does not"), tags.ul(*(tags.li(remark) for remark in remarks), class_="points"))
