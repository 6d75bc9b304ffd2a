"""The browser's side of a request: its cookies, where it is, and whether one of our pages sent it."""

from collections.abc import Collection

from twisted.web.iweb import IRequest

from parachute_hub.accounts.forms import Form, is_json, peek, read_form
from parachute_hub.accounts.model import Caller, Entered, Halfway, Origins, Random, Visitor
from parachute_hub.accounts.sessions import csrf, policy
from parachute_hub.accounts.sessions.tokens import is_token, new_token
from parachute_hub.site import cookies
from parachute_hub.site.cookies import Jar
from parachute_hub.site.errors import Refused


def csrf_failed() -> Refused:
    """The form does not come from a page that we gave to this browser."""
    return Refused(403, "csrf_failed", "This form is out of date. Reload the page and try again.")


class Browser:
    """Reads and writes our cookies, and refuses what a foreign page sends."""

    def __init__(self, *, jar: Jar, caller: Caller, origins: Origins, random: Random) -> None:
        self._jar = jar
        self._caller = caller
        self._origins = origins
        self._random = random

    def visitor(self, request: IRequest) -> Visitor:
        """Who is on the other side, as far as one can tell without asking."""
        return Visitor(
            address=self._caller.client_address(request),
            user_agent=request.getHeader("user-agent") or "",
            device=self.cookie(request, cookies.DEVICE),
            session=self.cookie(request, cookies.SESSION),
        )

    def cookie(self, request: IRequest, name: str) -> str | None:
        """One of our cookies."""
        return self._jar.read(request, name, secure=self._caller.is_secure(request))

    def session_in(self, header: bytes | None, *, secure: bool) -> str | None:
        """The session's value in a bare Cookie header."""
        return cookies.find(header, self._jar.on_the_wire(cookies.SESSION, secure=secure))

    def page_token(self, request: IRequest) -> str:
        """The CSRF token for a form that is shown before anybody signed in; sets the cookie that it belongs to."""
        secret = self.cookie(request, cookies.CSRF)
        if secret is None or not is_token(secret):
            secret = new_token(self._random)
            secure = self._caller.is_secure(request)
            self._jar.write(request, cookies.CSRF, secret, secure=secure, max_age=policy.CSRF_COOKIE)
        return csrf.token_for(secret)

    def check_page(self, request: IRequest) -> Form:
        """The body of a form that needs no session; its token belongs to the session or to the CSRF cookie.

        Raises Refused 403 when a foreign page sent it. A script says nothing of its origin and carries no session
        that a page could misuse.
        """
        form = read_form(request)
        secrets = (self.cookie(request, cookies.SESSION), self.cookie(request, cookies.CSRF))
        if self._source(request) == "foreign":
            raise csrf_failed()
        self._check_token(request, [secret for secret in secrets if secret])
        return form

    def check_session(self, request: IRequest, session_token: str) -> None:
        """Make sure that a page of ours sent this with the session's cookie (S35: a silent browser is refused)."""
        if self._source(request) != "ours":
            raise csrf_failed()
        self._check_token(request, [session_token])

    def check_wizard(self, request: IRequest) -> Form:
        """As `check_session`, for the wizard: a script that sends JSON need not say where it comes from.

        No page of another origin can send JSON here: the browser would ask first, and nobody answers.
        """
        form = self.check_page(request)
        if self._source(request) == "unsaid" and not is_json(request):
            raise csrf_failed()
        return form

    def enter(self, request: IRequest, entered: Entered) -> None:
        """Set the cookies of somebody who just signed in."""
        secure = self._caller.is_secure(request)
        self._jar.write(request, cookies.SESSION, entered.token, secure=secure, max_age=policy.ABSOLUTE)
        self._jar.write(
            request, cookies.DEVICE, entered.device, secure=secure, max_age=policy.DEVICE, same_site="Strict"
        )
        if self.cookie(request, cookies.PENDING_LOGIN):
            self._jar.forget(request, cookies.PENDING_LOGIN, secure=secure)

    def halfway(self, request: IRequest, halfway: Halfway) -> None:
        """Set the cookie of a sign-in that waits for its second factor."""
        secure = self._caller.is_secure(request)
        self._jar.write(request, cookies.PENDING_LOGIN, halfway.token, secure=secure, max_age=policy.PENDING_LOGIN)

    def leave(self, request: IRequest) -> None:
        """Take the session's cookie away. The device stays known."""
        self._jar.forget(request, cookies.SESSION, secure=self._caller.is_secure(request))

    def _source(self, request: IRequest) -> csrf.Source:
        scheme = "https" if self._caller.is_secure(request) else "http"
        host = request.getHeader("host")
        ours: Collection[str] = (*self._origins.bound(), f"{scheme}://{host}" if host else "")
        return csrf.source(request.getHeader("sec-fetch-site"), request.getHeader("origin"), ours)

    def _check_token(self, request: IRequest, secrets: list[str]) -> None:
        presented = request.getHeader(csrf.HEADER) or peek(request, csrf.FIELD)
        if not any(csrf.token_matches(secret, presented) for secret in secrets):
            raise csrf_failed()
