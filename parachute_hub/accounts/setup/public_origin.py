"""The hub's public address: the owner's choice, else that of the platform or command line.

After a change the hub answers at the former address as well, for FORMER_SECONDS."""

import json
from collections.abc import Awaitable, Callable, Sequence

from parachute_hub.settings import BadSetting, normal_origin
from parachute_hub.site.errors import Refused
from parachute_hub.store.rows import Act
from parachute_hub.store.settings import StoredSettings
from parachute_hub.store.writer import Write
from parachute_hub.system.records import frozen

STORED_ORIGIN = "hub_origin"
FORMER_ORIGINS = "former_origins"
FORMER_SECONDS = 30 * 86400.0
_MOST_FORMER = 10


@frozen(kw_only=True)
class Configured:
    """The address configured at startup, or None; `source` says where (Settings)."""

    origin: str | None
    source: str
    local: Sequence[str]


@frozen
class FormerOrigin:
    """An origin that the hub had before, and until when it answers there, in epoch seconds."""

    origin: str
    until: float


class HubOrigin:
    """The issuer and all origins of the hub.

    Subscribers are called with the new issuer after the owner changed it.
    """

    def __init__(
        self,
        stored: StoredSettings,
        write: Write,
        configured: Configured,
        *,
        note: Callable[[Act], None],
        clock: Callable[[], float],
    ) -> None:
        """`note` adds to the audit log within a transaction."""
        self._note = note
        self._clock = clock
        self._stored = stored
        self._write = write
        self._configured = configured
        self._subscribers: list[Callable[[str], Awaitable[None]]] = []
        self._checks: list[Callable[[str | None], None]] = []

    def subscribe(self, changed: Callable[[str], Awaitable[None]]) -> None:
        """Call `changed` with the new issuer on each change."""
        self._subscribers.append(changed)

    def check(self, check: Callable[[str | None], None]) -> None:
        """Ask `check` before each change, within its transaction. It raises Refused for one that must not be made."""
        self._checks.append(check)

    def stored(self) -> str | None:
        """The owner's choice; None if the configured address is used."""
        return self._stored.get(STORED_ORIGIN)

    def issuer(self) -> str:
        """The canonical origin, without a trailing slash."""
        return self.stored() or self._configured.origin or self._configured.local[0]

    def source(self) -> str:
        """Where it was set: `settings`, or the configured source; `none` if there is only the local address."""
        return "settings" if self.stored() else self._configured.source

    def bound(self) -> tuple[str, ...]:
        """The origins that are the hub's for good. Includes the platform's even after a change, so that a wrong setting
        locks nobody out.
        """
        known = (self.issuer(), self._configured.origin, *self._configured.local)
        return tuple(dict.fromkeys(origin for origin in known if origin is not None))

    def former(self) -> tuple[FormerOrigin, ...]:
        """Where the hub still answers after a change, the newest first. Their owner may be another one day, so they are
        trusted with nothing: no code without consent, no request from their pages.
        """
        now, bound = self._clock(), self.bound()
        return tuple(one for one in self._kept() if one.until > now and one.origin not in bound)

    def answering(self) -> tuple[str, ...]:
        """All origins at which the hub answers and whose tokens it accepts: `bound` and `former`."""
        return (*self.bound(), *(one.origin for one in self.former()))

    def _kept(self) -> list[FormerOrigin]:
        return [FormerOrigin(origin, until) for origin, until in json.loads(self._stored.get(FORMER_ORIGINS) or "[]")]

    def plan(self, text: str | None) -> str:
        """The issuer that `choose` would lead to. Raises Refused 400 if the text is not an origin."""
        return self._read(text) or self._configured.origin or self._configured.local[0]

    def bound_after(self, text: str | None) -> tuple[str, ...]:
        """What `bound` would be after `choose`. Raises Refused 400."""
        known = (self.plan(text), self._configured.origin, *self._configured.local)
        return tuple(dict.fromkeys(origin for origin in known if origin is not None))

    def _read(self, text: str | None) -> str | None:
        try:
            return normal_origin(text, "The address") if text and text.strip() else None
        except BadSetting as error:
            raise Refused(400, "invalid_origin", str(error)) from None

    def would_move(self, text: str) -> bool:
        """True if `choose` would change the issuer. Invalid input would not."""
        try:
            return bool(text.strip()) and normal_origin(text, "The address") != self.issuer()
        except BadSetting:
            return False

    async def choose(self, text: str | None, now: float, *, forgets: bool = False) -> str:
        """Store another origin, or None to use the configured one. Returns the effective issuer.

        The one before answers for a while, unless the hub `forgets` it at once. Raises Refused 400 if it is not an
        origin, or what a check raises.
        """
        before = self.issuer()
        origin = self._read(text)

        def store() -> None:
            for check in self._checks:
                check(text)
            if origin is None:
                self._stored.drop(STORED_ORIGIN)
            else:
                self._stored.put(STORED_ORIGIN, origin, now)
            if before not in self.bound() and not forgets:
                others = [one for one in self._kept() if one.origin != before and one.until > now]
                kept = [FormerOrigin(before, now + FORMER_SECONDS), *others][:_MOST_FORMER]
                told = json.dumps([(one.origin, one.until) for one in kept])
                self._stored.put(FORMER_ORIGINS, told, now)
            self._note(Act(at=now, actor="", action="origin-changed", subject=self.issuer()))

        await self._write(store)
        if self.issuer() != before:
            for changed in self._subscribers:
                await changed(self.issuer())
        return self.issuer()
