"""`/account/apps`: the user's connected apps, each with a disconnect button."""

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.template import Tag, tags

from parachute_hub.oauth import pages
from parachute_hub.oauth.authorization.browser_session import PageSession, PageSessions
from parachute_hub.oauth.clients.connections import ConnectedApp, Connections
from parachute_hub.oauth.params import form
from parachute_hub.oauth.well_known import Resources, catalog_of
from parachute_hub.site.answers import see_other, sign_in_first
from parachute_hub.site.area import area
from parachute_hub.site.pages import UNDO, breakable, csrf_field, show
from parachute_hub.system.timestamps import to_day

HERE = "/account/apps"


class AppsPages:
    """One page with a button per app."""

    app: Klein = area()

    def __init__(self, *, connections: Connections, visits: PageSessions, resources: Resources) -> None:
        self._connections = connections
        self._visits = visits
        self._resources = resources

    @app.route(HERE, methods=["GET", "HEAD"])
    async def show(self, request: IRequest) -> bytes:
        visit = self._visit(request)
        rows = [self._row(connected, visit) for connected in self._connections.of_user(visit.user.id)]
        empty = tags.p("No app is connected.", class_="quiet")
        content = pages.fill("apps", rows=tags.ul(*rows, class_="rows") if rows else empty)
        return show(request, "Connected apps", content, head=UNDO)

    @app.route(HERE, methods=["POST"])
    async def disconnect(self, request: IRequest) -> bytes:
        """Disconnect an app, then show the list again."""
        visit = self._visit(request)
        await self._connections.disconnect(visit.user.id, form(request).get("client_id"))
        return see_other(request, HERE)

    def _visit(self, request: IRequest) -> PageSession:
        visit = self._visits.visit(request)
        if visit is None:
            raise sign_in_first(HERE)
        return visit

    def _row(self, connected: ConnectedApp, visit: PageSession) -> Tag:
        shown, catalog = connected.to_json(), catalog_of(self._resources)
        used = f"Used {_between(connected.grant.first_at, connected.grant.last_at)}."
        allowed = [tags.li(catalog.explain(scope).text) for scope in connected.grant.scopes]
        if shown["domain"]:
            origin: list[Tag | str] = [f"Comes from {shown['domain']}"]
        elif shown["redirect_host"]:
            origin = ["Leads to ", breakable(shown["redirect_host"])]
        else:
            origin = ["Signed in with a code"]
        return tags.li(
            tags.div(
                tags.h2(connected.client.name),
                tags.p(*origin, f". {used}"),
                tags.ul(*allowed, class_="quiet"),
                *self._branches(connected),
            ),
            tags.form(
                csrf_field(visit.csrf),
                tags.input(type="hidden", name="client_id", value=connected.client.client_id),
                tags.button("Disconnect", type="submit", class_="danger small"),
                method="post",
                action=HERE,
                **{"data-undo": f"Disconnecting {connected.client.name}"},
            ),
        )

    def _branches(self, connected: ConnectedApp) -> list[Tag]:
        """What an app's several processes are, and what went wrong with it."""
        shown = []
        if connected.trouble is not None:
            at, why = connected.trouble
            text = f"Disconnected on {to_day(at)}. {why} Connect it again if you use it, and check your devices."
            shown.append(tags.p(text, class_="message bad", role="status"))
        if len(connected.branches) > 1:
            uses = [
                tags.li(f"Used {_between(branch.began_at, branch.last_at)}, from {branch.address}")
                for branch in connected.branches
            ]
            shown += [tags.p(f"It is used in {len(uses)} places:", class_="quiet"), tags.ul(*uses, class_="quiet")]
        return shown


def _between(first: float, last: float) -> str:
    """When it was used.

    >>> _between(0, 9e6), _between(0, 1)
    ('since Jan 1, 1970, last on Apr 15, 1970', 'on Jan 1, 1970')
    """
    since, until = to_day(first), to_day(last)
    return f"on {until}" if since == until else f"since {since}, last on {until}"
