"""`/login/phone` for the phone that opens a link, `/api/phone-links` for the browser that made it."""

from collections.abc import Mapping
from typing import Any

from klein import Klein
from twisted.web.iweb import IRequest

from parachute_hub.accounts.forms import read_form
from parachute_hub.accounts.model import Origins, SignedIn
from parachute_hub.accounts.pages import fill
from parachute_hub.accounts.people.account_views import browser_name
from parachute_hub.accounts.sessions.browser import Browser
from parachute_hub.accounts.sessions.session_auth import SessionRecogniser
from parachute_hub.accounts.signin.phone_links import OPENS, PhoneLink, PhoneLinks
from parachute_hub.accounts.signin.step_up import ProofsOfPresence
from parachute_hub.site import cookies
from parachute_hub.site.answers import as_json
from parachute_hub.site.area import area
from parachute_hub.site.cookies import Jar
from parachute_hub.site.errors import Refused
from parachute_hub.site.pages import csrf_field, show
from parachute_hub.site.safe_redirect import safe_next

HERE = "/login/phone"
LINKS = "/api/phone-links"
OPERATION = "phone.link"
INTERVAL = 1
_HOME = "/"


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
        issuer = self._origins.issuer()
        if not issuer.startswith("https://"):
            text = "A phone cannot reach this address safely. Open a way to your hub first."
            raise Refused(409, "address_not_safe", text)
        link_id, secret = await self._links.make(found, next_path)
        url = f"{issuer}{HERE}#{secret}"
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
