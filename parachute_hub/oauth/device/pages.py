"""`/oauth/device`: a person types the code of a device and lets it in. It works without JavaScript."""

from klein import Klein
from twisted.internet.interfaces import IReactorTime
from twisted.web.iweb import IRequest

from parachute_hub.oauth import pages
from parachute_hub.oauth.authorization import policy
from parachute_hub.oauth.authorization.browser_session import PageSession, PageSessions
from parachute_hub.oauth.authorization.consent_ticket import FIELD, Tickets, only_as_a_page
from parachute_hub.oauth.authorization.consents import ConsentingUser
from parachute_hub.oauth.authorization.policy import AskConsent, ErrorPage, ErrorRedirect, SubmittedConsent
from parachute_hub.oauth.clients.lookup import ClientDirectory
from parachute_hub.oauth.device.policy import may_ask
from parachute_hub.oauth.device.requests import DeviceRequests, ended
from parachute_hub.oauth.params import Params, form
from parachute_hub.site.answers import sign_in_first
from parachute_hub.site.area import area
from parachute_hub.site.errors import Refused
from parachute_hub.site.pages import show_message
from parachute_hub.store.rows import DeviceCode

HERE = "/oauth/device"


class DeviceArea:
    """First the code, then what it is for. Parameters of the address are not read, so that no link brings a code."""

    app: Klein = area()

    def __init__(
        self,
        *,
        devices: DeviceRequests,
        directory: ClientDirectory,
        visits: PageSessions,
        tickets: Tickets,
        clock: IReactorTime,
    ) -> None:
        self._devices = devices
        self._directory = directory
        self._visits = visits
        self._tickets = tickets
        self._clock = clock

    @app.route(HERE, methods=["GET", "HEAD"])
    async def ask(self, request: IRequest) -> bytes:
        """The field for the code."""
        return pages.show_device_code(request, self._visit(request))

    @app.route(HERE, methods=["POST"])
    async def answer(self, request: IRequest) -> bytes:
        """The code, or the answer to what was shown for it."""
        only_as_a_page(request)
        visit, params = self._visit(request), form(request)
        if params.get("__action") == "answer":
            return await self._answered(request, visit, params)
        try:
            code = await self._devices.find(
                params.get("user_code"), address=visit.address, user_id=visit.user.id, actor=visit.user.username
            )
        except Refused as refused:
            return pages.show_device_code(request, visit, refused)
        return self._show(request, visit, code)

    async def _answered(self, request: IRequest, visit: PageSession, params: Params) -> bytes:
        code = self._devices.found(params.get("user_code"))
        if not self._tickets.good(params.get(FIELD), visit.csrf, {"user_code": code.user_code}):
            raise ended()
        consent, ticked = self._question(visit, code), frozenset(params.all("granted_scope"))
        verdict = policy.answer(
            consent,
            SubmittedConsent(yes=params.get("approve") == "yes", ticked=ticked, vault=params.get("vault_pick") or None),
        )
        if isinstance(verdict, ErrorPage):
            return pages.show_stop(request, verdict)
        if isinstance(verdict, ErrorRedirect):
            if params.get("approve") == "yes":
                return self._show(request, visit, code, "Tick at least one, or press “Deny”.", ticked)
            await self._devices.deny(code, actor=visit.user.username, address=visit.address)
            return show_message(request, "Denied", f"“{consent.client.name}” gets nothing. You can close this page.")
        if pages.needs_proof(request, consent):
            try:
                await self._visits.confirm(request, password=params.get("password"))
            except Refused as refused:
                return self._show(request, visit, code, refused.description, ticked)
        giver = ConsentingUser(user=visit.user, auth_time=visit.auth_time, address=visit.address)
        await self._devices.allow(code, verdict, giver)
        return show_message(request, "Done", f"“{consent.client.name}” goes on by itself. You can close this page.")

    def _show(
        self,
        request: IRequest,
        visit: PageSession,
        code: DeviceCode,
        error: str | None = None,
        ticked: frozenset[str] | None = None,
    ) -> bytes:
        values = {"user_code": code.user_code}
        hidden = {**values, FIELD: self._tickets.make(visit.csrf, values)}
        shown = pages.Shown(hidden=hidden, ticked=ticked, error=error)
        age = since(self._clock.seconds() - code.created_at)
        return pages.show_device(request, self._question(visit, code), visit, shown, address=code.address, age=age)

    def _question(self, visit: PageSession, code: DeviceCode) -> AskConsent:
        client = self._directory.known(code.client_id)
        if client is None or not may_ask(client):
            raise ended()
        question = self._devices.question(client, visit.user, scope=code.scope, resource=code.resource)
        if isinstance(question, AskConsent):
            return question
        text = question.text if isinstance(question, ErrorPage) else "There is nothing here that you could allow."
        raise Refused(403, "nothing_to_allow", text)

    def _visit(self, request: IRequest) -> PageSession:
        visit = self._visits.visit(request)
        if visit is None:
            raise sign_in_first(HERE)
        return visit


def since(seconds: float) -> str:
    """How old a request is.

    >>> since(4.0), since(70.0), since(190.0)
    ('a few seconds ago', '1 minute ago', '3 minutes ago')
    """
    minutes = int(seconds // 60)
    if minutes < 1:
        return "a few seconds ago"
    return "1 minute ago" if minutes == 1 else f"{minutes} minutes ago"
