"""At which address is this hub reached? What the owner stored goes before what the platform or an option said."""

from collections.abc import Callable, Sequence

from attrs import frozen

from parachute_hub.settings import BadSetting, normal_origin
from parachute_hub.site.errors import Refused
from parachute_hub.store.settings import StoredSettings

STORED_ORIGIN = "hub_origin"


@frozen(kw_only=True)
class Configured:
    """What the hub was told at its start. `origin` None when nothing was; `source` says by what (Settings)."""

    origin: str | None
    source: str
    local: Sequence[str]


class HubOrigin:
    """The issuer and all origins under which the hub admits to be itself.

    Subscribers are called with the new issuer after the owner changed it.
    """

    def __init__(self, stored: StoredSettings, configured: Configured) -> None:
        self._stored = stored
        self._configured = configured
        self._subscribers: list[Callable[[str], None]] = []

    def subscribe(self, changed: Callable[[str], None]) -> None:
        """Call `changed` with the new issuer whenever the owner changes it."""
        self._subscribers.append(changed)

    def stored(self) -> str | None:
        """What the owner chose; None when the hub goes by what it was told."""
        return self._stored.get(STORED_ORIGIN)

    def issuer(self) -> str:
        """The canonical origin, without a slash at its end."""
        return self.stored() or self._configured.origin or self._configured.local[0]

    def source(self) -> str:
        """Who said so: `settings`, or how the hub was told; `none` when it only knows this machine."""
        return "settings" if self.stored() else self._configured.source

    def bound(self) -> tuple[str, ...]:
        """Every origin that is ours. What the platform says stays among them: a wrong setting locks nobody out."""
        known = (self.issuer(), self._configured.origin, *self._configured.local)
        return tuple(dict.fromkeys(origin for origin in known if origin is not None))

    def would_move(self, text: str) -> bool:
        """Whether `choose` would change the issuer. What is no origin moves nothing."""
        try:
            return bool(text.strip()) and normal_origin(text, "The address") != self.issuer()
        except BadSetting:
            return False

    def choose(self, text: str | None, now: float) -> str:
        """Store another origin, or with None go by what the hub was told; the issuer that holds now.

        Raises Refused 400 when it is not an origin.
        """
        before = self.issuer()
        if text is None or not text.strip():
            self._stored.drop(STORED_ORIGIN)
        else:
            try:
                self._stored.put(STORED_ORIGIN, normal_origin(text, "The address"), now)
            except BadSetting as error:
                raise Refused(400, "invalid_origin", str(error)) from None
        if self.issuer() != before:
            for changed in self._subscribers:
                changed(self.issuer())
        return self.issuer()
