"""Audits requests that change modules, vaults, tokens and apps.

Accounts audit their own actions, with more detail than a request shows.
"""

import re
from collections.abc import Callable
from typing import Any, Protocol

from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource

from parachute_hub.admin.modules_bodies import lenient, text_of
from parachute_hub.site.auth import Authenticator
from parachute_hub.site.errors import Refused
from parachute_hub.store.rows import Act

# Their body names the subject.
_BY_NAME = (("module-install", ""), ("open-settings", ""))
_NAME = 200
# Method and path; the groups are the verb and its object.
_DEEDS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (
        re.compile(
            rb"POST /api/modules/(?P<subject>(?!operations/|disk/)[^/]+)"
            rb"/(?P<verb>install|upgrade|rollback|restore-data|uninstall|delete-data|start|stop|restart|heal-port|adopt)"
        ),
        "module-",
    ),
    (re.compile(rb"PUT /api/modules/(?P<subject>[^/]+)/(?P<verb>config|settings)"), "module-"),
    (re.compile(rb"POST /api/modules/(?P<verb>install|upgrade-all)"), "module-"),
    (re.compile(rb"POST /vaults"), "vault-made"),
    (re.compile(rb"POST /api/auth/(?P<verb>mint-token|revoke-token|rotate-operator|rotate-key)"), ""),
    (re.compile(rb"POST /api/auth/(?P<verb>open-settings)"), ""),
    (
        re.compile(
            rb"(?:GET|POST) /(?:admin|account)/(?P<verb>module-token|vault-admin-token|vault-token)/(?P<subject>[^/]+)"
        ),
        "",
    ),
    (re.compile(rb"POST /admin/(?P<verb>host-admin-token)"), ""),
    (re.compile(rb"POST /account/(?P<verb>token)"), "account-"),
    (re.compile(rb"POST /api/apps/disconnect|DELETE /api/grants/.+"), "app-disconnected"),
)


class Caller(Protocol):
    """The client of a request."""

    def client_address(self, request: IRequest) -> str: ...


def deed(method: bytes, path: bytes) -> tuple[str, str] | None:
    """The action and its object; None for a request that is not audited.

    >>> deed(b"POST", b"/api/modules/vault/upgrade"), deed(b"POST", b"/vaults"), deed(b"GET", b"/vaults")
    (('module-upgrade', 'vault'), ('vault-made', ''), None)
    """
    for pattern, action in _DEEDS:
        found = pattern.fullmatch(method + b" " + path.rstrip(b"/"))
        if found is not None:
            parts = found.groupdict()
            return action + parts.get("verb", b"").decode("latin-1"), parts.get("subject", b"").decode("latin-1")
    return None


def _named(request: Any) -> str:
    """The package, file, folder or module named in the body, which can be read again afterwards."""
    body = lenient(request)
    request.content.seek(0)
    text = text_of(body, "package") or text_of(body, "source") or text_of(body, "module")
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
            if (action, subject) in _BY_NAME:
                subject = _named(request)

            def answered(_: object) -> None:
                if request.code < 400:
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
