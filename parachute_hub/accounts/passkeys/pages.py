"""`/account/passkeys`: a person's passkeys."""

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.accounts.forms import read_form
from parachute_hub.accounts.model import SignedIn
from parachute_hub.accounts.passkeys import views
from parachute_hub.accounts.passkeys.own import OwnPasskeys
from parachute_hub.accounts.passkeys.views import When
from parachute_hub.accounts.people.account_views import browser_name
from parachute_hub.accounts.sessions.browser import Browser
from parachute_hub.accounts.sessions.csrf import token_for
from parachute_hub.accounts.sessions.session_auth import SessionRecogniser
from parachute_hub.site.answers import as_json, see_other
from parachute_hub.site.area import area
from parachute_hub.site.errors import Refused
from parachute_hub.site.pages import Content, csrf_field, problem, show

HERE = "/account/passkeys"


class PasskeyPages:
    """The pages work without JavaScript, but only a script can add a passkey: it asks the browser for one."""

    app: Klein = area()

    def __init__(self, *, own: OwnPasskeys, browser: Browser, sessions: SessionRecogniser, when: When) -> None:
        self._own = own
        self._browser = browser
        self._sessions = sessions
        self._when = when

    @app.route(HERE, methods=["GET", "HEAD"])
    async def list(self, request: IRequest) -> bytes:
        """All of them, with the form for another."""
        return self._list(request, self._entered(request))

    @app.route(f"{HERE}/<passkey_id>", methods=["GET", "HEAD"])
    async def show(self, request: IRequest, passkey_id: str) -> bytes:
        """One of them."""
        return self._one(request, self._entered(request), passkey_id)

    @app.route(f"{HERE}/<passkey_id>", methods=["POST"])
    async def change(self, request: IRequest, passkey_id: str) -> bytes:
        """Rename or remove it."""
        found = self._entered(request)
        form, visitor = read_form(request), self._browser.visitor(request)
        try:
            match form.text("action"):
                case "rename":
                    await self._own.rename(found, visitor, passkey_id, form.text("name"), form.text("password"))
                case "remove":
                    await self._own.remove(found, visitor, passkey_id, form.text("password"))
                case _:
                    raise Refused(400, "invalid_request", "Choose what to do with the passkey.")
        except Refused as refused:
            if self._own.find(found, passkey_id) is None:
                raise
            return self._one(request, found, passkey_id, refused)
        return see_other(request, HERE)

    @app.route("/api/account/passkeys", methods=["POST"])
    async def add(self, request: IRequest) -> bytes:
        """Keep a new one: `{credential, name}`, the answer to the options of `start`."""
        found = self._entered(request)
        form = read_form(request)
        added = await self._own.passkeys.add(
            found, self._browser.visitor(request), form.text("credential"), form.text("name")
        )
        return as_json(request, {"id": added.id, "name": added.name}, status=201)

    @app.route("/api/account/passkeys/start", methods=["POST"])
    async def start(self, request: IRequest) -> bytes:
        """Options for `navigator.credentials.create`, for `{password}`."""
        found = self._entered(request)
        options = await self._own.begin(found, self._browser.visitor(request), read_form(request).text("password"))
        return as_json(request, options)

    def _entered(self, request: IRequest) -> SignedIn:
        found = self._sessions.need_page(request)
        self._sessions.refuse_temporary(request, found)
        return found

    def _list(self, request: IRequest, found: SignedIn) -> bytes:
        visitor, passkeys = self._browser.visitor(request), self._own.passkeys
        content = views.listed(
            passkeys.of_user(found.user.id),
            passkeys.place(visitor.origin),
            passkeys.names(),
            self._when,
            _said(found, None),
            browser_name(visitor.user_agent),
        )
        return show(request, "Passkeys", content)

    def _one(self, request: IRequest, found: SignedIn, passkey_id: str, refused: Refused | None = None) -> bytes:
        content = views.one(self._own.get(found, passkey_id), self._when, _said(found, refused))
        return show(request, "Passkey", content, refused=refused)


def _said(found: SignedIn, refused: Refused | None) -> dict[str, Content]:
    return {
        "problem": problem(refused),
        "csrf": csrf_field(token_for(found.token)),
        "username": found.user.username,
    }
