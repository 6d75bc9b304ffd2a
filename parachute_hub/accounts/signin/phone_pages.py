"""`/login/phone` for the phone that opens a link; `/api/phone-links`, and `/account/phone` as pages, for the browser
that made it.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from klein import Klein
from twisted.web.iweb import IRequest
from twisted.web.template import tags

from parachute_hub.accounts.forms import query, read_form
from parachute_hub.accounts.model import Origins, SignedIn
from parachute_hub.accounts.pages import fill
from parachute_hub.accounts.people.account_views import browser_name
from parachute_hub.accounts.sessions.browser import Browser
from parachute_hub.accounts.sessions.csrf import token_for
from parachute_hub.accounts.sessions.policy import refuse_limited
from parachute_hub.accounts.sessions.session_auth import SessionRecogniser
from parachute_hub.accounts.signin.phone_links import OPENS, PhoneLink, PhoneLinks, State
from parachute_hub.accounts.signin.step_up import ProofsOfPresence
from parachute_hub.site import cookies
from parachute_hub.site.answers import as_json, see_other
from parachute_hub.site.area import area
from parachute_hub.site.cookies import Jar
from parachute_hub.site.errors import Refused
from parachute_hub.site.pages import Content, csrf_field, problem, qr, show, show_message
from parachute_hub.site.safe_redirect import safe_next
from parachute_hub.system.networks import opens_only_here

HERE = "/login/phone"
LINKS = "/api/phone-links"
PAGE = "/account/phone"
_ASK_FOR_A_WAY = "A phone cannot reach this address safely. Ask the person who runs this hub to open a way to it."
OPERATION = "phone.link"
INTERVAL = 1
_HOME = "/"
_SAID: Mapping[State | None, tuple[str, str]] = {
    "waiting": ("Not yet", "Your phone has not opened the link. Scan the code, and tap “Continue” on the phone."),
    "allowed": ("Your phone is signed in", "You can sign it out under “Sessions and devices”."),
    "refused": ("It was not let in", "Nobody was signed in by this code."),
    None: ("The code has expired", "It works once, for two minutes."),
}
_WARNING = "If the phone warns about the connection, stop there and install the hub’s certificate first."


class PhonePages:
    """The link's secret is behind the # of its address, which no server and no log sees. Opening the page changes
    nothing, so that a robot that looks at the link does not use it up: the person taps a button.
    """

    app: Klein = area()

    def __init__(
        self,
        *,
        links: PhoneLinks,
        browser: Browser,
        jar: Jar,
        sessions: SessionRecogniser,
        presence: ProofsOfPresence,
        origins: Origins,
    ) -> None:
        self._links = links
        self._browser = browser
        self._jar = jar
        self._sessions = sessions
        self._presence = presence
        self._origins = origins

    @app.route(HERE, methods=["GET", "HEAD"])
    def page(self, request: IRequest) -> bytes:
        """The same for everybody."""
        content = fill("phone", csrf=csrf_field(self._browser.page_token(request)))
        return show(request, "Open on this phone", content)

    @app.route(HERE, methods=["POST"])
    def open(self, request: IRequest) -> bytes:
        """`{token}`: binds the link to this browser. Returns the `number` that both devices show, and whose it is."""
        form = self._browser.check_page(request)
        visitor = self._browser.visitor(request)
        link, value = self._links.open(form.text("token"), visitor)
        secure = not self._browser.is_plain(request)
        self._jar.write(request, cookies.PHONE, value, secure=secure, max_age=2 * OPENS, same_site="Strict")
        return as_json(request, {"number": link.number, "person": self._links.person(link)})

    @app.route(f"{HERE}/wait", methods=["POST"])
    async def wait(self, request: IRequest) -> bytes:
        """`{state: waiting}`, or `{state: allowed, next}` with the cookies of a session, unless it has a better one."""
        self._browser.check_page(request)
        waiting = self._browser.cookie(request, cookies.PHONE)
        here = self._sessions.signed_in(request)
        link, entered = await self._links.enter(waiting, self._browser.visitor(request), here)
        if link.state == "opened":
            person = self._links.person(link)
            return as_json(request, {"state": "waiting", "number": link.number, "person": person})
        self._jar.forget(request, cookies.PHONE, secure=not self._browser.is_plain(request))
        if entered is not None:
            self._browser.enter(request, entered)
        return as_json(request, {"state": "allowed", "next": link.next_path})

    @app.route(LINKS, methods=["POST"])
    async def make(self, request: IRequest) -> bytes:
        """`{next}`: a link for another device of the same person, with a QR code. Needs a step-up for `phone.link`."""
        found = self._need(request)
        principal = self._sessions.recognise(request)
        if principal is None:
            raise Refused(401, "unauthenticated", "Sign in first.")
        next_path = safe_next(read_form(request).text("next"), _HOME)
        self._presence.prove(request, principal, OPERATION)
        link_id, url = await self._made(found, next_path)
        # Half a megabyte that only this needs.
        import segno

        picture = segno.make(url, error="m", micro=False).png_data_uri(scale=6, border=4)
        answer = {"id": link_id, "url": url, "qr_data_url": picture, "expires_in": OPENS, "interval": INTERVAL}
        return as_json(request, answer, status=201)

    @app.route(f"{LINKS}/<link_id>", methods=["GET"])
    def look(self, request: IRequest, link_id: str) -> bytes:
        """Whether somebody has opened it, and who seems to."""
        return as_json(request, _told(self._links.of(self._need(request), link_id)))

    @app.route(f"{LINKS}/<link_id>/answer", methods=["POST"])
    async def answer(self, request: IRequest, link_id: str) -> bytes:
        """`{allow}`: let the browser in that opened it, or refuse it."""
        found = self._need(request)
        allow = read_form(request).text("allow") == "true"
        await self._links.answer(found, link_id, allow=allow)
        return as_json(request, _told(self._links.of(found, link_id)))

    # The same as pages, which work without JavaScript.

    @app.route(PAGE, methods=["GET", "HEAD"])
    def ask(self, request: IRequest) -> bytes:
        """The form for the password. `next` is what the phone opens."""
        found = self._entered(request)
        try:
            self._issuer()
        except Refused as refused:
            text = refused.description if found.user.is_admin else _ASK_FOR_A_WAY
            return show_message(request, "Not reachable yet", text, _ways(found))
        return self._form(request, found, query(request, "next"))

    @app.route(PAGE, methods=["POST"])
    async def show_code(self, request: IRequest) -> bytes:
        """A link as a QR code."""
        found, form = self._entered(request), read_form(request)
        try:
            await self._presence.verify(found, self._browser.visitor(request), password=form.text("password"))
            link_id, url = await self._made(found, safe_next(form.text("next"), _HOME))
        except Refused as refused:
            return self._form(request, found, form.text("next"), refused)
        warns = urlsplit(url).hostname or ""
        warning = tags.p(_WARNING, class_="quiet") if warns.endswith(".local") else ""
        content = fill(
            "phone-code",
            link=link_id,
            qr=qr(url, "QR code for your phone"),
            warning=warning,
            url=url,
            answer=f"{PAGE}/{link_id}",
        )
        return show(request, "Scan this code", content)

    @app.route(f"{PAGE}/<link_id>", methods=["GET", "HEAD"])
    def asked(self, request: IRequest, link_id: str) -> bytes:
        """Who has opened the link, and whether to let them in."""
        found = self._entered(request)
        try:
            link = self._links.of(found, link_id)
        except Refused as refused:
            return _told_as_page(request, None, link_id, refused)
        if link.state != "opened":
            return _told_as_page(request, link.state, link_id)
        told = {name: told for name, told in _told(link).items() if name != "state"}
        csrf = csrf_field(token_for(found.token))
        return show(request, "Is this your phone?", fill("phone-answer", here=f"{PAGE}/{link_id}", csrf=csrf, **told))

    @app.route(f"{PAGE}/<link_id>", methods=["POST"])
    async def answered(self, request: IRequest, link_id: str) -> bytes:
        """Let the browser in that opened it, or refuse it."""
        found = self._entered(request)
        allow = read_form(request).text("allow") == "true"
        try:
            await self._links.answer(found, link_id, allow=allow)
        except Refused as refused:
            state = self._links.of(found, link_id).state if refused.status == 409 else None
            if state != "allowed":  # Else the button was pressed twice.
                return _told_as_page(request, state, link_id, refused)
        return see_other(request, f"{PAGE}/{link_id}")

    async def _made(self, found: SignedIn, next_path: str) -> tuple[str, str]:
        """A link's id, and its URL. Raises Refused 409."""
        issuer = self._issuer()
        link_id, secret = await self._links.make(found, next_path)
        return link_id, f"{issuer}{HERE}#{secret}"

    def _issuer(self) -> str:
        issuer = self._origins.issuer()
        if not issuer.startswith("https://") or opens_only_here(issuer):
            text = "A phone cannot reach this address safely. Open a way to your hub first."
            raise Refused(409, "address_not_safe", text)
        return issuer

    def _form(self, request: IRequest, found: SignedIn, next_path: str, refused: Refused | None = None) -> bytes:
        said: Mapping[str, Content] = {
            "problem": problem(refused),
            "csrf": csrf_field(token_for(found.token)),
            "username": found.user.username,
        }
        return show(request, "Your phone", fill("phone-ask", next=safe_next(next_path, _HOME), **said), refused=refused)

    def _entered(self, request: IRequest) -> SignedIn:
        found = self._sessions.need_page(request)
        self._sessions.refuse_temporary(request, found)
        refuse_limited(found.session)
        return found

    def _need(self, request: IRequest) -> SignedIn:
        found = self._sessions.signed_in(request)
        if found is None:
            raise Refused(401, "unauthenticated", "Sign in first.")
        self._sessions.check_page(request, found)
        self._sessions.refuse_temporary(request, found)
        return found


def _told(link: PhoneLink) -> Mapping[str, Any]:
    visitor = link.visitor
    return {
        "state": link.state,
        "number": link.number,
        "device": browser_name(visitor.user_agent) if visitor else "",
        "address": visitor.address if visitor else "",
    }


def _told_as_page(request: IRequest, state: State | None, link_id: str, refused: Refused | None = None) -> bytes:
    title, text = _SAID[state]
    again = tags.a("Show a new code", class_="button", href=PAGE)
    first = {
        "waiting": tags.a("Check again", class_="button primary", href=f"{PAGE}/{link_id}"),
        "allowed": tags.a("Sessions and devices", class_="button", href="/account/sessions"),
    }.get(state or "", again)
    more = tags.div(first, tags.a("Back to your account", class_="button plain", href="/account"), class_="actions")
    return show_message(request, title, text, more, status=200 if refused is None else refused.status)


def _ways(found: SignedIn) -> Content:
    """What helps if no phone can reach the hub."""
    back = tags.a("Back to your account", class_="button plain", href="/account")
    way = tags.a("Open a way", class_="button primary", href="/admin/settings/reach")
    return tags.div(*([way] if found.user.is_admin else []), back, class_="actions")
