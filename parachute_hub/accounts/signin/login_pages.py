"""`/login`, `/login/passkey`, `/login/2fa`, `/logout` and `/signup`."""

from urllib.parse import quote

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.template import Tag, tags

from parachute_hub.accounts.forms import Form, query, read_form
from parachute_hub.accounts.model import NewSession, PendingSecondFactor, SignedIn
from parachute_hub.accounts.pages import fill
from parachute_hub.accounts.passkeys.entry import PasskeySignIn, SecondFactors
from parachute_hub.accounts.passkeys.views import obstacle
from parachute_hub.accounts.sessions import policy
from parachute_hub.accounts.sessions.browser import ARRIVAL, Browser
from parachute_hub.accounts.sessions.csrf import token_for
from parachute_hub.accounts.sessions.session_auth import CHANGE_PASSWORD, SessionRecogniser
from parachute_hub.accounts.signin.signin import SignIn
from parachute_hub.accounts.signin.step_up import ProofsOfPresence
from parachute_hub.site import cookies
from parachute_hub.site.answers import as_json, see_other
from parachute_hub.site.area import area
from parachute_hub.site.errors import Refused
from parachute_hub.site.pages import Content, csrf_field, problem, show, show_message
from parachute_hub.site.root import lead_to_apps
from parachute_hub.site.safe_redirect import login_url, safe_next

ADMIN_HOME = "/admin/"
MEMBER_HOME = "/"
_CODE_LEADS = {
    SecondFactors(app=True, passkey=False): (
        "Type the code that your authenticator app shows now, or one of your recovery codes."
    ),
    SecondFactors(app=True, passkey=True): (
        "Type the code that your authenticator app shows now, use your passkey, or type one of your recovery codes."
    ),
    SecondFactors(app=False, passkey=True): "Use your passkey, or type one of your recovery codes.",
    SecondFactors(app=False, passkey=False): (
        "Your passkeys do not work at this address. Type one of your recovery codes."
    ),
}


class LoginPages:
    """Signing in and out. Every form is answered with 303, so that reloading does not send the password again."""

    app: Klein = area()

    def __init__(
        self,
        *,
        sign_in: SignIn,
        passkeys: PasskeySignIn,
        browser: Browser,
        sessions: SessionRecogniser,
        presence: ProofsOfPresence,
    ) -> None:
        self._presence = presence
        self._passkeys = passkeys
        self._sign_in = sign_in
        self._browser = browser
        self._sessions = sessions

    @app.route("/login", methods=["GET", "HEAD"])
    async def ask(self, request: IRequest) -> bytes:
        """The form; a signed-in user is redirected, unless an app requires a new sign-in (`again`), or a link made the
        session, which gets to do more with the password.
        """
        next_path = safe_next(query(request, "next"), "")
        found = self._sessions.signed_in(request)
        whole = found is not None and not policy.is_limited(found.session)
        if found is not None and whole and query(request, "again") != "1":
            return see_other(request, _target(NewSession(user=found.user, token="", device=""), next_path))
        return await self._form(request, next_path)

    @app.route("/login", methods=["POST"])
    async def sign_in(self, request: IRequest) -> bytes:
        """Username and password."""
        form = self._browser.check_page(request)
        next_path = safe_next(form.text("next"), "")
        username, password = form.text("username"), form.text("password")
        try:
            if not username.strip() or not password:
                raise Refused(400, "invalid_request", "Type both your username and your password.")
            entered = await self._sign_in.with_password(username, password, self._browser.visitor(request), next_path)
        except Refused as refused:
            if form.is_json:
                raise
            return await self._form(request, next_path, username=username, refused=refused)
        if isinstance(entered, PendingSecondFactor):
            self._browser.halfway(request, entered)
            return _go_on(request, form, "/login/2fa")
        return self._arrived(request, form, entered, next_path)

    @app.route("/login/passkey/options", methods=["POST"])
    def passkey_options(self, request: IRequest) -> bytes:
        """What a script passes to `navigator.credentials.get`, the same for everybody."""
        self._browser.check_page(request)
        return as_json(request, self._passkeys.ask(self._browser.visitor(request)))

    @app.route("/login/passkey", methods=["POST"])
    async def by_passkey(self, request: IRequest) -> bytes:
        """The answer to them: a passkey alone."""
        form = self._browser.check_page(request)
        next_path = safe_next(form.text("next"), "")
        try:
            entered = await self._passkeys.enter(form.text("passkey"), self._browser.visitor(request))
        except Refused as refused:
            if form.is_json:
                raise
            return await self._form(request, next_path, refused=refused)
        return self._arrived(request, form, entered, next_path)

    @app.route("/login/2fa/options", methods=["POST"])
    def second_options(self, request: IRequest) -> bytes:
        """The same for the passkeys of whoever typed the password in this browser."""
        self._browser.check_page(request)
        pending = self._browser.cookie(request, cookies.PENDING_LOGIN)
        return as_json(request, self._passkeys.ask_second(pending, self._browser.visitor(request)))

    @app.route("/login/2fa", methods=["GET", "HEAD"])
    async def ask_code(self, request: IRequest) -> bytes:
        """The form for the second factor."""
        if self._browser.cookie(request, cookies.PENDING_LOGIN) is None:
            return see_other(request, "/login")
        return await self._code_form(request)

    @app.route("/login/2fa", methods=["POST"])
    async def second_factor(self, request: IRequest) -> bytes:
        """A code from the authenticator app, a recovery code, or a passkey."""
        form, visitor = self._browser.check_page(request), self._browser.visitor(request)
        pending = self._browser.cookie(request, cookies.PENDING_LOGIN)
        try:
            if form.text("passkey"):
                entered, next_path = await self._passkeys.enter_second(pending, form.text("passkey"), visitor)
            else:
                entered, next_path = await self._sign_in.with_code(pending, form.text("code"), visitor)
        except Refused as refused:
            if form.is_json:
                raise
            if refused.error == "sign_in_expired":
                return await self._form(request, "", refused=refused)
            return await self._code_form(request, refused)
        return self._arrived(request, form, entered, next_path)

    @app.route("/login/key", methods=["GET", "HEAD"])
    def ask_key(self, request: IRequest) -> bytes:
        """Keeps the key of a browser that signed in over plain http, or asks for the password if it was lost."""
        next_path = safe_next(query(request, "next"), MEMBER_HOME)
        found = self._sessions.signed_in(request)
        if found is None:
            return see_other(request, login_url(next_path))
        if not self._browser.is_plain(request):
            return see_other(request, next_path)
        return self._key_form(request, found, next_path, lost=query(request, "lost") == "1")

    @app.route("/login/key", methods=["POST"])
    async def new_key(self, request: IRequest) -> bytes:
        """The password again, for a browser that has lost its key."""
        found = self._sessions.signed_in(request)
        if found is None:
            return see_other(request, login_url(MEMBER_HOME))
        self._browser.check_session(request, found.token)
        form = read_form(request)
        next_path = safe_next(form.text("next"), MEMBER_HOME)
        try:
            await self._presence.verify(found, self._browser.visitor(request), password=form.text("password"))
        except Refused as refused:
            if form.is_json:
                raise
            return self._key_form(request, found, next_path, lost=True, refused=refused)
        key = self._browser.key(request, found.user.id)
        if form.is_json:
            return as_json(request, {"next": next_path, "key": key})
        return see_other(request, next_path if key is None else f"{ARRIVAL}?next={quote(next_path, safe='/')}#{key}")

    @app.route("/signup", methods=["GET", "HEAD"])
    def sign_up(self, request: IRequest) -> bytes:
        """Where published apps send people who have no account yet. Whoever has one is sent to it."""
        found = self._sessions.signed_in(request)
        if found is not None:
            return see_other(request, MEMBER_HOME)
        text = "Ask whoever runs this Parachute for an invitation. It is a link with which you choose a password."
        more = tags.div(tags.a("I have an account", class_="button", href="/login"), class_="actions")
        return show_message(request, "Accounts here are by invitation", text, more)

    @app.route("/logout", methods=["POST"])
    async def sign_out(self, request: IRequest) -> bytes:
        """End this browser's session."""
        self._browser.check_page(request)
        found = self._sessions.signed_in(request)
        # The cookie alone ends nothing but itself: somebody else may have caught it.
        if found is not None and self._browser.holds_key(request, found.user.id):
            await self._sign_in.leave(found, self._browser.visitor(request))
        self._browser.leave(request)
        return see_other(request, "/login")

    def _arrived(self, request: IRequest, form: Form, entered: NewSession, next_path: str) -> bytes:
        """Set the cookies and go on; scripts get the key beside the page's URL."""
        self._browser.enter(request, entered)
        path = _target(entered, next_path)
        if form.is_json:
            return as_json(request, {"next": path, **self._browser.key_field(request, entered)})
        return see_other(request, self._browser.arrival(request, entered, path))

    def _key_form(
        self, request: IRequest, found: SignedIn, next_path: str, *, lost: bool, refused: Refused | None = None
    ) -> bytes:
        slots = {"problem": problem(refused), "csrf": csrf_field(token_for(found.token)), "next": next_path}
        if lost:
            return show(request, "Your password, please", fill("key-lost", **slots), refused=refused)
        # A browser without JavaScript keeps no key and goes on at once.
        on = tags.noscript(tags.meta(content=f"0; url={next_path}", **{"http-equiv": "refresh"}))
        return show(request, "Signed in", fill("key", **slots), head=on)

    async def _form(
        self, request: IRequest, next_path: str, *, username: str = "", refused: Refused | None = None
    ) -> bytes:
        csrf = csrf_field(self._browser.page_token(request))
        content = fill(
            "login",
            problem=problem(refused),
            csrf=csrf,
            next=next_path,
            username=username,
            passkey=self._offer(request, csrf, next_path),
        )
        if next_path.startswith("/oauth/"):
            lead_to_apps(request)
        return show(request, "Sign in", content, refused=refused)

    def _offer(self, request: IRequest, csrf: Tag, next_path: str) -> Content:
        """The button for a passkey, which a script shows, or why there is none."""
        where = self._passkeys.place(self._browser.visitor(request))
        if where.works:
            return fill("login-passkey", csrf=csrf, next=next_path)
        return tags.details(tags.summary("Do you have a passkey?"), obstacle(where, "/login"))

    async def _code_form(self, request: IRequest, refused: Refused | None = None) -> bytes:
        csrf = csrf_field(self._browser.page_token(request))
        pending, visitor = self._browser.cookie(request, cookies.PENDING_LOGIN), self._browser.visitor(request)
        offers = self._passkeys.second_factors(pending, visitor)
        content = fill(
            "code",
            problem=problem(refused),
            csrf=csrf,
            lead=_CODE_LEADS[offers],
            passkey=fill("code-passkey", csrf=csrf) if offers.passkey else "",
        )
        lead_to_apps(request)
        return show(request, "Second factor", content, refused=refused)


def _go_on(request: IRequest, form: Form, path: str) -> bytes:
    """Redirect to the next page; scripts get its URL as JSON."""
    return as_json(request, {"next": path}) if form.is_json else see_other(request, path)


def _target(entered: NewSession, next_path: str) -> str:
    """The page after signing in. Members do not get the administration pages."""
    if entered.user.must_change_password:
        return CHANGE_PASSWORD
    if not entered.user.is_admin and (next_path == "/admin" or next_path.startswith("/admin/")):
        next_path = ""
    return next_path or (ADMIN_HOME if entered.user.is_admin else MEMBER_HOME)
