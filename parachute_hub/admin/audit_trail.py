"""Names who acts for each request, and audits the acts that no service of their own records.

They are over when the response is sent: operations, transactions and accounts audit themselves.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from attrs import evolve
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource

from parachute_hub.accounts.model import Caller
from parachute_hub.admin.modules_bodies import lenient, text_of
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.errors import Refused
from parachute_hub.site.route_table import noted
from parachute_hub.store.rows import Act
from parachute_hub.system.doer import Doer, Means, acting

_NAME = 200
_SAFE = (b"GET", b"HEAD", b"OPTIONS")
_MEANS: Mapping[str, Means] = {"operator": "command", "session": "session", "token": "token"}
# Body fields that name the object of the action, for paths that do not.
_SUBJECTS = ("module", "name", "channel", "key")


def _pattern(rule: str) -> re.Pattern[str]:
    """A rule of the route table as a pattern; its first variable is the object of the action."""
    begin, *rest = re.split(r"<(path:)?\w+>", rule)
    variables = zip(rest[::2], rest[1::2], strict=True)
    return re.compile(
        re.escape(begin) + "".join(("(.+)" if path else "([^/]+)") + re.escape(after) for path, after in variables)
    )


_DEEDS = [(row.method, _pattern(row.rule), row.records) for row in noted()]


def deed(method: bytes, path: bytes) -> tuple[str, str] | None:
    """The action and its object; None for a request that is not audited.

    >>> deed(b"POST", b"/api/modules/vault/stop"), deed(b"POST", b"/vaults"), deed(b"GET", b"/vaults")
    (('module-stop', 'vault'), ('vault-made', ''), None)
    """
    text = path.decode("latin-1").rstrip("/")
    for its_method, pattern, action in _DEEDS:
        found = pattern.fullmatch(text) if method == its_method.encode() else None
        if found is not None:
            return action, found[1] if pattern.groups else ""
    return None


def _named(request: Any) -> str:
    """The package, file, folder or module named in the body."""
    body = lenient(request)
    text = next((text_of(body, name) for name in _SUBJECTS if text_of(body, name)), "")
    return "".join(letter for letter in text if letter.isprintable())[:_NAME]


class Recorded(Resource):
    """Wraps an area. Requests act on behalf of the caller; rows of the table that are audited by request are noted
    when they have succeeded.
    """

    isLeaf = True

    def __init__(
        self,
        area: IResource,
        *,
        who: Authenticator,
        note: Callable[[Act], None],
        caller: Caller,
        clock: Callable[[], float],
    ) -> None:
        super().__init__()
        self._area = area
        self._who = who
        self._note = note
        self._caller = caller
        self._clock = clock

    def render(self, request: Any) -> Any:
        """Render the area."""
        found = deed(request.method, request.path)
        if found is None and request.method in _SAFE:
            return self._area.render(request)
        who = self._who_acts(request)
        if found is not None:
            action, subject = found
            act = Act(at=self._clock(), actor=who.name, action=action, subject=subject or _named(request))

            def answered(_: object) -> None:
                # An anonymous user was redirected to sign in.
                if who.name and request.code < 400:
                    self._note(evolve(act, at=self._clock(), means=who.means, address=who.address))

            request.notifyFinish().addCallbacks(answered, lambda gone: None)
        return acting(who, self._area.render, request)

    def _who_acts(self, request: IRequest) -> Doer:
        address = self._caller.client_address(request)
        try:
            principal = self._who.identify(request)
        except Refused:
            # The area refuses the request as well, and nothing is audited.
            principal = None
        if principal is None:
            return Doer("", "page", address)
        return Doer(principal.name, _MEANS[principal.kind], address)
