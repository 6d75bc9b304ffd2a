"""`/account`: a user's own account, without JavaScript."""

from collections.abc import Callable, Sequence

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.accounts.forms import Form, query, read_form
from parachute_hub.accounts.model import Origins, SignedIn
from parachute_hub.accounts.pages import notice
from parachute_hub.accounts.passkeys.own import OwnPasskeys
from parachute_hub.accounts.passkeys.views import told
from parachute_hub.accounts.people import account_views
from parachute_hub.accounts.people.account_views import App, When
from parachute_hub.accounts.people.self_service import SelfService
from parachute_hub.accounts.sessions.browser import Browser
from parachute_hub.accounts.sessions.csrf import token_for
from parachute_hub.accounts.sessions.session_auth import SessionRecogniser
from parachute_hub.site.answers import see_other
from parachute_hub.site.area import area
from parachute_hub.site.errors import Refused
from parachute_hub.site.pages import UNDO, Content, csrf_field, problem, show
from parachute_hub.site.safe_redirect import safe_next

_CHANGED = "Your password was changed, and every other browser is signed out."
Links = Callable[[SignedIn], Sequence[tuple[str, str, str]]]


class AccountPages:
    """Every page requires a session; changes also require the password in the same form.

    `links` returns more rows for the account page, each (title, sentence, path), from other areas; `apps` a user's
    connected apps.
    """

    app: Klein = area()

    def __init__(
        self,
        *,
        account: SelfService,
        browser: Browser,
        sessions: SessionRecogniser,
        origins: Origins,
        when: When,
        links: Links,
        passkeys: OwnPasskeys,
        apps: Callable[[str], Sequence[App]],
    ) -> None:
        self._passkeys = passkeys
        self._apps = apps
        self._account = account
        self._browser = browser
        self._sessions = sessions
        self._origins = origins
        self._when = when
        self._links = links

    @app.route("/account", methods=["GET", "HEAD"])
    @app.route("/account/", methods=["GET", "HEAD"])
    async def overview(self, request: IRequest) -> bytes:
        """The account overview."""
        found = self._entered(request)
        content = account_views.overview(
            found,
            self._account.standing(found),
            len(self._passkeys.passkeys.of_user(found.user.id)),
            self._when,
            self._links(found),
            self._origins.issuer().startswith("https://"),
            token_for(found.token),
        )
        done = [notice(_CHANGED)] if query(request, "done") == "password" else []
        return show(request, "Your account", [*done, content])

    @app.route("/account/name", methods=["GET", "HEAD"])
    async def ask_name(self, request: IRequest) -> bytes:
        """What the person is called."""
        return self._name_form(request, self._entered(request))

    @app.route("/account/name", methods=["POST"])
    async def change_name(self, request: IRequest) -> bytes:
        """Change it."""
        found = self._entered(request)
        name = read_form(request).text("display_name")
        try:
            await self._account.change_name(found, self._browser.visitor(request), name)
        except Refused as refused:
            return self._name_form(request, found, refused, name)
        return see_other(request, "/account")

    @app.route("/account/change-password", methods=["GET", "HEAD"])
    async def ask_password(self, request: IRequest) -> bytes:
        """The password form, also available while the password is temporary."""
        found = self._sessions.need_page(request)
        return await self._password_form(request, found, safe_next(query(request, "next"), ""))

    @app.route("/account/change-password", methods=["POST"])
    async def change_password(self, request: IRequest) -> bytes:
        """Change the password and end all other sessions."""
        found = self._sessions.need_page(request)
        form = read_form(request)
        next_path = safe_next(form.text("next"), "")
        try:
            if form.text("new_password") != form.text("new_password_confirm"):
                raise Refused(400, "passwords_differ", "The new passwords do not match. Type them again.")
            entered = await self._account.change_password(
                found, self._browser.visitor(request), form.text("current_password"), form.text("new_password")
            )
        except Refused as refused:
            return await self._password_form(request, found, next_path, refused)
        self._browser.enter(request, entered)
        return see_other(request, next_path or "/account?done=password")

    @app.route("/account/2fa", methods=["GET", "HEAD"])
    async def factor(self, request: IRequest) -> bytes:
        """The state of the second factor."""
        return await self._factor_page(request, self._entered(request))

    @app.route("/account/2fa", methods=["POST"])
    async def change_factor(self, request: IRequest) -> bytes:
        """Start, confirm, renew the recovery codes, or disable."""
        found = self._entered(request)
        form = read_form(request)
        try:
            return await self._change_factor(request, found, form)
        except Refused as refused:
            return await self._factor_page(request, found, refused, began=form.text("action") == "confirm")

    @app.route("/account/sessions", methods=["GET", "HEAD"])
    async def browsers(self, request: IRequest) -> bytes:
        """The user's signed-in browsers, passkeys and connected apps."""
        found, passkeys = self._entered(request), self._passkeys.passkeys
        content = account_views.sessions(
            self._account.sessions(found),
            found.session.id,
            self._when,
            token_for(found.token),
            passkeys=[told(one, passkeys.names(), self._when) for one in passkeys.of_user(found.user.id)],
            apps=self._apps(found.user.id),
        )
        return show(request, "Sessions and devices", content, head=UNDO)

    @app.route("/account/sessions", methods=["POST"])
    async def end_browsers(self, request: IRequest) -> bytes:
        """Sign out one browser, or all others."""
        found = self._entered(request)
        form = read_form(request)
        visitor = self._browser.visitor(request)
        if form.text("action") == "others":
            await self._account.end_other_sessions(found, visitor)
        else:
            await self._account.end_session(found, visitor, form.text("session"))
        return see_other(request, "/account/sessions")

    def _entered(self, request: IRequest) -> SignedIn:
        found = self._sessions.need_page(request)
        self._sessions.refuse_temporary(request, found)
        return found

    async def _change_factor(self, request: IRequest, found: SignedIn, form: Form) -> bytes:
        visitor = self._browser.visitor(request)
        match form.text("action"):
            case "start":
                await self._account.start_second_factor(found, visitor, form.text("password"), self._host())
                return await self._factor_page(request, found, began=True)
            case "confirm":
                entered, codes = await self._account.confirm_second_factor(found, visitor, form.text("code"))
                self._browser.enter(request, entered)
                return show(request, "Recovery codes", account_views.codes(codes, "Your second factor is on."))
            case "passkeys":
                entered, codes = await self._passkeys.become_second_factor(found, visitor, form.text("password"))
                self._browser.enter(request, entered)
                return show(request, "Recovery codes", account_views.codes(codes, "Your second factor is on."))
            case "codes":
                codes = await self._account.new_recovery_codes(found, visitor, form.text("password"))
                return show(request, "Recovery codes", account_views.codes(codes, "The old codes are void."))
            case "disable":
                self._browser.enter(
                    request, await self._account.second_factor_off(found, visitor, form.text("password"))
                )
                return see_other(request, "/account")
            case _:
                raise Refused(400, "invalid_request", "Choose what to do with the second factor.")

    async def _factor_page(
        self, request: IRequest, found: SignedIn, refused: Refused | None = None, *, began: bool = False
    ) -> bytes:
        started = self._account.started_second_factor(found, self._host()) if began else None
        passkeys = self._passkeys.passkeys.usable(found.user.id, self._browser.origin(request))
        content = account_views.second_factor(
            self._account.standing(found), started, len(passkeys), self._when, _said(found, refused)
        )
        return show(request, "Second factor", content, refused=refused)

    def _name_form(
        self, request: IRequest, found: SignedIn, refused: Refused | None = None, typed: str | None = None
    ) -> bytes:
        name = found.user.display_name if typed is None else typed
        return show(request, "Your name", account_views.name(name, _said(found, refused)), refused=refused)

    async def _password_form(
        self, request: IRequest, found: SignedIn, next_path: str, refused: Refused | None = None
    ) -> bytes:
        content = account_views.change_password(found, next_path, _said(found, refused))
        return show(request, "Change your password", content, refused=refused)

    def _host(self) -> str:
        return self._origins.issuer().partition("://")[2]


def _said(found: SignedIn, refused: Refused | None) -> dict[str, Content]:
    return {
        "problem": problem(refused),
        "csrf": csrf_field(token_for(found.token)),
        "username": found.user.username,
    }
