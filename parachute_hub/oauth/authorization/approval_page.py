"""The page on which an owner approves a self-registered app."""

from urllib.parse import quote, unquote

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.oauth import pages
from parachute_hub.oauth.authorization.browser_session import PageSession, PageSessions
from parachute_hub.oauth.clients.connections import Connections
from parachute_hub.oauth.clients.lookup import ClientDirectory
from parachute_hub.oauth.params import form
from parachute_hub.site.answers import see_other, sign_in_first
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.site.pages import show_message
from parachute_hub.store.rows import Client

_RETURN = "/oauth/authorize?"


def safe_return(text: str) -> str | None:
    """`text` if it is one of the hub's own authorization requests, even after decoding once; else None.

    >>> safe_return("/oauth/authorize?client_id=a"), safe_return("//evil/oauth/authorize?"), safe_return("/oauth/..")
    ('/oauth/authorize?client_id=a', None, None)
    """
    path = unquote(text).partition("?")[0]
    good = text.startswith(_RETURN) and path == "/oauth/authorize" and text.isascii() and text.isprintable()
    return text if good and " " not in text and "\\" not in text else None


class ApproveArea:
    """`/admin/approve-client/<id>` shows an app to an owner; its form approves or rejects the app."""

    app: Klein = area()

    def __init__(self, *, directory: ClientDirectory, connections: Connections, visits: PageSessions) -> None:
        self._directory = directory
        self._connections = connections
        self._visits = visits

    @app.route("/admin/approve-client/<client_id>", methods=["GET", "HEAD"])
    async def show(self, request: IRequest, client_id: str) -> bytes:
        """The app as it describes itself."""
        visit = self._owner(request, _page_of(client_id))
        client = self._client(client_id)
        if client.status == "approved":
            return show_message(request, "Done", f"“{client.name}” may connect now. Go back to the app.")
        return pages.show_approval(request, client, visit, {})

    @app.route("/oauth/authorize/approve", methods=["POST"])
    async def decide(self, request: IRequest) -> bytes:
        """Handle the owner's decision. `return_to` is the app's pending authorization request."""
        params = form(request)
        client_id = params.get("client_id")
        visit = self._owner(request, _page_of(client_id))
        client = self._client(client_id)
        if params.get("decision") != "approve":
            if client.status == "pending":
                await self._connections.remove_client(client_id)
            return show_message(request, "Done", f"“{client.name}” was refused and removed.")
        return_to = safe_return(params.get("return_to"))
        hidden = {"return_to": return_to} if return_to else {}
        try:
            await self._visits.confirm(request, password=params.get("password"))
        except Refused as refused:
            return pages.show_approval(request, client, visit, hidden, error=refused.description)
        await self._connections.approve_client(client_id, visit.user.username)
        return see_other(request, return_to or _page_of(client_id))

    def _owner(self, request: IRequest, here: str) -> PageSession:
        visit = self._visits.visit(request)
        if visit is None:
            raise sign_in_first(here)
        if not visit.principal.may(ADMIN):
            raise Refused(403, "not_admin", "Only an owner of this hub can approve apps.")
        return visit

    def _client(self, client_id: str) -> Client:
        client = self._directory.known(client_id)
        if client is None:
            raise not_found(
                "This app is not waiting for approval. It may have been approved already, or the request expired."
            )
        return client


def _page_of(client_id: str) -> str:
    return f"/admin/approve-client/{quote(client_id, safe='')}"
