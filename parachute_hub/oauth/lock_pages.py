"""`/account/lock` and `/api/lock`: an owner ends everything at once."""

from collections.abc import Sequence

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.template import Tag, tags

from parachute_hub.oauth import pages
from parachute_hub.oauth.authorization.browser_session import PageSession, PageSessions
from parachute_hub.oauth.lockdown import Ended, Lockdown
from parachute_hub.oauth.params import form
from parachute_hub.site.answers import as_json, sign_in_first
from parachute_hub.site.area import area
from parachute_hub.site.auth import ADMIN, Authenticator, StepUp
from parachute_hub.site.errors import Refused
from parachute_hub.site.pages import csrf_field, problem, show

HERE = "/account/lock"


class LockPages:
    """The page asks for the password, and answers with what to connect again: the session ends with the rest."""

    app: Klein = area()

    def __init__(self, *, lockdown: Lockdown, visits: PageSessions, who: Authenticator, step_up: StepUp) -> None:
        self._lockdown = lockdown
        self._visits = visits
        self._who = who
        self._step_up = step_up

    @app.route(HERE, methods=["GET", "HEAD"])
    async def ask(self, request: IRequest) -> bytes:
        """What will end, with a field for the password."""
        return self._form(request, self._owner(request))

    @app.route(HERE, methods=["POST"])
    async def lock(self, request: IRequest) -> bytes:
        """Lock everything."""
        visit = self._owner(request)
        try:
            await self._visits.confirm(request, password=form(request).get("password"))
        except Refused as refused:
            return self._form(request, visit, refused)
        return show(request, "Everything is locked", _told(await self._lockdown.lock()))

    @app.route("/api/lock", methods=["POST"])
    async def lock_by_command(self, request: IRequest) -> bytes:
        """The same for the command. Returns what ended, by kind."""
        self._step_up.prove(request, self._who.need(request, ADMIN), "hub.lock")
        return as_json(request, {"ended": (await self._lockdown.lock()).to_json()})

    def _owner(self, request: IRequest) -> PageSession:
        visit = self._visits.visit(request)
        if visit is None:
            raise sign_in_first(HERE)
        if not visit.principal.may(ADMIN):
            raise Refused(403, "not_admin", "Only an owner of this hub can lock it.")
        return visit

    def _form(self, request: IRequest, visit: PageSession, refused: Refused | None = None) -> bytes:
        content = pages.fill(
            "lock", problem=problem(refused), csrf=csrf_field(visit.csrf), username=visit.user.username
        )
        return show(request, "Lock everything", content, refused=refused)


def _told(ended: Ended) -> Tag:
    return pages.fill(
        "locked",
        groups=[
            _group("Sign in again", ended.people, "Nobody was signed in."),
            _group("Connect these apps again", [f"{app} of {user}" for app, user in ended.apps], "None was connected."),
            _group("Invite again", ended.invitations, "No invitation was waiting."),
            _group("Make these tokens again", ended.tokens, "No token had been made by hand."),
        ],
    )


def _group(title: str, names: Sequence[str], none: str) -> Tag:
    rows = [tags.li(name) for name in names]
    return tags.section(tags.h2(title), tags.ul(*rows, class_="points") if rows else tags.p(none, class_="quiet"))
