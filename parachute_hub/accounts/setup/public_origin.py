"""The hub's public address: the owner's choice, else that of the platform or command line."""

from collections.abc import Awaitable, Callable, Sequence

from attrs import frozen

from parachute_hub.settings import BadSetting, normal_origin
from parachute_hub.site.errors import Refused
from parachute_hub.store.rows import Act
from parachute_hub.store.settings import StoredSettings
from parachute_hub.store.writer import Write

STORED_ORIGIN = "hub_origin"


@frozen(kw_only=True)
class Configured:
    """The address configured at startup, or None; `source` says where (Settings)."""

    origin: str | None
    source: str
    local: Sequence[str]


class HubOrigin:
    """The issuer and all origins of the hub.

    Subscribers are called with the new issuer after the owner changed it.
    """

    def __init__(
        self, stored: StoredSettings, write: Write, configured: Configured, *, note: Callable[[Act], None]
    ) -> None:
        """`note` adds to the audit log within a transaction."""
        self._note = note
        self._stored = stored
        self._write = write
        self._configured = configured
        self._subscribers: list[Callable[[str], Awaitable[None]]] = []

    def subscribe(self, changed: Callable[[str], Awaitable[None]]) -> None:
        """Call `changed` with the new issuer on each change."""
        self._subscribers.append(changed)

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
        """All origins of the hub. Includes the platform's even after a change, so that a wrong setting locks nobody
        out.
        """
        known = (self.issuer(), self._configured.origin, *self._configured.local)
        return tuple(dict.fromkeys(origin for origin in known if origin is not None))

    def would_move(self, text: str) -> bool:
        """True if `choose` would change the issuer. Invalid input would not."""
        try:
            return bool(text.strip()) and normal_origin(text, "The address") != self.issuer()
        except BadSetting:
            return False

    async def choose(self, text: str | None, now: float) -> str:
        """Store another origin, or None to use the configured one. Returns the effective issuer.

        Raises Refused 400 if it is not an origin.
        """
        before = self.issuer()
        try:
            origin = normal_origin(text, "The address") if text and text.strip() else None
        except BadSetting as error:
            raise Refused(400, "invalid_origin", str(error)) from None

        def store() -> None:
            if origin is None:
                self._stored.drop(STORED_ORIGIN)
            else:
                self._stored.put(STORED_ORIGIN, origin, now)
            self._note(Act(at=now, actor="", action="origin-changed", subject=self.issuer()))

        await self._write(store)
        if self.issuer() != before:
            for changed in self._subscribers:
                await changed(self.issuer())
        return self.issuer()
