"""The links of all modules, as supervisor and proxy use them."""

from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import field
from twisted.logger import Logger

from parachute_hub.modules.state.directory import ModuleDirectory
from parachute_hub.modules.state.link import Link
from parachute_hub.modules.state.records import RecordsRefused
from parachute_hub.site.errors import not_stored
from parachute_hub.system.records import define

if TYPE_CHECKING:
    from parachute_hub.elsewhere.dial import Dialer, Trust
    from parachute_hub.elsewhere.keys import Identity, KeyFolder
    from parachute_hub.elsewhere.machine import FarMachine, Knows


@define(kw_only=True)
class Links:
    """Keeps one FarMachine per link, and loads what that needs with the first. `folder` has the links' keys.

    `resolve` returns all addresses of a host. `mint` makes a token for an audience, once there is an issuer.
    `failed_there` is called with the short name of a module whose machine a request did not reach. `closed` are the
    modules that take no requests, because they are moving.
    """

    reactor: Any
    resolve: Callable[[str], Awaitable[Sequence[str]]]
    directory: ModuleDirectory
    folder: Path
    knows: "Knows"
    origin: Callable[[], str]
    in_thread: Callable[..., Awaitable[Any]]
    now: Callable[[], float]
    failed_there: Callable[[str], None]
    mint: Callable[[str], Awaitable[str]] | None = None
    closed: set[str] = field(factory=set, init=False)
    _machines: "dict[str, FarMachine]" = field(factory=dict, init=False)
    _log = Logger()

    @property
    def keys(self) -> "KeyFolder":
        """The keys of the links."""
        from parachute_hub.elsewhere.keys import KeyFolder

        return KeyFolder(self.folder)

    def link(self, short: str) -> Link | None:
        return self.directory.records.get(short).link

    def machine(self, short: str) -> "FarMachine | None":
        """The other machine, while the module runs there."""
        link = self.link(short)
        return self.paired(short) if link is not None and link.active else None

    def paired(self, short: str) -> "FarMachine | None":
        """The other machine, also while the module still runs here."""
        link = self.link(short)
        known = self._machines.get(short)
        if link is None:
            return None
        if known is None or known.link.id != link.id:
            identity = self._identity(short, link) if link.paired else None
            known = self._machines[short] = self._made(short, link, identity)
        elif known.link != link:
            known.use(link, known.dialer)
        return known

    def forget(self, short: str) -> None:
        """Its link has ended."""
        machine = self._machines.pop(short, None)
        if machine is not None:
            machine.caller.close()

    async def store(self, short: str, link: Link | None) -> None:
        """Keep a link, or its end. Raises Refused."""
        try:
            await self.directory.records.change(short, link=link)
        except RecordsRefused as error:
            raise not_stored(error, str(error)) from None

    def made(self, short: str, link: Link, dialer: "Dialer") -> "FarMachine":
        """A machine that is not used by supervisor and proxy yet."""
        from parachute_hub.elsewhere.machine import FarMachine

        return FarMachine(
            short=short,
            link=link,
            dialer=dialer,
            knows=self.knows,
            mint=self._minted,
            now=self.now,
            failed_there=self.failed_there,
        )

    def dialer(self, link: Link, trust: "Trust") -> "Dialer":
        """Connects as the link says."""
        from parachute_hub.elsewhere.dial import Dialer

        return Dialer(reactor=self.reactor, resolve=self.resolve, address=link.address, near=link.near, trust=trust)

    def _identity(self, short: str, link: Link) -> "Identity":
        """The hub's key; one that the host refuses, if it is lost."""
        from parachute_hub.elsewhere.keys import Identity

        try:
            found = self.keys.read(link.id)
        except OSError:
            found = None
        if found is None:
            self._log.error("The key of the link of {short} cannot be read; pair it again", short=short)
        return found or Identity.new()

    def _made(self, short: str, link: Link, identity: "Identity | None") -> "FarMachine":
        from parachute_hub.elsewhere.dial import Trust

        return self.made(short, link, self.dialer(link, Trust(pin=link.pin, ca=link.ca, identity=identity)))

    async def _minted(self, audience: str) -> str:
        if self.mint is None:
            raise RuntimeError("There is no issuer yet.")
        return await self.mint(audience)
