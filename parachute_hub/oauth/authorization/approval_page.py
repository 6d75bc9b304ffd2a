"""The page on which an owner approves a self-registered app."""

from urllib.parse import quote, unquote

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.oauth import pages
from parachute_hub.oauth.authorization.browser_session import PageSession, PageSessions
from parachute_hub.oauth.authorization.policy import ErrorPage
from parachute_hub.oauth.clients.connections import Connections
from parachute_hub.oauth.clients.lookup import ClientDirectory
from parachute_hub.oauth.params import form
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN
from parachute_hub.site.errors import Refused, not_found
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
        try:
            visit = self._owner(request, f"/admin/approve-client/{quote(client_id, safe='')}")
            client = self._client(client_id)
        except Refused as refused:
            return await pages.show_refusal(request, refused)
        if client.status == "approved":
            return await pages.show_stop(request, _done(f"“{client.name}” may connect now. Go back to the app."))
        return await pages.show_approval(request, client, visit, {})

    @app.route("/oauth/authorize/approve", methods=["POST"])
    async def decide(self, request: IRequest) -> bytes:
        """Handle the owner's decision. `return_to` is the app's pending authorization request."""
        try:
            params = form(request)
            client_id = params.get("client_id")
            visit = self._owner(request, f"/admin/approve-client/{quote(client_id, safe='')}")
            client = self._client(client_id)
        except Refused as refused:
            return await pages.show_refusal(request, refused)
        if params.get("decision") != "approve":
            if client.status == "pending":
                await self._connections.remove_client(client_id)
            return await pages.show_stop(request, _done(f"“{client.name}” was refused and removed."))
        return_to = safe_return(params.get("return_to"))
        hidden = {"return_to": return_to} if return_to else {}
        try:
            await self._visits.confirm(request, password=params.get("password"))
        except Refused as refused:
            return await pages.show_approval(request, client, visit, hidden, problem=refused.description)
        await self._connections.approve_client(client_id, visit.user.username)
        request.setResponseCode(303)
        request.setHeader("Location", return_to or f"/admin/approve-client/{quote(client_id, safe='')}")
        return b""

    def _owner(self, request: IRequest, here: str) -> PageSession:
        visit = self._visits.visit(request)
        if visit is None:
            location = "/login?next=" + quote(here, safe="/")
            raise Refused(303, "unauthenticated", "Sign in first.", headers={"Location": location})
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


def _done(text: str) -> ErrorPage:
    return ErrorPage(200, "Done", text)
