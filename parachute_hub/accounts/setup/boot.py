"""What happens to the owner's account when the hub starts."""

from collections.abc import Sequence

from twisted.logger import Logger

from parachute_hub.accounts.model import Clock, Random
from parachute_hub.accounts.people.users import People
from parachute_hub.accounts.setup.bootstrap import BootstrapToken, banner, reset_from_environment, seed
from parachute_hub.accounts.setup.public_origin import HubOrigin
from parachute_hub.accounts.setup.setup import Setup
from parachute_hub.accounts.signin.passwords import Hasher
from parachute_hub.settings import InitialAdmin
from parachute_hub.site.errors import Refused
from parachute_hub.store.settings import StoredSettings
from parachute_hub.store.writer import Write
from parachute_hub.system.records import frozen


@frozen(kw_only=True)
class Boot:
    """What happens to the owner's account at startup."""

    people: People
    setup: Setup
    stored: StoredSettings
    write: Write
    hasher: Hasher
    origin: HubOrigin
    clock: Clock
    random: Random
    older_hub: bool
    _log = Logger()

    async def run(self, initial: InitialAdmin | None, reset_owner: str | None) -> Sequence[str]:
        """Never keeps the hub from starting: failures are logged."""
        if reset_owner is not None:
            try:
                await reset_from_environment(
                    reset_owner, self.people, self.stored, self.write, self.hasher, self.clock()
                )
            except Refused as refused:
                self._log.error("PARACHUTE_RESET_OWNER was not used: {why}", why=refused.description)
        if not self.setup.has_owner and initial is not None:
            if self.older_hub:
                self._log.warn("PARACHUTE_INITIAL_ADMIN_* was not used, because the accounts of an older hub are here")
            else:
                await seed(self.people, initial)
        if self.setup.has_owner:
            return ()
        token = BootstrapToken(self.random, self.clock)
        self.setup.token = token
        return banner(self.origin.issuer(), token.value, older_hub=self.older_hub)
