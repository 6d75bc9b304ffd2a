"""Audits requests that change modules, vaults, tokens and apps.

Accounts audit their own actions, with more detail than a request shows.
"""

import re
from collections.abc import Callable
from typing import Any

from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource

from parachute_hub.accounts.model import Caller
from parachute_hub.admin.modules_bodies import lenient, text_of
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.errors import Refused
from parachute_hub.site.route_table import noted
from parachute_hub.store.rows import Act

_NAME = 200
# Body fields that name the object of the action, for paths that do not.
_SUBJECTS = ("package", "source", "module", "name", "client_id", "channel")


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

    >>> deed(b"POST", b"/api/modules/vault/upgrade"), deed(b"POST", b"/vaults"), deed(b"GET", b"/vaults")
    (('module-upgrade', 'vault'), ('vault-made', ''), None)
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
    """Wraps an area and audits requests that succeed or are accepted (202)."""

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
        if found is not None:
            actor, address = self._actor(request), self._caller.client_address(request)
            action, subject = found
            if not subject:
                subject = _named(request)

            def answered(_: object) -> None:
                # An anonymous user was redirected to sign in.
                if actor and request.code < 400:
                    self._note(Act(at=self._clock(), actor=actor, action=action, subject=subject, address=address))

            request.notifyFinish().addCallbacks(answered, lambda gone: None)
        return self._area.render(request)

    def _actor(self, request: IRequest) -> str:
        try:
            principal = self._who.identify(request)
        except Refused:
            # The area refuses the request as well, and nothing is audited.
            return ""
        return principal.name if principal else ""
