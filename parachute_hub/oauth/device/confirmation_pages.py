"""`/api/confirmations` for the command on another machine, `/account/confirm` for its person."""

import re
from collections.abc import Callable
from urllib.parse import unquote

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
from parachute_hub.store.clients import Clients
from parachute_hub.store.grants import Grants
from parachute_hub.store.users import Users

PAGE = "/account/confirm"
INTERVAL = 2
_OPERATION = re.compile(r"[a-z][a-z0-9.-]{0,63}(:[\x21-\x7e]{1,500})?")
_WORDS = {
    "adopt": "Adopt the module {}?",
    "backup.download": "Download a backup?",
    "backup.key": "Change the key of the backups?",
    "backup.place": "Change where backups go?",
    "backup.restore": "Restore a backup?",
    "client.approve": "Approve the app {}?",
    "configure": "Change the settings of the module {}?",
    "delete-data": "Delete the data of the module {}?",
    "downgrade": "Put back an older version of the module {}?",
    "hub.lock": "Lock everything?",
    "hub.origin": "Change the hub’s address?",
    "install": "Install {}?",
    "key.rotate": "Replace the key that signs tokens?",
    "link": "Change which machine the module {} runs on?",
    "move": "Move the module {} with its data?",
    "notice.destination": "Change where messages go?",
    "operator.rotate": "Replace the operator token?",
    "phone.link": "Let a phone use your notes?",
    "reach.close": "Close the way to this hub?",
    "reach.open": "Let other devices reach this hub?",
    "restore-data": "Put back earlier data of the module {}?",
    "settings.open": "Open the settings of {}?",
    "token.mint": "Make a token?",
    "token.revoke": "Revoke a token?",
    "uninstall": "Remove the module {}?",
    "user.create": "Create an account?",
    "user.delete": "Delete the account of {}?",
    "user.invite": "Invite somebody?",
    "user.quota": "Change how much room {} has?",
    "user.reset-password": "Set a new password for {}?",
    "user.role": "Change the role of {}?",
    "user.second-factor": "Remove the second factor of {}?",
    "user.vaults": "Change the vaults of {}?",
    "vault.create": "Create the vault {}?",
    "vault.delete": "Delete the vault {}?",
}


def in_words(operation: str, name_of: Callable[[str, str], str | None] = lambda verb, object_id: None) -> str:
    """An operation as a question. `name_of` is what people call its object, if its id does not say that.

    >>> in_words("delete-data:vault"), in_words("hub.lock"), in_words("unheard-of:x")
    ('Delete the data of the module vault?', 'Lock everything?', 'Confirm this?')
    """
    verb, _, named = operation.partition(":")
    return _WORDS.get(verb, "Confirm this?").format(name_of(verb, named) or named)


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
        users: Users,
        clients: Clients,
        grants: Grants,
        clock: IReactorTime,
    ) -> None:
        self._confirmations = confirmations
        self._bearers = bearers
        self._issuer = issuer
        self._visits = visits
        self._users = users
        self._clients = clients
        self._grants = grants
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
            return show_message(request, "Cancelled", "Nothing was changed. You can close this page.")
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
        connection = self._grants.family(found.connection)
        if connection is None or connection.ended_at is not None:
            raise _ended()
        return visit, found

    def _told(self, found: Confirmation) -> dict[str, str]:
        return {
            "what": in_words(found.operation, self._name_of),
            "operation": found.operation,
            "address": found.address,
            "age": since(self._clock.seconds() - found.created_at),
        }

    def _name_of(self, verb: str, object_id: str) -> str | None:
        if verb.startswith("user."):
            user = self._users.by_id(object_id)
            return None if user is None else user.called
        client = self._clients.get(unquote(object_id)) if verb == "client.approve" else None
        return None if client is None else f"“{client.name}”"


def _ended() -> Refused:
    return Refused(410, "confirmation_ended", "This has ended, or belongs to somebody else. Run the command again.")
