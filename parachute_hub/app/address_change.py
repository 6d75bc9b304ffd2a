"""The hub's address: which Host headers it accepts, and what happens when the owner changes it."""

from collections.abc import Callable, Sequence

from parachute_hub.accounts.model import Origins
from parachute_hub.oauth.assemble import OAuth
from parachute_hub.supervise.supervisor import Supervisor
from parachute_hub.system.records import frozen


class AllowedHosts:
    """The accepted Host values. Any host is accepted until `settled` is true, when the owner has chosen an address."""

    def __init__(self, origins: Origins, settled: Callable[[], bool]) -> None:
        self._origins = origins
        self._is_settled = settled
        self._settled = False
        self._hosts: tuple[str, ...] = ()
        self.refresh()

    def __call__(self) -> Sequence[str]:
        """The accepted hosts; empty for any. Cached, because the proxy asks on each request."""
        self._settled = self._settled or self._is_settled()
        return self._hosts if self._settled else ()

    def refresh(self) -> None:
        """Read the origins again."""
        self._hosts = tuple(origin.partition("://")[2] for origin in self._origins.answering())


@frozen
class AddressChange:
    """Applies a new public address: tokens get the new issuer, and running modules restart to read it."""

    supervisor: Supervisor
    oauth: OAuth
    hosts: AllowedHosts
    origins: Origins

    def renew(self) -> None:
        """Read the addresses again: the time of a former one may be over."""
        self.hosts.refresh()
        self.oauth.issuer.move(self.origins.issuer(), self.origins.bound(), self.origins.answering())

    async def apply(self, issuer: str) -> None:
        """Called by `HubOrigin` with the new issuer."""
        self.renew()
        await self.oauth.operator.ensure()
        for status in self.supervisor.all():
            self.supervisor.restart_for(status.short, "The hub's address has changed. It is being restarted.")
