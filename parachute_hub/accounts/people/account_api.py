"""The account API for scripts and the admin app: `/api/me`, `/account/session`, `/api/account/*`."""

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.accounts.forms import read_form
from parachute_hub.accounts.model import Origins, SignedIn
from parachute_hub.accounts.passkeys.service import Passkeys
from parachute_hub.accounts.people.account_views import browser_name
from parachute_hub.accounts.people.self_service import SelfService
from parachute_hub.accounts.sessions.browser import Browser
from parachute_hub.accounts.sessions.csrf import token_for
from parachute_hub.accounts.sessions.session_auth import SessionRecogniser
from parachute_hub.accounts.signin.step_up import ProofsOfPresence
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.errors import Refused
from parachute_hub.system.timestamps import to_the_second


class AccountApi:
    """Reads and changes the signed-in user's account. Sessions only; tokens are not accepted."""

    app: Klein = area()

    def __init__(
        self,
        *,
        account: SelfService,
        presence: ProofsOfPresence,
        passkeys: Passkeys,
        browser: Browser,
        sessions: SessionRecogniser,
        origins: Origins,
    ) -> None:
        self._account = account
        self._presence = presence
        self._passkeys = passkeys
        self._browser = browser
        self._sessions = sessions
        self._origins = origins

    @app.route("/api/me", methods=["GET"])
    def me(self, request: IRequest) -> bytes:
        """Who is signed in, if anyone."""
        found = self._sessions.signed_in(request)
        if found is None:
            return as_json(request, {"hasSession": False})
        user = found.user
        about = {"id": user.id, "displayName": user.called, "role": user.role, "vaults": dict(user.vaults)}
        return as_json(
            request,
            {
                "hasSession": True,
                "user": about,
                "csrf": token_for(found.token),
                "two_factor_enabled": self._account.standing(found).second_factor,
                "passkeys": len(self._passkeys.usable(user.id, self._browser.origin(request))),
                "password_change_required": user.must_change_password,
            },
        )

    @app.route("/account/session", methods=["GET"])
    def session(self, request: IRequest) -> bytes:
        """The same in the format that module pages use."""
        found = self._sessions.signed_in(request)
        if found is None:
            return as_json(request, {"signed_in": False, "csrf": self._browser.page_token(request)})
        user = found.user
        return as_json(
            request,
            {
                "signed_in": True,
                "csrf": token_for(found.token),
                "username": user.username,
                "email": user.email,
                "account_created_at": to_the_second(user.created_at),
                "password_change_required": user.must_change_password,
            },
        )

    @app.route("/api/account/step-up", methods=["POST"])
    async def step_up(self, request: IRequest) -> bytes:
        """A step-up proof for one operation: `{operation, password|code|passkey}` returns `{proof, expires_at}`."""
        found = self._need(request, temporary=True)
        form = read_form(request)
        proof, expires_at = await self._presence.issue(
            found,
            self._browser.visitor(request),
            form.text("operation"),
            password=form.text("password"),
            code=form.text("code"),
            passkey=form.text("passkey"),
        )
        return as_json(request, {"proof": proof, "expires_at": to_the_second(expires_at)})

    @app.route("/api/account/step-up/options", methods=["POST"])
    def step_up_options(self, request: IRequest) -> bytes:
        """Options for `navigator.credentials.get`, for `{operation}`: its answer is the `passkey` of the step-up.

        For a form of a page the operation is `page:` and its path, and the proof is the form's `__proof`.
        """
        found = self._need(request, temporary=True)
        operation = read_form(request).text("operation")
        return as_json(request, self._presence.ask(found, self._browser.visitor(request), operation))

    @app.route("/api/account/password", methods=["POST"])
    async def password(self, request: IRequest) -> bytes:
        """Change the password: `{current_password, new_password}`. Also allowed while the password is temporary."""
        found = self._need(request, temporary=True)
        form = read_form(request)
        entered = await self._account.change_password(
            found, self._browser.visitor(request), form.text("current_password"), form.text("new_password")
        )
        self._browser.enter(request, entered)
        return as_json(request, {"ok": True, "csrf": token_for(entered.token)})

    @app.route("/api/account/2fa", methods=["GET"])
    def factor(self, request: IRequest) -> bytes:
        """Whether a second factor is enabled."""
        standing = self._account.standing(self._need(request))
        since = to_the_second(standing.enrolled_at) if standing.enrolled_at else None
        return as_json(
            request, {"enrolled": standing.second_factor, "enrolled_at": since, "codes_left": standing.codes_left}
        )

    @app.route("/api/account/2fa/start", methods=["POST"])
    async def start(self, request: IRequest) -> bytes:
        """Begin enabling it: `{password}`. Takes effect with `confirm`."""
        found = self._need(request)
        started = await self._account.start_second_factor(
            found,
            self._browser.visitor(request),
            read_form(request).text("password"),
            self._origins.issuer().partition("://")[2],
        )
        # Half a megabyte that only this needs.
        import segno

        url = segno.make(started.url, error="m").png_data_uri(scale=5, border=3)
        return as_json(request, {"secret": started.secret, "otpauth_url": started.url, "qr_data_url": url})

    @app.route("/api/account/2fa/confirm", methods=["POST"])
    async def confirm(self, request: IRequest) -> bytes:
        """Enable it with a valid code: `{code}` returns the recovery codes."""
        found = self._need(request)
        entered, codes = await self._account.confirm_second_factor(
            found, self._browser.visitor(request), read_form(request).text("code")
        )
        self._browser.enter(request, entered)
        standing = self._account.standing(found)
        since = to_the_second(standing.enrolled_at) if standing.enrolled_at else None
        return as_json(
            request,
            {"enrolled": True, "enrolled_at": since, "backup_codes": codes, "csrf": token_for(entered.token)},
        )

    @app.route("/api/account/2fa/codes", methods=["POST"])
    async def codes(self, request: IRequest) -> bytes:
        """New recovery codes: `{password}`."""
        found = self._need(request)
        codes = await self._account.new_recovery_codes(
            found, self._browser.visitor(request), read_form(request).text("password")
        )
        return as_json(request, {"backup_codes": codes})

    @app.route("/api/account/2fa/disable", methods=["POST"])
    async def disable(self, request: IRequest) -> bytes:
        """Disable it: `{password}`."""
        found = self._need(request)
        entered = await self._account.second_factor_off(
            found, self._browser.visitor(request), read_form(request).text("password")
        )
        self._browser.enter(request, entered)
        return as_json(request, {"enrolled": False, "csrf": token_for(entered.token)})

    @app.route("/api/account/sessions", methods=["GET"])
    def sessions(self, request: IRequest) -> bytes:
        """The user's signed-in browsers."""
        found = self._need(request)
        listed = [
            {
                "id": session.id,
                "current": session.id == found.session.id,
                "browser": browser_name(session.user_agent),
                "address": session.address,
                "created_at": to_the_second(session.created_at),
                "last_seen_at": to_the_second(session.last_seen_at),
                "expires_at": to_the_second(session.expires_at),
                "methods": session.methods.split(),
            }
            for session in self._account.sessions(found)
        ]
        return as_json(request, {"sessions": listed})

    @app.route("/api/account/sessions", methods=["DELETE"])
    async def end_others(self, request: IRequest) -> bytes:
        """Sign out all other browsers."""
        found = self._need(request)
        ended = await self._account.end_other_sessions(found, self._browser.visitor(request))
        return as_json(request, {"ended": ended})

    @app.route("/api/account/sessions/<session_id>", methods=["DELETE"])
    async def end(self, request: IRequest, session_id: str) -> bytes:
        """Sign out one browser."""
        await self._account.end_session(self._need(request), self._browser.visitor(request), session_id)
        return as_json(request, {"ok": True})

    def _need(self, request: IRequest, *, temporary: bool = False) -> SignedIn:
        """The signed-in user, for a request from one of the hub's pages; 401 or 403 otherwise.

        `temporary` also accepts a user who must still replace a temporary password.
        """
        found = self._sessions.signed_in(request)
        if found is None:
            raise Refused(401, "unauthenticated", "Sign in first.")
        self._sessions.check_page(request, found)
        if not temporary:
            self._sessions.refuse_temporary(request, found)
        return found
