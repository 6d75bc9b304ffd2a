"""`/account/setup/<token>`, the page behind an invitation link."""

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.template import tags

from parachute_hub.accounts.forms import Form, answers_json
from parachute_hub.accounts.pages import fill
from parachute_hub.accounts.people.invitations import Invitations
from parachute_hub.accounts.sessions.browser import Browser
from parachute_hub.accounts.signin.signin import SignIn
from parachute_hub.accounts.validation import username_from
from parachute_hub.site.answers import as_json, see_other
from parachute_hub.site.area import area
from parachute_hub.site.errors import Refused
from parachute_hub.site.pages import Content, csrf_field, problem, show
from parachute_hub.store.rows import Invite

_WORDS = {"read": "read", "write": "read and write"}


class InvitePages:
    """Choosing a name and password with an invitation."""

    app: Klein = area()

    def __init__(self, *, invitations: Invitations, sign_in: SignIn, browser: Browser) -> None:
        self._invitations = invitations
        self._sign_in = sign_in
        self._browser = browser

    @app.route("/account/setup/<token>", methods=["GET", "HEAD"])
    async def look(self, request: IRequest, token: str) -> bytes:
        return await self._form(request, token, self._invitations.open(token))

    @app.route("/account/setup/<token>", methods=["POST"])
    async def join(self, request: IRequest, token: str) -> bytes:
        """Create the account and sign in."""
        form = self._browser.check_page(request)
        invite = self._invitations.open(token)
        visitor = self._browser.visitor(request)
        try:
            if form.text("password") != form.text("password_confirm"):
                raise Refused(400, "passwords_differ", "The passwords do not match. Type them again.")
            user = await self._invitations.redeem(
                token,
                form.text("username"),
                form.text("password"),
                visitor.address,
                display_name=form.text("display_name"),
            )
        except Refused as refused:
            if answers_json(request) or refused.status in (404, 410):
                raise
            return await self._form(request, token, invite, refused, form)
        entered = await self._sign_in.enter(user, visitor, methods="pwd", action="first-sign-in")
        self._browser.enter(request, entered)
        if form.is_json:
            told = {"ok": True, "username": user.username}
            return as_json(request, {**told, **self._browser.key_field(request, entered)})
        return see_other(request, self._browser.arrival(request, entered, "/"))

    async def _form(
        self, request: IRequest, token: str, invite: Invite, refused: Refused | None = None, typed: Form | None = None
    ) -> bytes:
        name = typed.text("display_name") if typed else invite.name
        username = typed.text("username") if typed else username_from(invite.name)
        content = fill(
            "invite",
            action=f"/account/setup/{token}",
            heading=f"{self._invitations.inviter(invite)} invites you",
            lead=_lead(invite),
            note=tags.blockquote(invite.note) if invite.note else "",
            name=name,
            problem=problem(refused),
            csrf=csrf_field(self._browser.page_token(request)),
            username=_username(invite, username),
        )
        return show(request, "You are invited", content, refused=refused)


def _username(invite: Invite, typed: str) -> Content:
    field = tags.input(
        type="text",
        id="username",
        name="username",
        value=invite.username or typed,
        autocomplete="username",
        autocapitalize="none",
        spellcheck="false",
        required="required",
    )
    if invite.username is not None:
        field(readonly="readonly")
    hint = tags.p(
        "You sign in with it. Letters from a to z, digits, dots and dashes.", class_="hint", id="username-hint"
    )
    return tags.div(tags.label("Username", for_="username"), field(**{"aria-describedby": "username-hint"}), hint)


def _lead(invite: Invite) -> str:
    what = ["Choose a name and a password to join."]
    if invite.own_vault:
        what.append("You get a vault of your own for your notes.")
    if invite.vaults:
        rights = ", ".join(f"{_WORDS[role]} in {name}" for name, role in invite.vaults.items())
        what.append(f"You can {'also ' if invite.own_vault else ''}{rights}.")
    return " ".join(what)
