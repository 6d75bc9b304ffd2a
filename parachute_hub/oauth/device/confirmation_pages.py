"""`/api/confirmations` for the command on another machine, `/account/confirm` for its person."""

import re

from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IRequest

from parachute_hub.oauth import pages
from parachute_hub.oauth.authorization.browser_session import PageSession, PageSessions
from parachute_hub.oauth.device.confirmations import LIFETIME, Confirmation, Confirmations
from parachute_hub.oauth.device.pages import since
from parachute_hub.oauth.params import form
from parachute_hub.oauth.tokens.bearer_auth import BearerRecogniser
from parachute_hub.oauth.tokens.issuer import Issuer
from parachute_hub.site.answers import as_json, sign_in_first
from parachute_hub.site.area import area
from parachute_hub.site.auth import Principal
from parachute_hub.site.bodies import read_json
from parachute_hub.site.errors import Refused, not_found
from parachute_hub.site.pages import show_message

PAGE = "/account/confirm"
INTERVAL = 2
_OPERATION = re.compile(r"[a-z][a-z0-9.-]{0,63}(:[\x21-\x7e]{1,500})?")
_WORDS = {
    "install": "Install a module?",
    "adopt": "Adopt a module?",
    "configure": "Change a module's settings?",
    "delete-data": "Delete a module's data?",
    "restore-data": "Put back a module's earlier data?",
    "hub.lock": "Lock everything?",
    "hub.origin": "Change the hub's address?",
    "backup.key": "Change the key of the backups?",
    "backup.place": "Change where backups go?",
    "backup.download": "Download a backup?",
    "backup.restore": "Restore a backup?",
    "user.invite": "Invite somebody?",
    "user.delete": "Delete an account?",
}


def in_words(operation: str) -> str:
    """An operation as a question.

    >>> in_words("delete-data:vault"), in_words("key.rotate")
    ("Delete a module's data?", 'Confirm this?')
    """
    return _WORDS.get(operation.partition(":")[0], "Confirm this?")


class ConfirmationArea:
    """The command says what it wants to do and waits; a page asks its person; the command collects the proof."""

    app: Klein = area()

    def __init__(
        self,
        *,
        confirmations: Confirmations,
        bearers: BearerRecogniser,
        issuer: Issuer,
        visits: PageSessions,
        clock: IReactorTime,
    ) -> None:
        self._confirmations = confirmations
        self._bearers = bearers
        self._issuer = issuer
        self._visits = visits
        self._clock = clock

    @app.route("/api/confirmations", methods=["POST"])
    async def begin(self, request: IRequest) -> bytes:
        """Name the `operation` of an answer `step_up_required`. Returns the link for the person."""
        principal, connection = self._command(request)
        operation = read_json(request).get("operation")
        if not isinstance(operation, str) or not _OPERATION.fullmatch(operation):
            raise Refused(400, "invalid_operation", "Name the operation to confirm, such as user.delete:<id>.")
        name = self._confirmations.begin(
            user_id=str(principal.user_id),
            connection=connection,
            operation=operation,
            address=self._visits.address(request),
        )
        link = f"{self._issuer.issuer}{PAGE}/{name}"
        answer = {"id": name, "url": link, "expires_in": int(LIFETIME), "interval": INTERVAL}
        return as_json(request, answer, status=201)

    @app.route("/api/confirmations/<confirmation_id>", methods=["GET"])
    async def collect(self, request: IRequest, confirmation_id: str) -> bytes:
        """`state`, and the `proof` once it is confirmed: told once."""
        _, connection = self._command(request)
        found = self._confirmations.collect(confirmation_id, connection)
        if found is None:
            raise not_found("This has ended. Run the command again.")
        return as_json(request, {"state": found.state, **({"proof": found.proof} if found.proof else {})})

    @app.route(f"{PAGE}/<confirmation_id>", methods=["GET", "HEAD"])
    async def show(self, request: IRequest, confirmation_id: str) -> bytes:
        """What the command is about to do."""
        visit, found = self._asked(request, confirmation_id)
        return pages.show_confirmation(request, visit, self._told(found))

    @app.route(f"{PAGE}/<confirmation_id>", methods=["POST"])
    async def answer(self, request: IRequest, confirmation_id: str) -> bytes:
        """Confirm it with the password, or refuse it."""
        visit, found = self._asked(request, confirmation_id)
        params = form(request)
        if params.get("approve") != "yes":
            self._confirmations.answer(confirmation_id, "refused")
            return show_message(request, "Not done", "The command was told not to do it. You can close this page.")
        try:
            await self._visits.confirm(request, password=params.get("password"))
        except Refused as refused:
            return pages.show_confirmation(request, visit, self._told(found), refused)
        proof = self._visits.proof(found.connection, found.operation)
        if not self._confirmations.answer(confirmation_id, "confirmed", proof):
            raise _ended()
        return show_message(request, "Confirmed", "The command goes on by itself. You can close this page.")

    def _command(self, request: IRequest) -> tuple[Principal, str]:
        principal = self._bearers.recognise(request)
        if principal is None or principal.user_id is None or principal.connection is None:
            raise Refused(403 if principal else 401, "not_the_command", "This is for the hub's own command.")
        return principal, principal.connection

    def _asked(self, request: IRequest, name: str) -> tuple[PageSession, Confirmation]:
        visit = self._visits.visit(request)
        if visit is None:
            raise sign_in_first(f"{PAGE}/{name}")
        found = self._confirmations.get(name)
        if found is None or found.user_id != visit.user.id or found.state != "waiting":
            raise _ended()
        return visit, found

    def _told(self, found: Confirmation) -> dict[str, str]:
        return {
            "what": in_words(found.operation),
            "operation": found.operation,
            "address": found.address,
            "age": since(self._clock.seconds() - found.created_at),
        }


def _ended() -> Refused:
    return Refused(410, "confirmation_ended", "This has ended, or belongs to somebody else. Run the command again.")
