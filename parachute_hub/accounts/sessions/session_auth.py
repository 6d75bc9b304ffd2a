"""Authenticates sessions: the user behind a browser's cookie, verified on each request."""

from twisted.web.iweb import IRequest

from parachute_hub.accounts.model import SignedIn
from parachute_hub.accounts.sessions import csrf, policy
from parachute_hub.accounts.sessions.browser import Browser
from parachute_hub.accounts.signin.signin import SignIn
from parachute_hub.site import cookies
from parachute_hub.site.answers import sign_in_first, wants_html
from parachute_hub.site.auth import Principal
from parachute_hub.site.errors import Refused
from parachute_hub.site.route_table import may_by_link

# Everything that administers the hub.
_VERBS = ("admin", "install", "start", "expose", "auth", "vault", "metrics")
ADMIN_SCOPES = frozenset({"hub:admin", *(f"parachute:host:{verb}" for verb in _VERBS)})
CHANGE_PASSWORD = "/account/change-password"


class SessionRecogniser:
    """Implements `site.auth.Recogniser`, and tells pages who is signed in."""

    def __init__(self, sign_in: SignIn, browser: Browser) -> None:
        self._sign_in = sign_in
        self._browser = browser

    def signed_in(self, request: IRequest) -> SignedIn | None:
        """The session of a request. Says nothing about which page sent the request."""
        return self._sign_in.find(self._browser.cookie(request, cookies.SESSION), self._browser.address(request))

    def recognise(self, request: IRequest) -> Principal | None:
        """The signed-in user; None without a valid session.

        Raises Refused 403 `csrf_failed` for an unsafe request from a foreign page, and 403 `force_change_password` (302
        for a page) while the password is temporary.
        """
        found = self.signed_in(request)
        if found is None:
            return None
        self.check_page(request, found)
        self.refuse_temporary(request, found)
        return Principal(
            kind="session",
            name=found.user.username,
            scopes=ADMIN_SCOPES if found.user.is_admin else frozenset(),
            user_id=found.user.id,
            session_id=found.session.id,
        )

    def need_page(self, request: IRequest) -> SignedIn:
        """The user of an account page; otherwise redirect to sign in and back. Checks like `recognise`."""
        found = self.signed_in(request)
        if found is None:
            here = request.uri.decode("latin-1") if request.method in csrf.SAFE_METHODS else "/account"
            if wants_html(request):
                raise sign_in_first(here)
            raise Refused(401, "unauthenticated", "Sign in first.")
        self.check_page(request, found)
        return found

    def check_page(self, request: IRequest, found: SignedIn) -> None:
        """Verify that an unsafe request came from one of the hub's pages, in this very browser, which may send it.

        Raises Refused 403 `csrf_failed`, `key_required` or `signed_in_by_link`.
        """
        if request.method not in csrf.SAFE_METHODS:
            self._browser.check_session(request, found.token)
            self._browser.check_key(request, found.user.id)
            if not may_by_link(request.method, request.path):
                policy.refuse_limited(found.session)

    def refuse_temporary(self, request: IRequest, found: SignedIn) -> None:
        """Raise Refused while the password is temporary."""
        if not found.user.must_change_password:
            return
        text = "Choose a password of your own first."
        page = request.method in (b"GET", b"HEAD") and not request.path.startswith(b"/api/")
        if page and wants_html(request):
            raise Refused(302, "force_change_password", text, headers={"Location": CHANGE_PASSWORD})
        raise Refused(403, "force_change_password", text, detail={"change_password_url": CHANGE_PASSWORD})

    def has_session(self, cookie_header: bytes | None, secure: bool) -> bool:
        """For the proxy: true if a Cookie header carries a session with full access."""
        return self.behind(cookie_header, secure=secure) is not None

    def behind(self, cookie_header: bytes | None, *, secure: bool) -> SignedIn | None:
        """For the proxy: the session in a Cookie header, if it has full access.

        On https (`secure`) only the `__Host-` cookie counts, since a neighbouring host can set the other one.
        """
        found = self._sign_in.find(self._browser.session_in(cookie_header, secure=secure))
        return None if found is None or found.user.must_change_password else found
