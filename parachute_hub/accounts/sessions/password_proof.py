"""A form without JavaScript carries the password in place of the browser's key: verified before any area sees it."""

from twisted.web.iweb import IRequest

from parachute_hub.accounts.forms import is_json, peek
from parachute_hub.accounts.sessions import csrf
from parachute_hub.accounts.sessions.browser import PASSWORD_FIELD, Browser
from parachute_hub.accounts.signin.signin import SignIn
from parachute_hub.accounts.signin.step_up import ProofsOfPresence
from parachute_hub.site import cookies


class PasswordProof:
    """Implements `site.root.Prover`."""

    def __init__(self, *, sign_in: SignIn, browser: Browser, presence: ProofsOfPresence) -> None:
        self._sign_in = sign_in
        self._browser = browser
        self._presence = presence

    def offered(self, request: IRequest) -> bool:
        """True if the request brings a password for its session."""
        if request.method in csrf.SAFE_METHODS or is_json(request) or not self._browser.is_plain(request):
            return False
        return bool(self._browser.cookie(request, cookies.SESSION)) and peek(request, PASSWORD_FIELD) is not None

    async def verify(self, request: IRequest) -> None:
        """Verify it. Raises Refused 400, 401 or 429."""
        found = self._sign_in.find(self._browser.cookie(request, cookies.SESSION))
        if found is None:
            return
        password = peek(request, PASSWORD_FIELD) or ""
        await self._presence.verify(found, self._browser.visitor(request), password=password)
        self._browser.has_proven(request)
