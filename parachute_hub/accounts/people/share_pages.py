"""`/account/sharing`: who else may use a person's own vaults."""

from collections.abc import Mapping, Sequence

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.template import Tag, tags

from parachute_hub.accounts.forms import Form, read_form
from parachute_hub.accounts.model import SignedIn
from parachute_hub.accounts.pages import fill
from parachute_hub.accounts.people.sharing import Sharing
from parachute_hub.accounts.sessions.browser import Browser
from parachute_hub.accounts.sessions.csrf import token_for
from parachute_hub.accounts.sessions.session_auth import SessionRecogniser
from parachute_hub.site.answers import see_other
from parachute_hub.site.area import area
from parachute_hub.site.errors import Refused
from parachute_hub.site.pages import csrf_field, problem, show
from parachute_hub.store.rows import User, VaultRole

HERE = "/account/sharing"
_MAY: Mapping[VaultRole, str] = {"read": "read", "write": "read and write"}


class SharePages:
    """A list of people for each vault, and one form to add somebody. Works without JavaScript."""

    app: Klein = area()

    def __init__(self, *, sharing: Sharing, browser: Browser, sessions: SessionRecogniser) -> None:
        self._sharing = sharing
        self._browser = browser
        self._sessions = sessions

    @app.route(HERE, methods=["GET", "HEAD"])
    async def shared(self, request: IRequest) -> bytes:
        """Who may use which vault."""
        return self._page(request, self._entered(request))

    @app.route(HERE, methods=["POST"])
    async def share(self, request: IRequest) -> bytes:
        """Share a vault."""
        found = self._entered(request)
        form = read_form(request)
        role: VaultRole = "write" if form.text("role") == "write" else "read"
        try:
            await self._sharing.share(
                found,
                self._browser.visitor(request),
                form.text("vault"),
                form.text("username"),
                role,
                form.text("password"),
            )
        except Refused as refused:
            return self._page(request, found, refused, form)
        return see_other(request, HERE)

    @app.route(f"{HERE}/end", methods=["POST"])
    async def end(self, request: IRequest) -> bytes:
        """Take a vault away from somebody."""
        found = self._entered(request)
        form = read_form(request)
        await self._sharing.end(found, self._browser.visitor(request), form.text("vault"), form.text("user"))
        return see_other(request, HERE)

    def _page(
        self, request: IRequest, found: SignedIn, refused: Refused | None = None, typed: Form | None = None
    ) -> bytes:
        token = token_for(found.token)
        vaults = self._sharing.of(found.user)
        shown = [_vault(vault, others, token) for vault, others in vaults.items()]
        form: Tag | str = ""
        if vaults:
            chosen = typed.text("vault") if typed else ""
            writes = typed is not None and typed.text("role") == "write"
            form = fill(
                "share",
                problem=problem(refused),
                csrf=csrf_field(token),
                me=found.user.username,
                username=typed.text("username") if typed else "",
                vaults=[_option(vault, vault, vault == chosen) for vault in vaults],
                roles=[_option(role, words, (role == "write") == writes) for role, words in _MAY.items()],
            )
        none = tags.p("You have no vault of your own that you could share.", class_="quiet")
        return show(request, "Sharing", fill("sharing", vaults=shown or none, form=form), refused=refused)

    def _entered(self, request: IRequest) -> SignedIn:
        found = self._sessions.need_page(request)
        self._sessions.refuse_temporary(request, found)
        return found


def _vault(vault: str, others: Sequence[User], token: str) -> Tag:
    rows = [
        tags.li(
            tags.div(tags.h3(other.called), tags.p(f"May {_MAY[other.vaults[vault]]}", class_="quiet")),
            tags.form(
                csrf_field(token),
                tags.input(type="hidden", name="vault", value=vault),
                tags.input(type="hidden", name="user", value=other.id),
                tags.button(
                    "End sharing",
                    tags.span(f" {vault} with {other.called}", class_="unseen"),
                    type="submit",
                    class_="small",
                ),
                method="post",
                action=f"{HERE}/end",
            ),
        )
        for other in others
    ]
    alone = tags.p("Only you, and those who run this hub.", class_="quiet")
    return tags.section(tags.h2(vault), tags.ul(*rows, class_="rows") if rows else alone)


def _option(value: str, words: str, chosen: bool) -> Tag:
    option = tags.option(words, value=value)
    return option(selected="selected") if chosen else option
