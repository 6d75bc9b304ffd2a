"""The browser behind a request: its cookies, its address, and whether the request came from one of the hub's pages."""

import hmac
from collections.abc import Callable, Collection
from urllib.parse import quote
from weakref import WeakSet

from twisted.web.iweb import IRequest

from parachute_hub.accounts.forms import Form, is_json, peek, read_form
from parachute_hub.accounts.model import Caller, NewSession, Origins, PendingSecondFactor, Random, Visitor
from parachute_hub.accounts.sessions import csrf, policy
from parachute_hub.site import cookies
from parachute_hub.site.cookies import Jar
from parachute_hub.site.errors import Refused
from parachute_hub.site.pages import CSRF_FIELD
from parachute_hub.system.random_tokens import is_token, new_token

KEY_HEADER = "X-Parachute-Key"
KEY_FIELD = "__key"
PASSWORD_FIELD = "__password"
PROOF_FIELD = "__proof"
ARRIVAL = "/login/key"


def key_required() -> Refused:
    """The session's cookie alone, over plain http."""
    return Refused(403, "key_required", "Type your password to confirm this: this browser keeps no key for this hub.")


def csrf_failed() -> Refused:
    """The form was not issued to this browser."""
    return Refused(403, "csrf_failed", "This form is out of date. Reload the page and try again.")


class Browser:
    """Reads and writes the hub's cookies, and rejects requests from foreign pages."""

    def __init__(
        self, *, jar: Jar, caller: Caller, origins: Origins, random: Random, secret: Callable[[str], str]
    ) -> None:
        """`secret` gives a secret for a purpose, the same each time."""
        self._secret = secret
        self._proven: WeakSet[IRequest] = WeakSet()
        self._jar = jar
        self._caller = caller
        self._origins = origins
        self._random = random

    def visitor(self, request: IRequest) -> Visitor:
        """The browser, without authenticating it."""
        return Visitor(
            address=self.address(request),
            user_agent=request.getHeader("user-agent") or "",
            device=self.cookie(request, cookies.DEVICE),
            session=self.cookie(request, cookies.SESSION),
            origin=self.origin(request),
            anonymous=self.cookie(request, cookies.CSRF) or "",
            path=request.path.decode("latin-1"),
            proof="" if request.method in csrf.SAFE_METHODS else peek(request, PROOF_FIELD) or "",
        )

    def address(self, request: IRequest) -> str:
        """The browser's address."""
        return self._caller.client_address(request)

    def origin(self, request: IRequest) -> str:
        """The origin at which the browser opened the hub, whether or not it is one of the hub's."""
        scheme = "https" if self._caller.is_secure(request) else "http"
        return f"{scheme}://{(request.getHeader('host') or '').lower()}"

    def cookie(self, request: IRequest, name: str) -> str | None:
        secure = self._caller.is_secure(request)
        value = self._jar.read(request, name, secure=secure)
        return policy.cookie_of(value, secure=secure) if name == cookies.SESSION else value

    def session_in(self, header: bytes | None, *, secure: bool) -> str | None:
        """The session's value in a Cookie header."""
        value = cookies.find(header, self._jar.on_the_wire(cookies.SESSION, secure=secure))
        return policy.cookie_of(value, secure=secure)

    def page_token(self, request: IRequest) -> str:
        """The CSRF token for a form shown before sign-in; sets the cookie it belongs to."""
        secret = self.cookie(request, cookies.CSRF)
        if secret is None or not is_token(secret):
            secret = new_token(self._random)
            secure = self._caller.is_secure(request)
            self._jar.write(request, cookies.CSRF, secret, secure=secure, max_age=policy.CSRF_COOKIE)
        return csrf.token_for(secret)

    def check_page(self, request: IRequest) -> Form:
        """The body of a form that needs no session. Its token belongs to the session or the CSRF cookie.

        Raises Refused 403 for a foreign page. Scripts send no origin, and carry no session that a page could abuse.
        """
        form = read_form(request)
        secrets = (self.cookie(request, cookies.SESSION), self.cookie(request, cookies.CSRF))
        if self._source(request) == "foreign":
            raise csrf_failed()
        self._check_token(request, [secret for secret in secrets if secret])
        return form

    def check_session(self, request: IRequest, session_token: str) -> None:
        """Verify that one of the hub's pages sent this with the session's cookie. Raises Refused if the browser sends
        no proof.
        """
        if self._source(request) != "ours":
            raise csrf_failed()
        self._check_token(request, [session_token])

    def check_wizard(self, request: IRequest) -> Form:
        """Like `check_session`, for the wizard, where a JSON request needs no origin.

        Pages of other origins cannot send JSON here, because the CORS preflight would fail.
        """
        form = self.check_page(request)
        if self._source(request) == "unsaid" and not is_json(request):
            raise csrf_failed()
        return form

    def enter(self, request: IRequest, entered: NewSession) -> None:
        """Set the cookies of a new sign-in."""
        secure = self._caller.is_secure(request)
        self._jar.write(request, cookies.SESSION, entered.token, secure=secure, max_age=policy.ABSOLUTE)
        self._jar.write(
            request, cookies.DEVICE, entered.device, secure=secure, max_age=policy.DEVICE, same_site="Strict"
        )
        if self.cookie(request, cookies.PENDING_LOGIN):
            self._jar.forget(request, cookies.PENDING_LOGIN, secure=secure)

    # Browsers send a host's cookies to all of its ports, so over plain http any program that listens on this machine
    # may have caught them. A key in localStorage, which belongs to one port, tells the browser from that program.

    def is_plain(self, request: IRequest) -> bool:
        """True if the cookie alone must not change or mint anything."""
        return not self._caller.is_secure(request)

    def key(self, request: IRequest, user_id: str, device: str | None = None) -> str | None:
        """The key that this browser keeps for a user; None over https, where none is needed."""
        device = device or self.cookie(request, cookies.DEVICE)
        return self._secret(f"page key {user_id} {device}") if device and self.is_plain(request) else None

    def key_field(self, request: IRequest, entered: NewSession) -> dict[str, str]:
        """The key as a field of an answer in JSON; nothing over https."""
        key = self.key(request, entered.user.id, entered.device)
        return {} if key is None else {"key": key}

    def arrival(self, request: IRequest, entered: NewSession, path: str) -> str:
        """Where to go after signing in: by a page that keeps the key, which no server sees as part of an address."""
        key = self.key(request, entered.user.id, entered.device)
        return path if key is None else f"{ARRIVAL}?next={quote(path, safe='/')}#{key}"

    def holds_key(self, request: IRequest, user_id: str) -> bool:
        """True if the request shows the key, or the password in its place, or needs neither."""
        if not self.is_plain(request) or request in self._proven:
            return True
        key, shown = self.key(request, user_id), request.getHeader(KEY_HEADER) or peek(request, KEY_FIELD)
        return key is not None and shown is not None and hmac.compare_digest(key.encode(), shown.encode())

    def check_key(self, request: IRequest, user_id: str) -> None:
        """Raise Refused 403 `key_required` for the cookie alone over plain http."""
        if not self.holds_key(request, user_id):
            raise key_required()

    def has_proven(self, request: IRequest) -> None:
        """This request's password was verified, which stands for the key."""
        self._proven.add(request)

    def halfway(self, request: IRequest, halfway: PendingSecondFactor) -> None:
        """Set the cookie of a sign-in waiting for its second factor."""
        secure = self._caller.is_secure(request)
        self._jar.write(request, cookies.PENDING_LOGIN, halfway.token, secure=secure, max_age=policy.PENDING_LOGIN)

    def leave(self, request: IRequest) -> None:
        """Delete the session cookie. The device stays known."""
        self._jar.forget(request, cookies.SESSION, secure=self._caller.is_secure(request))

    def _source(self, request: IRequest) -> csrf.Source:
        ours: Collection[str] = (*self._origins.bound(), self.origin(request))
        return csrf.source(request.getHeader("sec-fetch-site"), request.getHeader("origin"), ours)

    def _check_token(self, request: IRequest, secrets: list[str]) -> None:
        presented = request.getHeader(csrf.HEADER) or peek(request, CSRF_FIELD)
        if not any(csrf.token_matches(secret, presented) for secret in secrets):
            raise csrf_failed()
