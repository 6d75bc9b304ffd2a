"""`/account/download`: people take their notes with them."""

from collections.abc import Awaitable
from typing import Protocol, cast

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol as Receiver
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.iweb import IRequest, IResponse
from twisted.web.server import Request

from parachute_hub.accounts.forms import read_form
from parachute_hub.accounts.model import SignedIn
from parachute_hub.accounts.people import account_views
from parachute_hub.accounts.people.invitations import Vaults
from parachute_hub.accounts.sessions.csrf import token_for
from parachute_hub.accounts.sessions.session_auth import SessionRecogniser
from parachute_hub.site.area import area
from parachute_hub.site.errors import not_found
from parachute_hub.site.pages import show
from parachute_hub.store.rows import User
from parachute_hub.system.doer import Done


class Exports(Protocol):
    """Exports of vaults."""

    def begin(self, user: User, vault: str) -> Awaitable[IResponse]:
        """The vault module's answer with all notes of a vault as a zip. Raises Refused."""


class DownloadPages:
    """Every vault that a person may read, as Markdown with its files. POST, so that a cookie alone gets nothing."""

    app: Klein = area()

    def __init__(self, *, sessions: SessionRecogniser, vaults: Vaults, exports: Exports, done: Done) -> None:
        self._sessions = sessions
        self._vaults = vaults
        self._exports = exports
        self._done = done

    @app.route("/account/download", methods=["GET", "HEAD"])
    async def choose(self, request: IRequest) -> bytes:
        """The vaults, each with a button."""
        found = self._entered(request)
        content = account_views.downloads(self._names(found.user), token_for(found.token))
        return show(request, "Download your notes", content)

    @app.route("/account/download", methods=["POST"])
    async def download(self, request: IRequest) -> bytes:
        """Stream one vault."""
        user = self._entered(request).user
        vault = read_form(request).text("vault")
        if vault not in self._names(user):
            raise not_found("You have no such vault.")
        response = await self._exports.begin(user, vault)
        await self._done("notes-downloaded", vault)
        request.setHeader("Content-Type", "application/zip")
        request.setHeader("Content-Disposition", f'attachment; filename="{vault}.zip"')
        request.setHeader("Cache-Control", "no-store")
        stream = _Stream(request)
        response.deliverBody(stream)
        await stream.done
        return b""

    def _names(self, user: User) -> list[str]:
        return [name for name in self._vaults.names() if user.is_admin or name in user.vaults]

    def _entered(self, request: IRequest) -> SignedIn:
        found = self._sessions.need_page(request)
        self._sessions.refuse_temporary(request, found)
        return found


class _Stream(Receiver):
    """Passes a body on at the browser's pace. A body that breaks off breaks the download off, too."""

    def __init__(self, request: IRequest) -> None:
        self._request = cast(Request, request)
        self._gone = False
        self.done: Deferred[None] = Deferred()
        self._request.notifyFinish().addErrback(self._leave)

    def connectionMade(self) -> None:
        self._request.registerProducer(self.transport, True)

    def dataReceived(self, data: bytes) -> None:
        if not self._gone:
            self._request.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self._gone:
            self._request.unregisterProducer()
            if not reason.check(ResponseDone):
                self._request.loseConnection()
        self.done.callback(None)

    def _leave(self, why: Failure) -> None:
        self._gone = True
        if self.transport is not None:
            self.transport.loseConnection()
