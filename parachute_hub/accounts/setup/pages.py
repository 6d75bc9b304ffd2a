"""`/admin/setup`: the wizard, as pages and as JSON for scripts."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.accounts import validation
from parachute_hub.accounts.forms import Form, answers_json, peek, query
from parachute_hub.accounts.model import SignedIn
from parachute_hub.accounts.passkeys.service import Passkeys
from parachute_hub.accounts.sessions.browser import Browser
from parachute_hub.accounts.sessions.csrf import token_for
from parachute_hub.accounts.sessions.session_auth import CHANGE_PASSWORD, SessionRecogniser
from parachute_hub.accounts.setup import views, wizard
from parachute_hub.accounts.setup.public_origin import HubOrigin
from parachute_hub.accounts.setup.setup import Setup
from parachute_hub.accounts.setup.views import View
from parachute_hub.accounts.setup.wizard import Screen
from parachute_hub.accounts.signin.step_up import ProofsOfPresence
from parachute_hub.site.answers import as_json, see_other
from parachute_hub.site.area import area
from parachute_hub.site.errors import Refused
from parachute_hub.site.pages import refuse, show
from parachute_hub.site.safe_redirect import login_url

HOME = "/admin/setup"
LOG_LINES = 200
_AFTER_THE_TOKEN = frozenset({"invalid_username", "invalid_password", "password_too_long", "passwords_differ"})
Told = Mapping[str, str]


class SetupPages:
    """One question per screen. Answers are stored immediately, so that the wizard can be resumed."""

    app: Klein = area()

    def __init__(
        self,
        *,
        setup: Setup,
        browser: Browser,
        sessions: SessionRecogniser,
        presence: ProofsOfPresence,
        origin: HubOrigin,
        passkeys: Passkeys,
        older_hub: bool = False,
    ) -> None:
        self._older_hub = older_hub
        self._setup = setup
        self._presence = presence
        self._browser = browser
        self._sessions = sessions
        self._origin = origin
        self._passkeys = passkeys

    @app.route("/admin/setup", methods=["GET", "HEAD"])
    @app.route("/admin/setup/", methods=["GET", "HEAD"])
    async def look(self, request: IRequest) -> bytes:
        """The next question, or the progress."""
        found = self._sessions.signed_in(request)
        if answers_json(request):
            return as_json(request, self._state(request, found))
        screen = self._setup.screen()
        if screen != "account" and (found is None or not found.user.is_admin):
            return see_other(request, login_url(HOME) if screen != "done" else "/login")
        if found is not None and found.user.must_change_password:
            return see_other(request, CHANGE_PASSWORD)
        wanted = query(request, "step")
        if wizard.may_reopen(self._setup.progress, wanted, has_owner=self._setup.has_owner):
            screen = "modules"
        if screen == "done" and query(request, "just_finished") != "1":
            return see_other(request, "/admin/")
        return await self._show(request, screen)

    @app.route("/admin/setup/account", methods=["POST"])
    async def account(self, request: IRequest) -> bytes:
        """Claim the hub with the token from its log."""
        try:
            form = self._browser.check_page(request)
            entered = await self._setup.claim(
                form.text("bootstrap_token"),
                form.text("username"),
                form.text("password"),
                form.text("password_confirm"),
                self._browser.visitor(request),
            )
        except Refused as refused:
            return await self._refuse(request, "account", refused)
        if entered is None:
            if form.is_json:
                return as_json(
                    request, {"step": wizard.STEPS[self._setup.screen()], "message": "this hub has an owner"}
                )
            return see_other(request, HOME)
        self._browser.enter(request, entered)
        if form.is_json:
            answer = {"step": "vault", "message": "admin created", "csrfToken": token_for(entered.token)}
            return as_json(request, {**answer, **self._browser.key_field(request, entered)})
        return see_other(request, self._browser.arrival(request, entered, HOME))

    @app.route("/admin/setup/modules", methods=["POST"])
    async def modules(self, request: IRequest) -> bytes:
        """Choose the modules to install."""

        async def answer(form: Form) -> Told:
            wanted = [] if form.text("skip") else form.list("modules")
            if not wanted and not form.text("skip") and not form.is_json:
                raise Refused(
                    400, "nothing_chosen", "Choose at least one module, or press \u201cNothing for now\u201d."
                )
            await self._setup.choose(wanted)
            return {}

        return await self._answer(request, "modules", answer)

    @app.route("/admin/setup/vault", methods=["POST"])
    async def vault(self, request: IRequest) -> bytes:
        """Name the first vault, or skip it."""

        async def answer(form: Form) -> Told:
            mode = form.text("mode", "create")
            if mode not in ("create", "skip"):
                raise Refused(400, "invalid_request", "A vault can be made (create) or left out (skip) here.")
            if mode == "skip":
                await self._setup.choose([])
            else:
                await self._setup.name_vault(form.text("vault_name"))
            return {"mode": mode}

        return await self._answer(request, "vault-name", answer)

    @app.route("/admin/setup/scribe", methods=["POST"])
    async def scribe(self, request: IRequest) -> bytes:
        """Enter the API key of a transcription service, or skip it."""

        async def answer(form: Form) -> Told:
            key = "" if form.text("later") else form.text("key")
            if not key.strip() and not form.text("later"):
                raise Refused(400, "key_missing", "Paste a key, or press \u201cLater\u201d.")
            await self._setup.settle_scribe(key)
            return {}

        return await self._answer(request, "scribe-key", answer)

    @app.route("/admin/setup/install/<short>", methods=["POST"])
    async def install(self, request: IRequest, short: str) -> bytes:
        """Install one module, or retry after a failure; `without_optional=1` leaves out what it can do without."""

        async def answer(form: Form) -> Told:
            await self._setup.install(short, lean=form.text("without_optional") == "1")
            return {}

        return await self._answer(request, "installing", answer)

    @app.route("/admin/setup/continue", methods=["POST"])
    async def go_on(self, request: IRequest) -> bytes:
        """Leave the progress screen."""

        async def answer(form: Form) -> Told:
            await self._setup.go_on()
            return {}

        return await self._answer(request, "installing", answer)

    @app.route("/admin/setup/expose", methods=["POST"])
    async def expose(self, request: IRequest) -> bytes:
        """Choose how the hub is reached."""

        async def answer(form: Form) -> Told:
            mode, origin = form.text("expose_mode"), form.text("hub_origin")
            found = self._sessions.signed_in(request)
            if found is not None and self._setup.needs_proof(found, mode, origin):
                visitor = self._browser.visitor(request)
                await self._presence.verify(found, visitor, password=form.text("password"))
            warning = await self._setup.reach(mode, origin)
            return {"warning": warning} if warning else {}

        return await self._answer(request, "reach", answer, then=f"{HOME}?just_finished=1")

    async def _answer(
        self, request: IRequest, screen: Screen, answer: Callable[[Form], Awaitable[Told]], *, then: str = HOME
    ) -> bytes:
        """Check who asks, apply the answer, and continue with the next question. Scripts get the result of `answer`."""
        try:
            found = self._sessions.signed_in(request)
            if found is None:
                raise Refused(401, "unauthenticated", "Sign in first.")
            form = self._browser.check_wizard(request)
            self._browser.check_key(request, found.user.id)
            if not found.user.is_admin:
                raise Refused(403, "not_admin", "Only an admin can set this hub up.")
            self._sessions.refuse_temporary(request, found)
            before = set(self._setup.progress.jobs.values())
            told = await answer(form)
        except Refused as refused:
            return await self._refuse(request, screen, refused)
        if not form.is_json:
            return see_other(request, then)
        begun = [job_id for job_id in self._setup.progress.jobs.values() if job_id not in before]
        step = wizard.STEPS[self._setup.screen()]
        operation = {"op_id": begun[0], "op_ids": begun} if begun else {}
        return as_json(request, {"step": step, **operation, **told})

    async def _refuse(self, request: IRequest, screen: Screen, refused: Refused) -> bytes:
        """The same question with the error, or the wizard's JSON error."""
        if answers_json(request):
            for name, value in refused.headers.items():
                request.setHeader(name, value)
            body = {"error": _title(refused), "message": refused.description, "status": refused.status}
            return as_json(request, body, status=refused.status)
        if refused.error == "unauthenticated":
            return see_other(request, login_url(HOME))
        if refused.error in ("csrf_failed", "key_required", "not_admin", "force_change_password"):
            return refuse(request, refused, html=True)
        # An answer from another tab came first: show what is asked now.
        return await self._show(request, self._setup.screen() if refused.status == 409 else screen, refused)

    async def _show(self, request: IRequest, screen: Screen, refused: Refused | None = None) -> bytes:
        found = self._sessions.signed_in(request)
        token = self._browser.page_token(request) if found is None else token_for(found.token)
        view: View = views.draw(
            screen,
            self._setup,
            self._origin,
            token,
            refused,
            _kept(request, refused),
            where=self._passkeys.place(self._browser.origin(request)),
            older_hub=self._older_hub,
        )
        above = views.steps(screen)
        return show(request, view.title, view.content, refused=refused, head=view.head, above=above)

    def _state(self, request: IRequest, found: SignedIn | None) -> dict[str, Any]:
        screen = self._setup.screen()
        progress = self._setup.progress
        state: dict[str, Any] = {
            "step": wizard.STEPS[screen],
            "screen": screen,
            "hasAdmin": self._setup.has_owner,
            "hasVault": progress.chosen is not None,
            "hasExposeMode": self._setup.expose_mode is not None,
            "requireBootstrapToken": not self._setup.has_owner,
            "olderHub": self._older_hub and not self._setup.has_owner,
            "csrfToken": self._browser.page_token(request) if found is None else token_for(found.token),
        }
        # Installs are only shown to the owner.
        if found is not None and found.user.is_admin:
            operations = [views.operation(install, LOG_LINES) for install in self._setup.installs()]
            state["operations"] = operations
            asked = query(request, "op")
            shown = [one for one in operations if not asked or one["id"] == asked]
            if shown:
                state["operation"] = shown[0]
        return state


def _kept(request: IRequest, refused: Refused | None) -> Mapping[str, str]:
    """Values to restore into the form after an error: never a password, and the setup token only if it was right."""
    if request.method != b"POST":
        return {"username": validation.DEFAULT_OWNER}
    names = ["username", "vault_name", "expose_mode", "hub_origin"]
    # The token is checked first, so another mistake means that this browser has the right one.
    if refused is not None and refused.error in _AFTER_THE_TOKEN:
        names.append("bootstrap_token")
    typed = {name: peek(request, name) for name in names}
    return {name: text for name, text in typed.items() if text is not None}


def _title(refused: Refused) -> str:
    if refused.error.startswith("bootstrap_token"):
        return "Bootstrap token rejected"
    return refused.error.replace("_", " ").capitalize()
