"""Names who acts for each request, and audits attempts that were refused or failed.

What has happened is recorded by whoever did it. An attempt is recorded when its handler has ended, also if the client
has left by then.
"""

from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from werkzeug.exceptions import HTTPException

from parachute_hub.accounts.model import Caller
from parachute_hub.admin.modules_bodies import lenient, text_of
from parachute_hub.site import attempts
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.errors import Refused
from parachute_hub.site.rate_limit import RateLimit
from parachute_hub.site.route_table import ROWS, Row, pattern
from parachute_hub.store.rows import Act
from parachute_hub.system.doer import Doer, Means, acting
from parachute_hub.system.networks import network_of

_NAME = 200
_INTERNAL = "Something went wrong in the hub. Its log has the details."
_SAFE = (b"GET", b"HEAD", b"OPTIONS")
_MEANS: Mapping[str, Means] = {"operator": "command", "session": "session", "token": "token"}
# Body fields that name the object of the action, for paths that do not.
_SUBJECTS = ("module", "name", "channel", "key")


_AUDITED = [(row, pattern(row.rule)) for row in ROWS if row.records]
# Their services count and note wrong passwords and codes.
_NOTED_ELSEWHERE = ("sign-in", "second-factor", "confirm")
# The page asks for what is missing, or says what was mistyped, and sends the same again.
_ASKED_AGAIN = ("step_up_required", "key_required", "invalid_request", "validation_failed")
_HOUR = 3600.0
_REFUSALS_OF_ONE = 20
_REFUSALS_OF_STRANGERS = 100


def deed(method: bytes, path: bytes) -> tuple[Row, str] | None:
    """The row of the request and the object of its action; None for a request that is not audited.

    >>> found, subject = deed(b"POST", b"/api/modules/vault/stop")
    >>> found.records, subject, deed(b"GET", b"/vaults")
    ('module-stop', 'vault', None)
    """
    text = path.decode("latin-1").rstrip("/")
    for row, rule in _AUDITED:
        found = rule.fullmatch(text) if method == row.method.encode() else None
        if found is not None:
            return row, found[1] if rule.groups else ""
    return None


def _named(request: Any) -> str:
    """The package, file, folder or module named in the body."""
    body = lenient(request)
    text = next((text_of(body, name) for name in _SUBJECTS if text_of(body, name)), "")
    return "".join(letter for letter in text if letter.isprintable())[:_NAME]


class Refusals:
    """Limits the refusals that are noted, so that nobody fills the log. `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._of_one = RateLimit(times=_REFUSALS_OF_ONE, seconds=_HOUR, clock=clock)
        self._of_strangers = RateLimit(times=_REFUSALS_OF_STRANGERS, seconds=_HOUR, clock=clock)

    def take(self, act: Act) -> bool:
        """Whether there is room for one more of this user and network; strangers share a limit, too."""
        key = f"{act.actor} {network_of(act.address)}"
        if self._of_one.wait(key) > 0 or not act.actor and self._of_strangers.wait() > 0:
            return False
        self._of_one.count(key)
        if not act.actor:
            self._of_strangers.count()
        return True


class Attempts(Resource):
    """Wraps an area. Requests act on behalf of the caller, and those that were refused or have failed are noted.

    `clock` is in epoch seconds; `refusals` are shared by all areas.
    """

    isLeaf = True

    def __init__(
        self,
        area: IResource,
        *,
        who: Authenticator,
        note: Callable[[Act], object],
        caller: Caller,
        clock: Callable[[], float],
        refusals: Refusals,
    ) -> None:
        super().__init__()
        self._area = area
        self._who = who
        self._note = note
        self._caller = caller
        self._clock = clock
        self._refusals = refusals

    def render(self, request: Any) -> Any:
        """Render the area."""
        found = deed(request.method, request.path)
        if found is None and request.method in _SAFE:
            return self._area.render(request)
        who = self._who_acts(request)
        if found is None:
            return acting(who, self._area.render, request)
        row, subject = found
        act = Act(at=self._clock(), actor=who.name, action=row.records.split()[0], subject=subject or _named(request))
        act = evolve(act, means=who.means, address=who.address)

        def render() -> Any:
            attempts.ended.set(lambda error: self._ended(act, request, error))
            return self._area.render(request)

        return acting(who, render)

    def _ended(self, act: Act, request: Any, error: BaseException | None) -> None:
        status = error.status if isinstance(error, Refused) else request.code
        if (error is not None or status >= 400) and self._is_told(act, error):
            outcome = "refused" if isinstance(error, Refused) and status < 500 or error is None else "failed"
            why = error.description if isinstance(error, Refused) else _INTERNAL if error is not None else ""
            self._note(evolve(act, at=self._clock(), outcome=outcome, why=why))

    def _is_told(self, act: Act, error: BaseException | None) -> bool:
        """Whether this refusal says something, and there is room for it."""
        asked_again = isinstance(error, Refused) and error.error in _ASKED_AGAIN
        if asked_again or isinstance(error, CancelledError | HTTPException) or act.action in _NOTED_ELSEWHERE:
            return False
        return self._refusals.take(act)

    def _who_acts(self, request: IRequest) -> Doer:
        address = self._caller.client_address(request)
        try:
            principal = self._who.identify(request)
        except Refused:
            # The area refuses the request as well.
            principal = None
        if principal is None:
            return Doer("", "page", address)
        return Doer(principal.name, _MEANS[principal.kind], address)
