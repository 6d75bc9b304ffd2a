"""`/oauth/authorize`. These are pages for users: no CORS, and GET changes nothing."""

from urllib.parse import quote, urlencode

from attrs import evolve
from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.oauth import pages
from parachute_hub.oauth.authorization import policy
from parachute_hub.oauth.authorization.browser_session import PageSession, PageSessions
from parachute_hub.oauth.authorization.consent_ticket import FIELD, Tickets, is_marked, only_as_a_page
from parachute_hub.oauth.authorization.consents import ConsentingUser, Consents
from parachute_hub.oauth.authorization.policy import (
    PARAMETERS,
    SIGN_IN_AGAIN,
    AskConsent,
    AuthorizationRequest,
    ErrorPage,
    ErrorRedirect,
    Facts,
    IssueCode,
    NeedsOwner,
    NeedsSignIn,
    SubmittedConsent,
    Verdict,
)
from parachute_hub.oauth.clients.lookup import ClientDirectory
from parachute_hub.oauth.clients.metadata_fetch import DocumentUnreadable
from parachute_hub.oauth.clients.registration import BadMetadata, is_document_url
from parachute_hub.oauth.params import Params, form, query
from parachute_hub.oauth.tokens.issuer import Issuer
from parachute_hub.oauth.well_known import Resources, catalog_of
from parachute_hub.site.answers import see_other
from parachute_hub.site.area import area
from parachute_hub.site.errors import Refused
from parachute_hub.site.safe_redirect import login_url, sign_in_again_url


def read_ask(params: Params) -> AuthorizationRequest:
    """The authorization request in the parameters. Empty values count as missing."""
    values = {name: params.get(name) for name in PARAMETERS if params.get(name)}
    if values.get("resource"):
        values["resource"] = " ".join(dict.fromkeys(uri for uri in params.all("resource") if uri))
    return AuthorizationRequest(values=values, repeated=params.repeated(PARAMETERS) - {"resource"})


class AuthorizeArea:
    """Gathers the facts, lets `policy.decide` choose, and renders or carries out the verdict."""

    app: Klein = area()

    def __init__(
        self,
        *,
        issuer: Issuer,
        directory: ClientDirectory,
        consents: Consents,
        resources: Resources,
        visits: PageSessions,
        tickets: Tickets,
    ) -> None:
        self._issuer = issuer
        self._directory = directory
        self._consents = consents
        self._resources = resources
        self._visits = visits
        self._tickets = tickets

    @app.route("/oauth/authorize", methods=["GET", "HEAD"])
    async def ask(self, request: IRequest) -> bytes:
        """An app sends the user here."""
        only_as_a_page(request)
        asked, visit = read_ask(query(request)), self._visits.visit(request)
        ask, verdict = await self._judge(asked, visit)
        if isinstance(verdict, IssueCode) and self._visits.is_plain(request):
            ask, verdict = await self._judge_again(ask, visit)
        return await self._carry_out(request, ask, visit, verdict)

    @app.route("/oauth/authorize", methods=["POST"])
    async def consent(self, request: IRequest) -> bytes:
        """Handle the submitted form. A request that an app posts is redirected to GET, which changes nothing."""
        params = form(request)
        ask = read_ask(params)
        if params.get("__action") != "consent":
            return see_other(request, "/oauth/authorize?" + urlencode(ask.values))
        only_as_a_page(request)
        visit = self._visits.visit(request)
        # The user saw the form, so the answer counts, even if scopes were granted elsewhere in the meantime.
        asked = evolve(ask, values={**ask.values, "prompt": "consent"})
        _, verdict = await self._judge(asked, visit)
        if visit is not None and isinstance(verdict, AskConsent):
            if not self._tickets.good(params.get(FIELD), visit.csrf, ask.values):
                return self._show_consent(request, ask, visit, verdict, "Please check this again.")
            return await self._answered(request, ask, visit, verdict, params)
        return await self._carry_out(request, ask, visit, verdict)

    async def _judge_again(
        self, ask: AuthorizationRequest, visit: PageSession | None
    ) -> tuple[AuthorizationRequest, Verdict]:
        """Over plain http a GET issues no code: only a form of ours carries the browser's key."""
        if ask["prompt"] == "none":
            return ask, ErrorRedirect("interaction_required", "Over plain http this needs an answer from the user.")
        return await self._judge(evolve(ask, values={**ask.values, "prompt": "consent"}), visit)

    async def _judge(
        self, ask: AuthorizationRequest, visit: PageSession | None
    ) -> tuple[AuthorizationRequest, Verdict]:
        """The request, completed with what its client registered, and the verdict."""
        client_id = ask["client_id"]
        user = None if visit is None else visit.user
        client = self._directory.known(client_id)
        if user is None and client is None and is_document_url(client_id):
            # Anonymous visitors cannot make the hub fetch anything.
            return ask, NeedsSignIn()
        if user is not None:
            try:
                client = await self._directory.find(client_id)
            except (DocumentUnreadable, BadMetadata) as error:
                text = f"{error} Try again later, or ask its developer."
                return ask, ErrorPage(400, "This app cannot be identified", text)
        facts = Facts(
            client=client,
            user=user,
            granted=self._consents.granted(user, client_id),
            catalog=catalog_of(self._resources),
            origins=self._issuer.origins,
            own_origins=self._issuer.own_origins,
        )
        ask = policy.completed(ask, client)
        return ask, policy.decide(ask, facts)

    async def _answered(
        self, request: IRequest, ask: AuthorizationRequest, visit: PageSession, consent: AskConsent, params: Params
    ) -> bytes:
        ticked = frozenset(params.all("granted_scope"))
        answer = SubmittedConsent(
            yes=params.get("approve") == "yes", ticked=ticked, vault=params.get("vault_pick") or None
        )
        verdict = policy.answer(consent, answer)
        if isinstance(verdict, IssueCode) and (verdict.needs_proof or not is_marked(request)):
            try:
                await self._visits.confirm(request, password=params.get("password"))
            except Refused as refused:
                return self._show_consent(request, ask, visit, consent, refused.description, ticked)
        return await self._carry_out(request, ask, visit, verdict)

    def _show_consent(
        self,
        request: IRequest,
        ask: AuthorizationRequest,
        visit: PageSession,
        consent: AskConsent,
        error: str | None,
        ticked: frozenset[str] | None = None,
    ) -> bytes:
        shown = pages.Shown(
            hidden={**ask.values, FIELD: self._tickets.make(visit.csrf, ask.values)}, ticked=ticked, error=error
        )
        return pages.show_consent(request, consent, visit, shown, self._issuer.own_origins)

    async def _carry_out(
        self, request: IRequest, ask: AuthorizationRequest, visit: PageSession | None, verdict: Verdict
    ) -> bytes:
        match verdict:
            case ErrorPage():
                return pages.show_stop(request, verdict)
            case ErrorRedirect(error, description):
                return self._back(request, ask, {"error": error, "error_description": description})
            case NeedsOwner(client):
                url = f"{self._issuer.issuer}/admin/approve-client/{quote(client.client_id, safe='')}"
                return pages.show_needs_owner(request, client, url)
            case AskConsent() if visit is not None:
                return self._show_consent(request, ask, visit, verdict, None)
            case IssueCode() if visit is not None:
                giver = ConsentingUser(user=visit.user, auth_time=visit.auth_time, address=visit.address)
                return self._back(request, ask, {"code": await self._consents.give(ask, verdict, giver)})
            case _:
                if isinstance(verdict, NeedsSignIn) and verdict.again:
                    return see_other(request, sign_in_again_url("/oauth/authorize?" + urlencode(_signed_in_again(ask))))
                here = "/oauth/authorize?" + urlencode(ask.values)
                return see_other(request, login_url(here))

    def _back(self, request: IRequest, ask: AuthorizationRequest, values: dict[str, str]) -> bytes:
        """Redirect to the redirect URI with `state` unchanged and `iss` (RFC 9207), on errors too."""
        if ask["state"] and "state" not in ask.repeated:
            values["state"] = ask["state"]
        uri = ask["redirect_uri"]
        joint = "&" if "?" in uri else "?"
        return see_other(request, uri + joint + urlencode({**values, "iss": self._issuer.issuer}))


def _signed_in_again(ask: AuthorizationRequest) -> dict[str, str]:
    """The request to return with after signing in again, without the prompt for it."""
    prompt = " ".join(word for word in ask["prompt"].split() if word not in SIGN_IN_AGAIN)
    return {**ask.values, "prompt": prompt} if prompt else {k: v for k, v in ask.values.items() if k != "prompt"}
